"""WebP and AVIF (Pillow's plugins), HEIC (pi-heif): the first or the main picture.

Their libraries read the header first, keep their own limits, and decode nothing before they are asked to. 10 and 12
bits become 8. HEIC's rotation and mirroring are applied by libheif; its EXIF orientation, which repeats them, is not.
"""

from __future__ import annotations

import io

from PIL import Image

from idseg.errors import PhotoFormatError
from idseg.imaging.formats import Raster, exif, pillow
from idseg.types import Size


def read_webp(webp: bytes) -> Raster:
    """Header of a WebP; of an animated one the first frame. Raises PhotoDamagedError."""
    from PIL.WebPImagePlugin import WebPImageFile

    image = pillow.open_image(WebPImageFile, webp, "WebP")

    def load() -> Image.Image:
        return pillow.load(image, "WebP", len(webp))

    orientation = exif.orientation(image.info.get("exif") or b"")
    return Raster("WebP", Size(*image.size), load, image.info.get("icc_profile"), orientation)


def read_avif(avif: bytes) -> Raster:
    """Header of an AVIF; of a sequence the first frame. Raises PhotoDamagedError, PhotoFormatError."""
    from PIL.AvifImagePlugin import AvifImageFile

    image = pillow.open_image(AvifImageFile, avif, "AVIF")

    def load() -> Image.Image:
        return pillow.load(image, "AVIF", len(avif))

    orientation = exif.orientation(image.info.get("exif") or b"")  # the file's own rotation is written there by Pillow
    return Raster("AVIF", Size(*image.size), load, image.info.get("icc_profile"), orientation)


def read_heic(heic: bytes) -> Raster:
    """Header of a HEIC or HEIF, its main picture. Raises PhotoDamagedError, PhotoFormatError."""
    try:
        import pi_heif
    except ImportError as error:  # a platform without its wheels
        raise PhotoFormatError(
            "A HEIC photo; to read it, install pi-heif: pip install pi-heif. Or save it as JPEG.", found="HEIC"
        ) from error
    with pillow.damage_of("HEIC", len(heic)):
        opened = pi_heif.open_heif(io.BytesIO(heic))
        main = opened[opened.primary_index]
        size = Size(*main.size)

    def load() -> Image.Image:
        with pillow.damage_of("HEIC", len(heic), size):
            return pillow.eight_bits(main.to_pillow())

    icc = main.info.get("icc_profile")
    return Raster("HEIC", size, load, icc if isinstance(icc, bytes) else None)
