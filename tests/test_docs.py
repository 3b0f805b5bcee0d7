"""What people read: the reference builds without a broken link, and the README names only what is there."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest

import idseg
from scripts import docs

ROOT = Path(idseg.__file__).parent.parent
PAGES = [
    path
    for path in (
        ROOT / "README.md",
        ROOT / ".github" / "CONTRIBUTING.md",
        *ROOT.glob("*/README.md"),
        *ROOT.glob("idseg/*/README.md"),
    )
    if path.exists()
]


@pytest.mark.slow
def test_the_reference_has_no_broken_link(tmp_path: Path) -> None:
    pytest.importorskip("pdoc")
    docs.build(tmp_path)
    assert (tmp_path / "idseg" / "segmenter.html").exists()
    assert list(docs.broken_links(tmp_path)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#here">b</a> <a href="b.html#gone">c</a> <a href="no.html">d</a>')
    (tmp_path / "b.html").write_text('<p id="here"><a href="https://example.org/x">web</a>')
    assert [line.split(": ")[1] for line in docs.broken_links(tmp_path)] == ["b.html#gone", "no.html"]


def test_docstrings_name_only_what_is_there() -> None:
    assert list(docs.broken_names()) == []


def test_a_name_of_nothing_is_found() -> None:
    module = types.ModuleType("made_up")
    module.thing = len  # type: ignore[attr-defined]
    assert docs._exists("thing", module)
    assert docs._exists("idseg.segmenter.Segmenter.find", module)
    assert not docs._exists("things", module)
    assert not docs._exists("idseg.segmenter.Nobody", module)
    assert not docs._exists("no_such_package.thing", module)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_names_only_what_is_there(page: Path) -> None:
    """Relative links, paths of the repository in backticks, and dotted names of idseg."""
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    paths = re.findall(r"`((?:idseg|models|scripts|tests|benchmarks)/[\w./-]+)`", text)
    missing += [path for path in paths if not (ROOT / path).exists()]
    names = re.findall(r"`(idseg(?:\.\w+)+)`", text)
    missing += [name for name in names if not docs._importable(name)]
    assert not missing, f"{page.name} names what is not there: {missing}"
