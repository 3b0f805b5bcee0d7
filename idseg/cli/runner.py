"""Shared by all commands: clear errors, exit codes, progress, and the options of a Segmenter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from idseg.errors import DependencyError, IdsegError, InputError, ModelError, OptionError, PersonError, ProviderError

if TYPE_CHECKING:
    from idseg.segmenter import Options, Segmenter

_T = TypeVar("_T")

EXIT_SOME_FAILED = 1
"""Several photos have no answer, for different kinds of reasons."""
EXIT_CODES: dict[type[IdsegError], int] = {
    OptionError: 2,
    InputError: 3,
    PersonError: 4,
    ModelError: 5,
    ProviderError: 6,
    DependencyError: 7,
}
"""Error class → exit code (click also uses 2 for a wrong command line)."""

EXITS = """\b
Exit codes: 0 all answered · 2 wrong option · 3 a photo cannot be used · 4 not exactly one upright person ·
5 model files missing or damaged · 6 provider not available · 7 a package or library is missing ·
1 several kinds of errors, or a file that cannot be written.
"""


@contextmanager
def clear_errors(more: dict[type[IdsegError], int] | None = None) -> Iterator[None]:
    """Print one line on stderr and exit with a code, instead of a traceback.

    Args:
        more: exit codes of a command's own error classes, which precede :data:`EXIT_CODES`.
    """
    try:
        yield
    except IdsegError as error:
        click.echo(f"idseg: {error}", err=True)
        own = (code for kind, code in (more or {}).items() if isinstance(error, kind))
        sys.exit(next(own, None) or exit_code([error]))


def exit_code(failures: Sequence[IdsegError]) -> int:
    codes = {next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1) for error in failures}
    return codes.pop() if len(codes) == 1 else EXIT_SOME_FAILED


def given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


quality_option = click.option(
    "--quality",
    type=click.Choice(["best", "fast"]),
    default="best",
    show_default=True,
    help="best: cuts from 0.4 MP on are seen twice, and a net refines their hair. fast: it refines hair on cuts above "
    "about 2 MP alone, and every cut is seen once.",
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of :data:`MODEL_OPTIONS`, for a command."""
    for option in (
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            metavar="N",
            help="Threads of the matting nets (default: one per core).",
        ),
        click.option(
            "--provider",
            default="auto",
            show_default=True,
            metavar="auto|cpu|cuda|…",
            help="Execution provider of the matting nets.",
        ),
        click.option(
            "--preset",
            type=click.Choice(["modnet", "isnet", "u2net", "birefnet"]),
            help="Kind of net in an ONNX file.",
        ),
        click.option(
            "--matting-model",
            metavar="NAME|FILE",
            help="Another matting model: a name from `idseg models`, or an ONNX file. Default: idseg's.",
        ),
        quality_option,
        click.option(
            "--refine",
            type=click.Choice(["net", "closed-form", "none"]),
            default="net",
            show_default=True,
            help="Refiner for hair. net: idseg's, for mattes of idseg's own net.",
        ),
        click.option(
            "--turn",
            is_flag=True,
            help="Rotate a photo that lies on its side or is upside down, instead of refusing it.",
        ),
        click.option(
            "--second-face",
            type=float,
            metavar="SHARE",
            help="Minimum height of a second person's face, relative to the largest (default 0.45).",
        ),
        click.option(
            "--pick",
            metavar="largest|left|right|N",
            help="Person to choose among several; N counts from the left. Default: refuse several people.",
        ),
    ):
        command = option(command)
    return command


MODEL_OPTIONS = ("threads", "provider", "matting_model", "preset", "quality", "refine", "turn", "second_face", "pick")
"""Names of the options that choose the models and the face."""


def options_of(chosen: dict[str, Any], **more: Any) -> Options:
    """Convert the options of :func:`model_options` to the options of a Segmenter.

    Args:
        chosen: values by name; only those of :data:`MODEL_OPTIONS` are used.
        more: other fields of the options.

    Raises:
        OptionError, ProviderError: an option is invalid.
    """
    from idseg.segmenter import DetectOptions, Options

    named = chosen["matting_model"]
    if named is not None and chosen["preset"] is None and Path(named).is_file():
        raise OptionError(f"give the kind of net in {named} with --preset", matting_model=named)
    detect = {
        "turn": chosen["turn"] or None,
        "second_face_ratio": chosen["second_face"],
        "pick": chosen["pick"],
    }
    names = ("threads", "provider", "matting_model", "preset", "quality", "refine")
    return Options(detect=DetectOptions(**given(detect)), **given({name: chosen[name] for name in names}), **more)


def segmenter_of(chosen: dict[str, Any]) -> Segmenter:
    from idseg.segmenter import Segmenter

    return Segmenter(options_of(chosen))


def progress_bar(unit: str, total: int | None = None) -> Callable[[Iterable[_T]], Iterable[_T]]:
    """A progress bar on stderr if that is a terminal."""
    from tqdm import tqdm

    def wrap(items: Iterable[_T]) -> Iterable[_T]:
        bar: Iterable[_T] = tqdm(items, unit=unit, total=total, disable=not sys.stderr.isatty())
        return bar

    return wrap


def write_text(path: Path, text: str) -> None:
    from idseg import system

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        system.write(path, text.encode())
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror}") from None
