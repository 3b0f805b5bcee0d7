"""PNG, JPEG, scoremap and the atomic write."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from idseg.errors import OptionError
from idseg.imaging import encode


def _noise(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def _opened(file_bytes: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(file_bytes))
    image.load()
    return image


@given(
    hnp.arrays(
        np.uint8,
        st.one_of(
            hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
            st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([3, 4])),
        ),
    )
)
def test_png_is_lossless(pixels: npt.NDArray[np.uint8]) -> None:
    assert np.array_equal(np.asarray(_opened(encode.png(pixels))), pixels)


@pytest.mark.parametrize("shape", [(1201, 700, 3), (3, 400_000), (1500, 333, 4)])
def test_png_of_several_parts(shape: tuple[int, ...]) -> None:
    """More than is compressed at once, up to one row; smooth and noisy halves."""
    pixels = np.cumsum(_noise(*shape) // 85, axis=0, dtype=np.uint8)
    pixels[: shape[0] // 2] = _noise(shape[0] // 2, *shape[1:])
    file = encode.png(pixels)
    assert np.array_equal(np.asarray(_opened(file)), pixels)
    read = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert np.array_equal(read if read.ndim == 2 else read[..., [2, 1, 0, 3][: read.shape[2]]], pixels)


def test_png_of_views() -> None:
    rgba = _noise(30, 20, 4)
    for view in (rgba[::-1, ::2], rgba[:, :, :3], rgba[:, :, 0], rgba.transpose(1, 0, 2)):
        assert np.array_equal(np.asarray(_opened(encode.png(view))), view)
    assert _opened(encode.png(rgba[:, :, :1])).mode == "L"


def test_jpeg_is_close_and_keeps_full_chroma() -> None:
    y, x = np.mgrid[:96, :64]
    smooth = np.dstack([x * 4, y * 2, 255 - x * 3]).astype(np.uint8)
    image = _opened(encode.jpeg(smooth))
    assert np.abs(np.asarray(image).astype(int) - smooth).mean() < 1.5
    assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0] = 255  # one-pixel red lines lose their colour with 4:2:0
    assert np.abs(np.asarray(_opened(encode.jpeg(stripes))).astype(int) - stripes).max() < 25
    assert _opened(encode.jpeg(smooth[:, :, 0])).mode == "L"


def test_jpeg_quality_changes_the_size() -> None:
    noise = _noise(64, 64, 3)
    assert len(encode.jpeg(noise, quality=50)) < len(encode.jpeg(noise)) < len(encode.jpeg(noise, quality=100))


@pytest.mark.parametrize("dpi", [72, 300, 350, 600])
def test_dpi(dpi: int) -> None:
    noise = _noise(60, 50, 3)
    assert _opened(encode.jpeg(noise, dpi=dpi)).info["dpi"] == (dpi, dpi)
    assert _opened(encode.png(noise, dpi=dpi)).info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)
    assert "dpi" not in _opened(encode.png(noise)).info


def test_srgb_tag_and_equal_bytes() -> None:
    noise = _noise(60, 50, 3)
    tagged = encode.jpeg(noise, srgb_tag=True)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(_opened(tagged).info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert "icc_profile" not in _opened(encode.jpeg(noise)).info
    assert b"\x07\xd0\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00" in tagged  # 2000-01-01, not now
    assert tagged == encode.jpeg(noise, srgb_tag=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode.jpeg(_noise(9, 9, 3), quality=0),
        lambda: encode.jpeg(_noise(9, 9, 3), quality=101),
        lambda: encode.jpeg(_noise(9, 9, 3), dpi=0),
        lambda: encode.png(_noise(9, 9, 3), dpi=float("nan")),
        lambda: encode.jpeg(_noise(9, 9, 4)),
        lambda: encode.png(_noise(9, 9, 2)),
        lambda: encode.png(_noise(9)),
        lambda: encode.png(_noise(0, 9, 3)),
        lambda: encode.png(np.zeros((9, 9), np.float32)),
    ],
)
def test_what_is_no_picture_is_refused(call: Any) -> None:
    with pytest.raises(OptionError):
        call()


def test_scoremap_rounds_and_clips() -> None:
    alpha = np.array([[-0.5, 0, 0.5 / 255, 1.5 / 255, 0.5, 254.4 / 255, 254.6 / 255, 1, 1.5]], np.float32)
    levels = encode.scoremap(alpha)
    assert levels.dtype == np.uint8
    assert levels.tolist() == [[0, 0, 0, 2, 128, 254, 255, 255, 255]]
    every = np.arange(256, dtype=np.float32)[None] / np.float32(255)
    assert encode.scoremap(every).tolist() == [list(range(256))]


def test_scoremap_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        encode.scoremap(np.array([[0.5, np.nan]], np.float32))
