"""``idseg segment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idseg import to_api
from idseg.cli.many import each_photo, finish, json_line, unique
from idseg.cli.runner import EXITS, clear_errors, given, model_options, options_of
from idseg.errors import IdsegError, OptionError

if TYPE_CHECKING:
    from idseg.result import Result
    from idseg.segmenter import Options


@click.command(epilog=EXITS, context_settings={"max_content_width": 110})
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Output folder; each photo gets a subfolder with its name.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the API's JSON instead (one line per photo; pictures as base64)."
)
@click.option("--overlay", is_flag=True, help="Also write the photo with box, points, window and classes drawn on it.")
@click.option("--background", metavar="COLOR", help="Also write the person on this colour: white, blue, red, #rrggbb.")
@click.option("--aspect", metavar="W:H", help="Shape of the cut, e.g. 5:7 (default), 1:1, 35:45.")
@click.option(
    "--head-room", type=float, metavar="SHARE", help="Space above the face box, in face heights (default 0.51)."
)
@click.option("--max-side", type=int, metavar="PX", help="Maximum of the longer side (default 16384; 64 MP in total).")
@model_options
def segment(photos: tuple[Path, ...], out: Path | None, as_json: bool, **chosen: Any) -> None:
    """Cut one person out of each PHOTO.

    \b
    Reads JPEG, PNG, BMP, HEIC, WebP, AVIF, TIFF and GIF, whatever the file's name.
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
        raise click.UsageError("give an output folder with -o FOLDER, or print with --json")
    with clear_errors():
        overlay, background = chosen.pop("overlay"), chosen.pop("background")
        if background is not None:
            from idseg.imaging.colours import parse_color

            parse_color(background)  # reports a wrong colour before the first photo
        options = segment_options(chosen)
        from idseg.segmenter import Segmenter

        segmenter = Segmenter(options)
        folders = [None if out is None else out / name for name in unique([photo.stem for photo in photos])]

        def make(number: int, photo: Path) -> str | None:
            result, folder = segmenter(photo), folders[number]
            if folder is not None:
                result.save(folder, background=background, overlay=overlay)
            if as_json:
                return json_line(to_api(result))
            return _summary(photo, folder, result) if folder is not None and len(photos) == 1 else None

        with segmenter:
            failures = each_photo(photos, make, load=segmenter.warm, tell_failure=_reply if as_json else _nothing)
    if out is not None and len(photos) > len(failures):
        click.echo(f"results in {out}", err=as_json)
    finish(failures)


def _nothing(photo: Path, error: IdsegError) -> None:
    return None


def _reply(photo: Path, error: IdsegError) -> str:
    """The API's JSON of an error, so that every photo has one line."""
    from idseg.cloud import wire
    from idseg.cloud.errors import render_error

    return json_line(render_error(error, wire.new_log_id()))


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


def segment_options(chosen: dict[str, Any]) -> Options:
    """Convert the command line's options to the pipeline's options."""
    from idseg.segmenter import CropOptions, DecodeLimits

    crop = {"aspect": _aspect(chosen["aspect"]), "head_room": chosen["head_room"]}
    limits = {"max_side": chosen["max_side"]}
    return options_of(chosen, crop=CropOptions(**given(crop)), limits=DecodeLimits(**given(limits)))


def _aspect(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        width, height = (float(part) for part in text.split(":"))
        return width / height
    except (ValueError, ZeroDivisionError):
        raise OptionError(f"--aspect {text!r} is not W:H, e.g. 5:7", aspect=text) from None
