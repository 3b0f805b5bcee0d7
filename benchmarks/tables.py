"""Makes the tables of README.md from the result files, so that nobody types a number by hand.

Generated text stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; people write the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import matting_tables, plots, trend
from benchmarks.figures import HERE, RESULTS, Figure, Result, ordered
from benchmarks.markdown import number, table

README = HERE / "README.md"
CARD = HERE.parent / "models" / "MODEL_CARD.md"
"""The model card, which shows the same table of mattes."""
_ERRORS = ("MAD", "MSE", "Grad", "SAD", "Conn", "MAD in the unknown band")
_QUIET = 0.7
"""Maximum load per core of a machine that counts as idle."""
_TREND_LENGTH = 6
"""Number of commits in the trend table."""
_HEADLINES = (
    ("quality", "idseg", "val", "MAD", "mean", "matte MAD on val"),
    ("quality", "idseg", "val", "Grad", "mean", "matte Grad on val, thousand"),
    ("pose", "idseg", "labelled, sure", "facepose", "share", "facepose right, sure labels"),
    ("pose", "idseg", "labelled, sure", "bodypose, turn only", "share", "bodypose right, sure labels"),
    ("pose", "idseg", "second set, sure", "facepose", "share", "facepose right, second set, sure labels"),
    ("pose", "idseg", "second set, sure", "bodypose, turn only", "share", "bodypose right, second set, sure labels"),
    ("speed", "photo to result", "1 MP", "time", "median", "photo to result at 1 MP, ms"),
    ("speed", "all but matte and refine", "1 MP", "time", "median", "all but matte and refine at 1 MP, ms"),
    ("speed", "idseg --help", "cold start", "time", "median", "idseg --help, ms"),
    ("speed", "idseg segment, one photo", "cold start", "time", "median", "idseg segment cold, ms"),
    ("memory", "idseg segment", "12 MP", "peak memory", "value", "peak memory at 12 MP, MiB"),
)


def update(results: Mapping[str, Result], readme: Path = README) -> None:
    """Draw the plots and write the tables into the README."""
    if "speed" in results:
        plots.speed(results["speed"], RESULTS / "speed.svg")
    if "paired" in results:
        plots.growth(results["paired"], RESULTS / "paired.svg")
    if "growth" in results:
        plots.counts(results["growth"], RESULTS / "growth.svg")
    if "quality" in results:
        plots.quality(results["quality"], RESULTS / "quality.svg")
    readme.write_text(filled(readme.read_text(), results, trend.read(), read_matting()))
    CARD.write_text(filled(CARD.read_text(), {}, (), read_matting()))


def read_matting(path: Path = RESULTS / "matting.json") -> Mapping[str, Any] | None:
    """The result of matting.py, which has its own format; None if there is no such file."""
    if not path.exists():
        return None
    found: Mapping[str, Any] = json.loads(path.read_text())
    return found


def filled(
    text: str,
    results: Mapping[str, Result],
    lines: Sequence[trend.Row],
    matting: Mapping[str, Any] | None = None,
) -> str:
    """The README with every block regenerated. A block without a result says so."""
    makers = {
        "quality": quality_tables,
        "pose": pose_tables,
        "speed": speed_tables,
        "paired": paired_tables,
        "growth": growth_tables,
        "answers": batch_table,
        "memory": memory_table,
        "known": known_table,
        "checks": checks_tables,
        "checksfound": found_table,
        "batch": batch_table,
        "hostile": hostile_table,
    }

    def block(found: re.Match[str]) -> str:
        name = found.group(1)
        if name == "trend":
            body = trend_table(lines)
        elif name == "matting" and matting is not None:
            body = "\n".join(matting_tables.tables(matting))
        elif name in results:
            body = "\n".join([_about(results[name]), "", *makers[name](results[name]), *_notes(results[name])])
        else:
            body = "Not measured yet."
        return f"<!-- begin {name} -->\n{body}\n<!-- end {name} -->"

    return re.sub(r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->", block, text, flags=re.DOTALL)


def _about(result: Result) -> str:
    place = result.environment
    versions = ", ".join(f"{name} {version}" for name, version in place["versions"].items())
    return (
        f"*{result.date}, commit {trend.short(result)}; {place['machine']}, {place['threads']} threads of "
        f"{place['cores']} cores, load {place['load_average'][0]} before; Python {place['python']}, {versions}; "
        f"{result.seconds:.0f} s.*{_busy(place)}"
    )


def _busy(place: Mapping[str, Any]) -> str:
    """A warning if other programs used the machine."""
    load, cores = place["load_average"][0], place["cores"]
    if load <= _QUIET * cores:
        return ""
    return (
        f"\n\n**A busy machine: {number(load)} programs wanted its {cores} cores. Times by the clock are several times "
        "those of a quiet one; CPU times and sizes are not.**"
    )


def _notes(result: Result) -> Iterator[str]:
    for note in result.notes:
        yield f"\nNote: {note.rstrip('.')}."


def quality_tables(result: Result) -> Iterator[str]:
    """One table per set: methods by errors, mean (median); published figures are marked."""
    errors = [figure for figure in result.figures if figure.measure in _ERRORS]
    for on in ordered(errors, "on"):
        here = [figure for figure in errors if figure.on == on]
        measured = [figure for figure in here if figure.origin == "measured"]
        count = max((figure.count for figure in measured), default=0)
        yield f"**{on}**" + (f", {count} pictures: mean (median)" if count else ": published figures only")
        yield ""
        rows = []
        for subject in ordered(here, "subject"):
            published = next((f for f in here if f.subject == subject and f.origin == "published"), None)
            name = subject if published is None else f"*{subject}, published*"
            cells = [_mean_median(result, subject, on, error) for error in _ERRORS]
            rows.append([name, *cells])
        yield table(["", "MAD", "MSE", "Grad", "SAD", "Conn", "MAD, unknown band"], rows)
        for source in ordered([figure for figure in here if figure.source], "source"):
            yield f"\nPublished: {source}."
        yield ""
    colours = [figure for figure in result.figures if figure.measure == "foreground error"]
    if colours:
        yield f"**Foreground colours**, {colours[0].count} composites of known colours, the true alpha given"
        yield ""
        head = ["", "mean error × alpha where half covered, levels of 255"]
        yield table(head, ([figure.subject, number(figure.value)] for figure in colours))
    yield "\n![MAD by method](results/quality.svg)"


def _mean_median(result: Result, subject: str, on: str, measure: str) -> str:
    mean, median = (result.named(subject, on, measure, statistic) for statistic in ("mean", "median"))
    return number(mean) if median is None else f"{number(mean)} ({number(median)})"


def pose_tables(result: Result) -> Iterator[str]:
    """Agreement with the labels, the confusion matrices, and errors compared with known geometry."""
    shares = [figure for figure in result.figures if figure.statistic == "share"]
    yield table(["", "on", "right", "of"], ([f.measure, f.on, f"{f.value:.1%}", str(f.count)] for f in shares))
    for name, matrix in result.matrices.items():
        yield f"\n**{name}** (rows: label, columns: idseg)\n"
        yield _matrix(matrix)
    turns = ", ".join(f"{turn:+g}" for turn in result.settings["turns_deg"])
    scales = ", ".join(f"{scale:g}" for scale in result.settings["scales"])
    yield "\n**Against points set by hand** (good to about 3 % of the eyes' distance themselves) **and geometry**"
    yield f"(frontal photos turned by {turns} degrees, mirrored, scaled by {scales})\n"
    errors = [figure for figure in result.figures if figure.statistic == "median"]
    yield table(
        ["", "on", "median", "95 %", "unit", "of"],
        (
            [
                f.measure,
                f.on,
                number(f.value),
                number(result.named(f.subject, f.on, f.measure, "p95")),
                f.unit,
                str(f.count),
            ]
            for f in errors
        ),
    )


def _matrix(matrix: Mapping[str, Any]) -> str:
    rows = [
        [label, *(str(count) if count else "·" for count in counts)]
        for label, counts in zip(matrix["row_labels"], matrix["counts"], strict=True)
    ]
    return table(["", *matrix["column_labels"]], rows)


def speed_tables(result: Result) -> Iterator[str]:
    """Stages by size, cold starts, photos per second, and peers."""
    sizes = [f"{size:g} MP" for size in result.settings["sizes_mp"]]
    stages = [figure for figure in result.figures if figure.on in sizes and figure.measure == "time"]
    yield "**Warm, ms: median (95 %), least**\n"
    subjects = ordered(stages, "subject")
    rows = [[subject, *(_median_p95(result, subject, size) for size in sizes)] for subject in subjects]
    cuts = [f"{result.named('cut', size, 'size', 'value') or 0:.2f}" for size in sizes]
    cpu = [number(result.named("photo to result", size, "CPU time, all threads", "median")) for size in sizes]
    yield table(
        ["", *sizes], [*rows, ["photo to result, CPU time of all threads", *cpu], ["size of the cut, MP", *cuts]]
    )
    yield "\n![Time by megapixels](results/speed.svg)\n"
    yield "**New processes, ms**\n"
    cold = ordered([figure for figure in result.figures if figure.on == "cold start"], "subject")
    cpu_of = {s: number(result.named(s, "cold start", "CPU time, all threads", "median")) for s in cold}
    yield table(
        ["", "median (95 %), least", "CPU time"],
        ([subject, _median_p95(result, subject, "cold start"), cpu_of[subject]] for subject in cold),
    )
    yield "\n**Photos a second, 1 MP**\n"
    flow = [figure for figure in result.figures if figure.measure == "throughput"]
    yield table(["", "photos/s"], ([figure.subject, number(figure.value)] for figure in flow))
    on = "matte of 600x840"
    yield "\n**Mattes of a 600 × 840 cut, all in one process in turn, ms**\n"
    methods = ordered([figure for figure in result.figures if figure.on == on], "subject")
    yield table(["", "median (95 %), least"], ([subject, _median_p95(result, subject, on)] for subject in methods))


def paired_tables(result: Result) -> Iterator[str]:
    """Every checkout and the ratios: one row for each measure; then how the cost grows."""
    grown = [figure for figure in result.figures if figure.subject.startswith(plots.GROWN)]
    before = result.settings["before"]
    commits = ", ".join(f"{name}: commit {commit[:12]}" for name, commit in before.items())
    yield f"{commits}. All in turn, {result.settings['rounds']} rounds.\n"
    yield from _paired_table(result, [figure for figure in result.figures if figure not in grown])
    if grown:
        yield "\n**How the cost grows with the photo, up to the result, without encoding**\n"
        yield from _paired_table(result, grown)
        yield "\n![Time and memory by megapixels](results/paired.svg)\n"


def _paired_table(result: Result, figures: Sequence[Figure]) -> Iterator[str]:
    """A column for each checkout and peer, then the ratio of each "now" to each other checkout."""
    columns, before = ordered(figures, "on"), list(result.settings["before"])
    ratios = [(name, old) for name in columns if name.startswith("now") for old in before]
    rows = []
    for figure in figures:
        if figure.on == columns[0]:
            values = {on: result.named(figure.subject, on, figure.measure, figure.statistic) for on in columns}
            shares = [_ratio(values[name], values[old]) for name, old in ratios]
            subject = f"{figure.subject}: {figure.measure}, {figure.unit}"
            rows.append([subject, *(number(values[on]) for on in columns), *shares])
    yield table(["", *columns, *(f"{name} / {old}" for name, old in ratios)], rows)


def _ratio(value: float | None, of: float | None) -> str:
    return f"{value / of:.2f}" if value and of else "–"


def growth_tables(result: Result) -> Iterator[str]:
    """Throughput, times and memory by the number of clients, and by the number of photos."""
    commits = ", ".join(f"{name}: commit {commit[:12]}" for name, commit in result.settings["before"].items())
    yield f"{commits or 'This checkout alone'}. {result.settings['seconds']:g} s for each number of clients, "
    yield f"in {result.settings['turns']} turns.\n"
    subjects = ordered(result.figures, "subject")
    rows = {(figure.on, figure.measure, figure.statistic, figure.unit): None for figure in result.figures}
    yield table(
        ["", *subjects],
        (
            [f"{on}: {measure}, {unit}", *(number(result.named(name, on, measure, how)) for name in subjects)]
            for on, measure, how, unit in rows
        ),
    )
    yield "\n![Photos a second by clients and by photos](results/growth.svg)\n"


def _median_p95(result: Result, subject: str, on: str) -> str:
    median = result.named(subject, on, "time", "median")
    if median is None:
        return "–"
    p95, least = (number(result.named(subject, on, "time", statistic)) for statistic in ("p95", "least"))
    return f"{number(median)} ({p95}), {least}"


def memory_table(result: Result) -> Iterator[str]:
    """Peak memory by size."""
    sizes = ordered(result.figures, "on")
    rows = (
        [subject, *(number(result.named(subject, size, "peak memory", "value")) for size in sizes)]
        for subject in ordered(result.figures, "subject")
    )
    yield "Peak resident memory of a new process, MiB\n"
    yield table(["", *sizes], rows)


def known_table(result: Result) -> Iterator[str]:
    """Whether ``idseg compare`` found the known differences."""
    rows = (
        [
            figure.on,
            figure.measure,
            f"{figure.value:.1%}" if figure.statistic == "share" else f"{number(figure.value)} {figure.unit}",
            str(figure.count),
        ]
        for figure in result.figures
    )
    yield f"The saved replies' mattes are {result.settings['matte']}'s.\n"
    yield table(["", "", "found", "of"], rows)


def checks_tables(result: Result) -> Iterator[str]:
    """Alarms on good photos (false) and on spoilt photos (right), rule by rule; then the accuracy of placement."""
    rules = ordered((figure for figure in result.figures if figure.on in ("good", "made to fail")), "subject")

    def share(rule: str, on: str, status: str) -> str:
        value = result.named(rule, on, status, "share")
        return "–" if value is None else f"{value:.0%}"

    rows = [
        (
            rule,
            share(rule, "good", "not met"),
            share(rule, "good", "check yourself"),
            share(rule, "made to fail", "not met"),
            share(rule, "made to fail", "check yourself"),
            share(rule, "made to fail", "refused"),
        )
        for rule in rules
    ]
    head = (
        "rule",
        "good: not met (false alarm)",
        "good: check yourself",
        "spoilt: not met (right)",
        "check yourself",
        "refused",
    )
    yield table(head, rows)
    placed = [figure for figure in result.figures if figure.on == "finished files"]
    yield "\n**Finished files, measured again**\n"
    yield table(
        ("what", "measure", "value", "of"),
        (
            (figure.subject, figure.measure, f"{figure.value:.2%}", str(figure.count))
            if figure.statistic == "share"
            else (figure.subject, f"{figure.measure}, {figure.statistic}", f"{figure.value:.2%}", str(figure.count))
            for figure in placed
        ),
    )


def found_table(result: Result) -> Iterator[str]:
    """Photos that break a rule by nature."""
    rules = ordered(result.figures, "subject")
    count = {figure.subject: figure.count for figure in result.figures}
    rows = [
        (rule, *(f"{result.named(rule, 'found', status, 'share') or 0.0:.0%}" for status in statuses), str(count[rule]))
        for statuses in [("not met", "check yourself", "met", "refused")]
        for rule in rules
    ]
    yield table(("rule", "not met (right)", "check yourself", "met", "refused", "of"), rows)


def batch_table(result: Result) -> Iterator[str]:
    """One row per figure."""
    rows = [
        (figure.subject, f"{figure.measure}, {figure.statistic}", f"{number(figure.value)} {figure.unit}".strip())
        for figure in result.figures
    ]
    yield table(("what", "measure", "value"), rows)


def hostile_table(result: Result) -> Iterator[str]:
    """One row per format: the costliest file found, and what it cost before."""
    cells: dict[str, dict[str, str]] = {}
    for figure in result.figures:
        when, _, outcome = figure.on.partition(", ")
        cells.setdefault(figure.subject, {})[when] = f"{number(figure.value)} ({outcome})"
    rows = [(name, found.get("before", "–"), found["now"]) for name, found in cells.items()]
    yield table(("format", "before, CPU s", "now, CPU s"), rows)


def trend_table(lines: Sequence[trend.Row]) -> str:
    """The main figures at the last commits that measured at least one of them."""
    keys = {headline[:5] for headline in _HEADLINES}
    shown = sorted((row for row in lines if row[3:8] in keys), key=lambda row: row[1])
    commits = list(dict.fromkeys(row[0] for row in shown))[-_TREND_LENGTH:]
    if not commits:
        return "Nothing measured yet."
    values = {(row[0], *row[3:8]): row[8] for row in lines}
    rows = [
        [title, *(number(float(value)) if (value := values.get((commit, *key))) else "–" for commit in commits)]
        for *key, title in _HEADLINES
    ]
    return table(["", *(f"`{commit}`" for commit in commits)], rows)
