"""Build the API reference of idseg from its docstrings, as HTML, and check every link.

    pip install -e ".[docs,server]"
    python -m scripts.docs [FOLDER]        # default: out/docs; open index.html in it

pdoc makes the pages. The command fails if a link has no target or a docstring refers to a name that does not exist.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

_ROLE = re.compile(r":(?:func|class|meth|data|attr|mod|exc):`~?([\w.]+)`")
_NOT_DOCUMENTED = ("idseg.__main__",)
"""Modules without a page. Importing ``idseg.__main__`` would run the command line."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.docs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("out/docs"), help="default: out/docs")
    out: Path = parser.parse_args().folder
    build(out)
    wrong = [*broken_links(out), *broken_names()]
    for line in wrong:
        print(line)
    print(f"{len(list(out.rglob('*.html')))} pages in {out}, {len(wrong)} broken links")
    return 1 if wrong else 0


def modules() -> list[str]:
    """Every module of the package, by dotted name."""
    import idseg

    found = (module.name for module in pkgutil.walk_packages(idseg.__path__, "idseg."))
    return ["idseg", *(name for name in found if name not in _NOT_DOCUMENTED)]


def build(out: Path) -> None:
    """Write the pages into the folder ``out``."""
    import pdoc

    import idseg

    for name in idseg.__all__:  # names load on first use; pdoc sees only loaded ones
        getattr(idseg, name)
    pdoc.render.configure(docformat="google", show_source=False, footer_text="idseg, Apache-2.0")
    with warnings.catch_warnings():  # a module name includes its submodules
        # Types imported only for type checkers appear in the page without a link.
        warnings.filterwarnings("ignore", message="Error parsing type annotation", category=UserWarning)
        # Pillow imports IPython only for type checkers.
        warnings.filterwarnings("ignore", message="Failed to run TYPE_CHECKING code", category=UserWarning)
        pdoc.pdoc(*(name for name in modules() if name.count(".") < 2), output_directory=out)


class _Page(HTMLParser):
    """Collects the links and anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.append(value)
            elif value and name in ("id", "name"):
                self.anchors.add(value)


def broken_links(folder: Path) -> Iterator[str]:
    """One line for each link whose file or anchor is missing in the folder. Links to the web are not checked."""
    pages: dict[Path, _Page] = {}
    for path in sorted(folder.rglob("*.html")):
        page = pages[path.resolve()] = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                yield f"{path.name}: {link}: no such file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.name}: {link}: no such anchor"


def broken_names() -> Iterator[str]:
    """One line for each ``:func:`name``` (or similar) in a docstring that refers to a name that does not exist."""
    for name in modules():
        module = importlib.import_module(name)
        assert module.__file__ is not None
        for role in _ROLE.finditer(Path(module.__file__).read_text(encoding="utf-8")):
            if not _exists(role[1], module):
                yield f"{name}: `{role[1]}` does not exist"


def _exists(dotted: str, module: ModuleType) -> bool:
    """Whether a name exists in a module, in one of its classes, or as a full dotted name."""
    if dotted.startswith("."):
        return _importable(resolve_name(dotted, module.__package__))
    classes = (value for value in vars(module).values() if isinstance(value, type))
    return any(_has(place, dotted.split(".")) for place in (module, *classes)) or _importable(dotted)


def _has(place: object, names: list[str]) -> bool:
    for name in names:
        if not hasattr(place, name) and name not in getattr(place, "__annotations__", {}):
            return False
        place = getattr(place, name, None)
    return True


def _importable(dotted: str) -> bool:
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        return _has(module, parts[count:])
    return False


if __name__ == "__main__":
    sys.exit(main())
