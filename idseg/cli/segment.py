"""``idseg segment``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idseg import to_api
from idseg.cli.runner import EXITS, clear_errors, exit_code, given
from idseg.errors import IdsegError, InputError, OptionError, PersonError

if TYPE_CHECKING:
    from idseg.result import Result
    from idseg.segmenter import Options, Segmenter


@click.command(epilog=EXITS, context_settings={"max_content_width": 110})
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder; each photo gets a folder of its name in it.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the API's JSON (a line a photo; pictures as base64) instead."
)
@click.option("--overlay", is_flag=True, help="Also write the photo with box, points, window and classes drawn on it.")
@click.option("--background", metavar="COLOR", help="Also write the person on this colour: white, blue, red, #rrggbb.")
@click.option("--aspect", metavar="W:H", help="Shape of the cut, e.g. 5:7 (default), 1:1, 35:45.")
@click.option(
    "--head-room", type=float, metavar="SHARE", help="Space above the face box in face heights (default 0.51)."
)
@click.option(
    "--refine",
    type=click.Choice(["net", "closed-form", "none"]),
    default="net",
    show_default=True,
    help="How hair is refined. net: on large cuts, where it helps.",
)
@click.option(
    "--matting-model",
    metavar="NAME|FILE",
    help="Another matting model: a name of `idseg models`, or an ONNX file. Otherwise ours (8-bit on a CPU).",
)
@click.option(
    "--preset", type=click.Choice(["modnet", "isnet", "u2net", "birefnet"]), help="What kind an ONNX file is of."
)
@click.option(
    "--second-face",
    type=float,
    metavar="RATIO",
    help="Face height, as a share of the largest, that counts as a second person (0.45).",
)
@click.option(
    "--turn", is_flag=True, help="Turn a photo that lies on its side or stands on its head instead of refusing it."
)
@click.option("--max-side", type=int, metavar="PX", help="Longest side allowed (default 4096, the API's).")
@click.option(
    "--provider", default="auto", show_default=True, metavar="auto|cpu|cuda|…", help="Where the matting nets run."
)
@click.option("--threads", type=int, metavar="N", help="Threads of the matting nets (default: one for each core).")
def segment(photos: tuple[Path, ...], out: Path | None, as_json: bool, **chosen: Any) -> None:
    """Cut one person out of each PHOTO (JPEG, PNG or BMP).

    \b
    Writes OUT/NAME/cut.png      the head-and-shoulders cut of the photo
           OUT/NAME/scoremap.png the matte, grey 0..255
           OUT/NAME/demo.png     the person on black
           OUT/NAME/cutout.png   the person with transparency
           OUT/NAME/result.json  box, points, classes, angles, window

    \b
    Examples:
      idseg segment selfie.jpg -o out
      idseg segment *.jpg -o out --overlay --background '#438edb'
      idseg segment selfie.jpg --json > reply.json
    """
    if out is None and not as_json:
        raise click.UsageError("say where to with -o FOLDER, or print with --json")
    with clear_errors():
        failures = list(_segment_all(photos, out, as_json, chosen))
    if failures:
        sys.exit(exit_code(failures))


def _segment_all(
    photos: Sequence[Path], out: Path | None, as_json: bool, chosen: dict[str, Any]
) -> Iterator[IdsegError]:
    """Answer all photos; yield the errors of those that have no answer, each already told on stderr."""
    from tqdm import tqdm

    overlay, background = chosen.pop("overlay"), chosen.pop("background")
    if background is not None:
        from idseg.imaging.colours import parse_color

        parse_color(background)  # a wrong colour is told before the first photo, not after
    folders = _folders(photos, out)
    with tqdm(
        total=len(photos), unit="photo", disable=len(photos) < 2 and not sys.stderr.isatty(), leave=len(photos) > 1
    ) as bar:
        bar.set_description("loading models")
        segmenter = _segmenter(chosen)
        for photo, folder in zip(photos, folders, strict=True):
            bar.set_description(photo.name[:24])
            try:
                result = segmenter(photo)
                if folder is not None:
                    result.save(folder, background=background, overlay=overlay)
                if as_json:
                    click.echo(json.dumps(to_api(result), separators=(",", ":")))
                elif len(photos) == 1 and folder is not None:
                    bar.write(_summary(photo, folder, result), file=sys.stdout)
            except (InputError, PersonError) as error:
                bar.write(f"{photo}: {error}", file=sys.stderr)
                if as_json:
                    from idseg.cloud import wire
                    from idseg.cloud.errors import render_error

                    click.echo(json.dumps(render_error(error, wire.new_log_id()), separators=(",", ":")))
                yield error
            bar.update()
    if out is not None and len(photos) > 1:
        click.echo(f"{len(photos)} photos, results in {out}")


def _summary(photo: Path, folder: Path, result: Result) -> str:
    pose = result.pose
    window = result.window
    names = ", ".join(sorted(path.name for path in folder.iterdir()))
    return (
        f"{photo.name}: facepose {int(pose.facepose)} ({_words(pose.facepose.name)}), "
        f"bodypose {int(pose.bodypose)} ({_words(pose.bodypose.name)}), "
        f"cut {window.width}x{window.height} at ({window.left}, {window.top}), "
        f"{sum(result.timings_ms.values()):.0f} ms, matting on {result.provider}\n"
        f"{folder}: {names}"
    )


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _segmenter(chosen: dict[str, Any]) -> Segmenter:
    from idseg.segmenter import Segmenter

    return Segmenter(segment_options(chosen))


def segment_options(chosen: dict[str, Any]) -> Options:
    """The pipeline's options from the command line's."""
    from idseg.segmenter import Options
    from idseg.stages.crop import CropOptions
    from idseg.stages.decode import DecodeLimits
    from idseg.stages.find import DetectOptions

    named = chosen["matting_model"]
    if named is not None and chosen["preset"] is None and Path(named).is_file():
        raise OptionError(f"say with --preset what kind of net {named} is", matting_model=named)
    crop = {"aspect": _aspect(chosen["aspect"]), "head_room": chosen["head_room"]}
    detect = {"second_face_ratio": chosen["second_face"], "turn": chosen["turn"] or None}
    limits = {"max_side": chosen["max_side"]}
    return Options(
        crop=CropOptions(**given(crop)),
        detect=DetectOptions(**given(detect)),
        limits=DecodeLimits(**given(limits)),
        **given({name: chosen[name] for name in ("matting_model", "preset", "refine", "provider", "threads")}),
    )


def _aspect(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        width, height = (float(part) for part in text.split(":"))
        return width / height
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"--aspect {text!r} is not W:H, e.g. 5:7", aspect=text) from None


def _folders(photos: Sequence[Path], out: Path | None) -> list[Path | None]:
    """A folder for each photo, by its name; a second photo of the same name gets ``NAME-2``."""
    if out is None:
        return [None] * len(photos)
    seen: dict[str, int] = {}
    folders: list[Path | None] = []
    for photo in photos:
        count = seen[photo.stem] = seen.get(photo.stem, 0) + 1
        folders.append(out / (photo.stem if count == 1 else f"{photo.stem}-{count}"))
    return folders
