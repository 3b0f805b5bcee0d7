"""Converts any Pillow picture to sRGB without alpha.

* An embedded ICC profile is applied (LittleCMS, relative colorimetric with black point compensation, to sRGB) if it
  consists of a matrix with curves, or of a grey curve, and matches the picture's colour space
  (:func:`idseg.imaging.formats.budget.profile_refusal`). Any other profile is ignored, as in browsers, and
  :func:`profile_note` says so.
* Alpha is composited on white (the paper of an ID photo), after the profile.
* CMYK is converted by Pillow's simple inverse (255 - ink).
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from idseg.imaging.formats import budget

_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L"}
_PROBE_LEVELS = (0, 36, 73, 109, 146, 182, 219, 255)
_SAME_TOLERANCE = 1
"""8-bit levels. A profile that changes no test colour by more than this is equivalent to sRGB and is not applied."""


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """The picture in mode RGB. ``image`` has mode 1, L, P, RGB, CMYK, YCbCr, LAB, HSV, or one of them with alpha."""
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert("L" if image.mode == "LA" else "RGB")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    rgb = _by_profile(image, icc) if icc else None
    if rgb is None:
        rgb = image if image.mode == "RGB" else image.convert("RGB")  # convert() would copy
    if alpha is None or alpha.getextrema() == (255, 255):
        return rgb
    paper = Image.new("RGB", rgb.size, (255, 255, 255))
    paper.paste(rgb, mask=alpha)
    return paper


def profile_note(icc: bytes | None) -> tuple[str, ...]:
    """A note for the user about the photo's colour profile: empty, or one sentence that says why it was ignored."""
    why = budget.profile_refusal(icc) if icc else ""
    return (f"The colour profile was ignored: {why}.",) if why else ()


def _by_profile(image: Image.Image, icc: bytes) -> Image.Image | None:
    """The picture in sRGB, or None if the profile changes nothing or cannot be used."""
    if budget.profile_refusal(icc):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        mode = _PROFILE_MODES.get(profile.profile.xcolor_space.strip())
        if mode != image.mode:
            return None
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode == "RGB" and _is_identity(transform):
            return None
        return ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    levels = np.array(_PROBE_LEVELS, np.uint8)
    probe = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 8, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform)).astype(int) - probe
    return int(np.abs(moved).max()) <= _SAME_TOLERANCE
