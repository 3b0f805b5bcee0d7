"""Supported photo formats: try every format through every entrance and write the table of README.md.

    python -m benchmarks.formats

The photos are made from the astronaut portrait (public domain). Writing HEIC needs ``pip install pillow-heif``; without
it a small picture without a person is used. Only decoding is tested: a fake Segmenter decodes the photo and then raises
NoPersonError, so the answer "no person" of the API or of ``/v1`` means that the photo was read.
"""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.environment import ROOT
from idseg import body_seg_photo
from idseg.cloud.errors import ERROR_CODES
from idseg.errors import IdsegError, NoPersonError
from idseg.result import Result
from idseg.server.routes.page import MAX_FILE
from idseg.server.routes.photo_api import checked
from idseg.stages.crop import CropOptions
from idseg.stages.decode import DecodeLimits, PhotoLike, decode
from idseg.types import Rgb

_PAGE = ROOT / "benchmarks" / "README.md"
_BEGIN, _END = "<!-- formats from here -->", "<!-- formats to here -->"


def _portrait() -> Rgb:
    from skimage import data

    picture: Rgb = np.ascontiguousarray(data.astronaut())  # type: ignore[no-untyped-call]
    return picture


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _heic(image: Image.Image) -> bytes:
    try:
        import pillow_heif
    except ImportError:
        return (ROOT / "tests" / "data" / "scene.heic").read_bytes()
    pillow_heif.register_heif_opener()
    return _saved(image, "HEIF", quality=85)


def photos() -> dict[str, bytes]:
    """A file for each kind of photo, by the kind's name."""
    image = Image.fromarray(_portrait())
    jpeg = _saved(image, "JPEG", quality=90)
    alpha = image.copy()
    alpha.putalpha(255)
    grey16 = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return {
        "JPEG": jpeg,
        "JPEG, CMYK": _saved(image.convert("CMYK"), "JPEG"),
        "JPEG without its end marker": jpeg[:-2],
        "JPEG cut off in the middle": jpeg[: len(jpeg) // 2],
        "MPO (two pictures)": _saved(image, "MPO", save_all=True, append_images=[image]),
        "JPEG, 24 MP": _saved(image.resize((4896, 4896)), "JPEG", quality=60),
        "JPEG, 48 MP": _saved(image.resize((6928, 6928)), "JPEG", quality=60),
        "PNG": _saved(image, "PNG"),
        "PNG, 16 bits, grey": _saved(grey16, "PNG"),
        "PNG with alpha": _saved(alpha, "PNG"),
        "BMP": _saved(image, "BMP"),
        "HEIC": _heic(image),
        "WebP": _saved(image, "WEBP", quality=90),
        "AVIF": _saved(image, "AVIF", quality=80),
        "TIFF, LZW": _saved(image, "TIFF", compression="tiff_lzw"),
        "TIFF, 16 bits, grey": _saved(grey16, "TIFF"),
        "GIF": _saved(image.quantize(255), "GIF"),
        "PDF": b"%PDF-1.7\n",
    }


def _read(photo: PhotoLike) -> str:
    try:
        decode(photo)
    except IdsegError as error:
        return error.reason.replace("_", " ")
    return "read"


def _by_array(content: bytes) -> str:
    try:
        with Image.open(io.BytesIO(content)) as image:
            array = np.asarray(image)
    except (OSError, ValueError):
        return "-"
    return _read(array)


class _Nobody:
    """In place of a Segmenter: reads the photo, and finds nobody."""

    def __call__(
        self, photo: bytes, /, *, crop: CropOptions | None = None, limits: DecodeLimits | None = None
    ) -> Result:
        decode(photo, limits or DecodeLimits())
        raise NoPersonError("nobody", persons=0)

    def whole(self, photo: bytes | Rgb, /) -> Result:
        raise NoPersonError("nobody", persons=0)


def _by_base64(content: bytes) -> str:
    reply = body_seg_photo(base64.b64encode(content), _Nobody())
    code = reply["error_code"]
    return "read" if code == ERROR_CODES[NoPersonError] else f"code {code}"


def _by_upload(content: bytes) -> str:
    """Do what ``POST /v1/check`` does with a body: apply its size limit, then call the route's function."""
    if len(content) > MAX_FILE:
        return f"over {MAX_FILE / 2**20:g} MiB"
    try:
        checked(_Nobody(), content, "size=35x45mm")
    except IdsegError as error:
        return error.reason.replace("_", " ")
    return "read"


def table() -> Iterator[str]:
    """The table's lines in Markdown."""
    yield "| photo | KB | file | bytes | array | base64 (`body_seg_photo`) | upload (`/v1`) |"
    yield "|---|--:|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"  # the same name for every format
        for name, content in tqdm(photos().items(), unit="photo"):
            path.write_bytes(content)
            outcomes = [
                _read(path),
                _read(content),
                _by_array(content),
                _by_base64(content),
                _by_upload(content),
            ]
            yield f"| {name} | {len(content) / 1000:.0f} | {' | '.join(outcomes)} |"


@click.command()
def main() -> None:
    """Try every photo through every entrance and write the table into README.md."""
    rows = "\n".join(table())
    page = _PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}\n{rows}\n{_END}{after}", encoding="utf-8")
    click.echo(rows)


if __name__ == "__main__":
    main()
