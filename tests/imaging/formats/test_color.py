"""Colour profiles."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from idseg.stages.decode import decode
from tests.imaging.formats.files import ADOBE_RGB, difference, saved, scene


@pytest.mark.parametrize("form", ["PNG", "JPEG", "pil"])
def test_adobe_rgb_becomes_srgb(form: str) -> None:
    """Mid green (64, 128, 64) of Adobe RGB (1998) is (0.., 129, 61) in sRGB, by the two standards' formulas."""
    image = Image.new("RGB", (60, 60), (64, 128, 64))
    photo: Any = image
    if form == "pil":
        image.info["icc_profile"] = ADOBE_RGB
    else:
        options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
        photo = saved(image, form, icc_profile=ADOBE_RGB, **options)
    linear = (np.array([64, 128, 64]) / 255) ** 2.19921875
    adobe = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    srgb = np.array(
        [[3.2404542, -1.5371385, -0.4985314], [-0.969266, 1.8760108, 0.041556], [0.0556434, -0.2040259, 1.0572252]]
    )
    light = srgb @ adobe @ linear
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.clip(light, 0, 1) ** (1 / 2.4) - 0.055)
    assert np.abs(decode(photo).rgb[30, 30] - expected.clip(0, 255)).max() <= 2.5
    assert np.abs(decode(photo).rgb[30, 30].astype(int) - (64, 128, 64)).max() > 10


def test_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(decode(saved(scene(), "PNG", icc_profile=profile)), scene()) == 0


@pytest.mark.parametrize("profile", [b"junk", ADOBE_RGB[:200], ADOBE_RGB[:300], bytes(5000)])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_broken_profile_is_ignored(profile: bytes, form: str) -> None:
    plain = decode(saved(scene(), form))
    assert difference(decode(saved(scene(), form, icc_profile=profile)), plain.rgb) == 0


def test_profile_of_another_colour_space_is_ignored() -> None:
    grey = Image.fromarray(scene()).convert("L")
    assert difference(decode(saved(grey, "PNG", icc_profile=ADOBE_RGB)), np.asarray(grey.convert("RGB"))) == 0
    cmyk = saved(grey.convert("CMYK"), "JPEG")
    assert difference(decode(saved(grey.convert("CMYK"), "JPEG", icc_profile=ADOBE_RGB)), decode(cmyk).rgb) == 0


def test_profile_of_a_jpeg_in_several_parts() -> None:
    image = Image.new("RGB", (60, 60), (64, 128, 64))
    plain = saved(image, "JPEG", quality=100, subsampling=0)
    half = len(ADOBE_RGB) // 2
    parts = [b"ICC_PROFILE\0\x01\x02" + ADOBE_RGB[:half], b"ICC_PROFILE\0\x02\x02" + ADOBE_RGB[half:]]
    segments = b"".join(b"\xff\xe2" + struct.pack(">H", len(part) + 2) + part for part in parts)
    in_one = saved(image, "JPEG", quality=100, subsampling=0, icc_profile=ADOBE_RGB)
    assert difference(decode(plain[:2] + segments + plain[2:]), decode(in_one).rgb) == 0


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "pil"])
def test_a_profile_that_is_ignored_is_noted(form: str) -> None:
    image = Image.fromarray(scene())
    with_tables = ADOBE_RGB.replace(b"cprt", b"A2B0", 1)
    photo: Any = image
    if form == "pil":
        image.info["icc_profile"] = with_tables
    else:
        photo = saved(image, form, icc_profile=with_tables)
    (note,) = decode(photo).notes
    assert "look-up tables" in note
    assert decode(saved(scene(), "PNG", icc_profile=ADOBE_RGB)).notes == ()
    assert decode(saved(scene(), "PNG")).notes == ()
