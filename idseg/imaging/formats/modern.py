"""Reads WebP and AVIF (Pillow's plugins) and HEIC (pi-heif): the first or the main picture.

These libraries read the header first, have their own limits, and decode only on request. For HEIC these limits do not
suffice; see :mod:`idseg.imaging.formats.heif`. 10 and 12 bits are converted to 8. libheif applies HEIC's rotation and
mirroring, so the EXIF orientation, which repeats them, is ignored.
"""

from __future__ import annotations

import io

from PIL import Image

from idseg.errors import PhotoFormatError
from idseg.imaging.formats import Raster, exif, heif, pillow
from idseg.types import Size


def read_webp(webp: bytes) -> Raster:
    """Read the header of a WebP (an animated one: its first frame). Raises PhotoDamagedError."""
    from PIL.WebPImagePlugin import WebPImageFile

    image = pillow.open_image(WebPImageFile, webp, "WebP")

    def load() -> Image.Image:
        return pillow.load(image, "WebP", len(webp))

    orientation = exif.orientation(image.info.get("exif") or b"")
    return Raster("WebP", Size(*image.size), load, image.info.get("icc_profile"), orientation)


def read_avif(avif: bytes) -> Raster:
    """Read the header of an AVIF (a sequence: its first frame). Raises PhotoDamagedError, PhotoFormatError."""
    from PIL.AvifImagePlugin import AvifImageFile

    image = pillow.open_image(AvifImageFile, avif, "AVIF")

    def load() -> Image.Image:
        return pillow.load(image, "AVIF", len(avif))

    orientation = exif.orientation(image.info.get("exif") or b"")  # Pillow puts the file's own rotation there
    return Raster("AVIF", Size(*image.size), load, image.info.get("icc_profile"), orientation)


def read_heic(heic: bytes) -> Raster:
    """Read the header of the main picture of a HEIC or HEIF. Raises PhotoDamagedError, PhotoFormatError."""
    try:
        import pi_heif
    except ImportError as error:  # pi-heif has no wheel for this platform
        raise PhotoFormatError(
            "A HEIC photo; to read it, install pi-heif: pip install pi-heif. Or save it as JPEG.", found="HEIC"
        ) from error
    heif.check_heic(heic)
    with pillow.damage_of("HEIC", len(heic)):
        opened = pi_heif.open_heif(io.BytesIO(heic))
        main = opened[opened.primary_index]
        size = Size(*main.size)

    def load() -> Image.Image:
        with pillow.damage_of("HEIC", len(heic), size):
            return pillow.eight_bits(main.to_pillow())

    icc = main.info.get("icc_profile")
    return Raster("HEIC", size, load, icc if isinstance(icc, bytes) else None)
