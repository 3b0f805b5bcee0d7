"""The output files of one photo.

A file's name is the photo's whole name plus the product's ending: ``school/a.jpg`` gives
``school/a.jpg.scoremap.png``. So ``a.jpg`` and ``a.png`` do not clash, and no name depends on other files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from idseg.batch.items import number64
from idseg.cloud import wire
from idseg.errors import OptionError
from idseg.imaging import encode
from idseg.imaging.colours import Color
from idseg.result import Result

ENDINGS: Mapping[str, str] = {
    "cut": ".cut.png",
    "scoremap": ".scoremap.png",
    "demo": ".demo.png",
    "cutout": ".cutout.png",
    "background": ".background.jpg",
    "overlay": ".overlay.jpg",
    "json": ".result.json",
    "api": ".reply.json",
}
"""Product → ending of its file name. No ending ends with another one, so files of different photos differ in name."""

DEFAULT = ("scoremap", "cutout", "json")


def check(products: Sequence[str], background: Color | None) -> None:
    """Raises OptionError if a product is unknown, if there is none, or if only one of background and colour is
    given."""
    unknown = [product for product in products if product not in ENDINGS]
    if unknown or not products:
        raise OptionError(f"no product is called {', '.join(unknown) or '(nothing)'}; there are: {', '.join(ENDINGS)}")
    if ("background" in products) != (background is not None):
        raise OptionError("the product background needs a colour, and a colour the product background")


def render(result: Result, key: str, products: Sequence[str], background: Color | None) -> dict[str, bytes]:
    """File name → content of the files of one answer."""
    makers: Mapping[str, Callable[[], bytes]] = {
        "cut": lambda: encode.png(result.cut),
        "scoremap": lambda: encode.png(result.scoremap),
        "demo": lambda: encode.png(result.on("black")),
        "cutout": lambda: encode.png(result.rgba),
        "background": lambda: encode.jpeg(result.on("white" if background is None else background)),
        "overlay": lambda: encode.jpeg(result.overlay()),
        "json": lambda: _json(result.to_dict()),
        "api": lambda: _json(wire.render(result, number64(key) >> 1)),  # fits Java's long; the same in each run
    }
    return {key + ENDINGS[product]: makers[product]() for product in products}


def facts(result: Result) -> dict[str, int | float]:
    """The numbers of an answer that appear in the report."""
    pose, window, face = result.pose, result.window, result.person.face_box
    return {
        "width": result.photo_size.width,
        "height": result.photo_size.height,
        "window_left": window.left,
        "window_top": window.top,
        "window_width": window.width,
        "window_height": window.height,
        "face_left": round(face.left, 1),
        "face_top": round(face.top, 1),
        "face_width": round(face.width, 1),
        "face_height": round(face.height, 1),
        "facepose": int(pose.facepose),
        "bodypose": int(pose.bodypose),
        "yaw_deg": round(pose.head.yaw_deg, 1),
        "pitch_deg": round(pose.head.pitch_deg, 1),
        "roll_deg": round(pose.head.roll_deg, 1),
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()
