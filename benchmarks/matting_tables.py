"""Markdown tables of the hair table's result file (benchmarks/matting.py), section by section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from benchmarks.markdown import number, table

_Section: TypeAlias = Mapping[str, Any]
_ERRORS = {
    "mad": "MAD",
    "mse": "MSE",
    "grad": "Grad",
    "conn": "Conn",
    "band_mad": "MAD, unknown band",
    "band_grad": "Grad, unknown band",
}


def tables(result: Mapping[str, Any]) -> Iterator[str]:
    """All sections that were measured, with headings."""
    for section in _TABLES:
        if section in result:
            yield from section_tables(section, result[section])
            yield ""


def section_tables(section: str, found: _Section) -> Iterator[str]:
    """The tables of one section."""
    yield from _TABLES[section](found)


def _measured(rows: Iterable[Mapping[str, Any]]) -> str:
    """When and at which commits the rows were measured."""
    return "*" + "; ".join(dict.fromkeys(row["measured"] for row in rows)) + "*\n"


def _errors(found: _Section) -> Iterator[str]:
    for on, rows in found.items():
        if not rows:
            continue
        count = next(iter(rows.values()))["pictures"]
        yield f"**{on}**, {count} pictures: mean (median)\n"
        yield table(
            ["", *_ERRORS.values()],
            (
                [name, *(f"{_small(row['mean'][key])} ({_small(row['median'][key])})" for key in _ERRORS)]
                for name, row in rows.items()
            ),
        )
        yield ""
    yield _measured(row for rows in found.values() for row in rows.values())


def _small(value: float) -> str:
    """A number, with five digits after the point if it is below .01."""
    return f"{value:.5f}" if 0 < value < 0.01 else number(value)


def _held_out(found: _Section) -> Iterator[str]:
    rows = found["photos"]
    yield "**Held-out photos**: MAD to the fused label where it is trusted, mean (median)\n"
    groups = list(dict.fromkeys(group for row in rows.values() for group in row["groups"]))
    first = next(iter(rows.values()))["groups"]
    yield table(
        ["", "photos", *rows],
        (
            [
                group.replace("_", " "),
                str(first[group]["photos"]),
                *(
                    f"{number(row['groups'][group]['mean'])} ({number(row['groups'][group]['median'])})"
                    for row in rows.values()
                ),
            ]
            for group in groups
        ),
    )
    for name, row in rows.items():
        if "worst" in row:
            group, ratio = row["worst"]["group"].replace("_", " "), number(row["worst"]["ratio"])
            yield f'\n{name}: the worst group of people is "{group}", {ratio} times the mean of all photos.'
    yield "\n" + _measured(rows.values())


def _islands(found: _Section) -> Iterator[str]:
    yield "**Islands**: the largest connected piece of background with alpha above .5, as a share of the picture\n"
    yield table(
        ["", "on", "pictures", "no piece above .05 %", "mean", "largest"],
        (
            [name, on, str(row["pictures"]), f"{row['without']:.1%}", f"{row['mean']:.3%}", f"{row['largest']:.2%}"]
            for on, rows in found.items()
            for name, row in rows.items()
        ),
    )
    yield "\n" + _measured(row for rows in found.values() for row in rows.values())


def _halo(found: _Section) -> Iterator[str]:
    rows = found["studio"]
    count = next(iter(rows.values()))["pictures"]
    yield f"**Halo**: colour error (0..255) in half-covered pixels of {count} composites, mean (median)\n"
    yield table(
        ["", "on white", "on black"],
        (
            [name, *(f"{number(row['mean'][on])} ({number(row['median'][on])})" for on in ("white", "black"))]
            for name, row in rows.items()
        ),
    )
    yield "\n" + _measured(rows.values())


def _speed(found: _Section) -> Iterator[str]:
    place = found["environment"]
    load = number(place["load_average"][0])
    yield (
        f"**Time**, {place['machine']}, {place['threads']} threads of {place['cores']} cores, load {load} before; "
        "all in turn, median (fastest)\n"
    )
    yield table(
        ["", "on", "ms by the clock", "CPU ms"],
        (
            [name, on, f"{number(row['wall_ms'])} ({number(row['fastest_ms'])})", number(row["cpu_ms"])]
            for on, rows in found["times"].items()
            for name, row in rows.items()
        ),
    )
    size = sum(found["files_bytes"].values()) / 1e6
    peaks = ", ".join(f"{name} {number(mib)}" for name, mib in found["memory_mib"].items())
    yield f"\nPeak memory of new processes, MiB: {peaks}. Files of the matting nets: {size:.1f} MB."
    yield f"\n*{found['measured']}*\n"


_TABLES: Mapping[str, Callable[[_Section], Iterator[str]]] = {
    "errors": _errors,
    "held_out": _held_out,
    "islands": _islands,
    "halo": _halo,
    "speed": _speed,
}
