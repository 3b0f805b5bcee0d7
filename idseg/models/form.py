"""The input and the output of a matting net, and how a picture of any size is fitted to the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import cv2
import numpy as np
import numpy.typing as npt

from idseg.errors import ModelDamagedError
from idseg.imaging.resize import resize, unit
from idseg.models.manifest import ModelEntry
from idseg.types import Alpha, Rgb, Size, Window

Fit: TypeAlias = Literal["area", "stretch", "short-side"]
"""How a picture is fitted to the network's input.

* ``area``: keeps the picture's aspect, at about ``size[0] * size[1]`` px. A picture with about as many pixels is not
  resampled, because that would lose detail; a smaller one is enlarged to half of that, or as ``enlarged`` says. Edge
  pixels are repeated up to multiples of ``multiple``.
* ``stretch``: exactly ``size``, whatever the aspect.
* ``short-side``: keeps the picture's aspect, the shorter side about ``size[0]``, both sides multiples of ``multiple``.
"""
Activation: TypeAlias = Literal["none", "sigmoid"]

_AS_IT_IS = (0.4, 1.25)
"""Range of a picture's pixels, as a share of the form's, in which "area" does not resample it. Enlarging smaller
pictures more would help hair less than it harms the rest."""
_ENLARGED = 0.5
"""Share of the form's pixels to which "area" enlarges smaller pictures."""
_LARGEST_ASPECT = 3.0  # "area" squeezes longer pictures; at 3:1, a 256 x 320 net has 5 rows at stride 32


@dataclass(frozen=True, slots=True)
class MatteForm:
    """Input and output of a matting network."""

    size: Size
    fit: Fit
    multiple: int
    mean: tuple[float, float, float]
    """Mean of red, green, blue (0..255), which is subtracted from the picture."""
    std: tuple[float, float, float]
    """Standard deviation of red, green, blue, by which the difference is divided."""
    activation: Activation
    input: str | None = None
    """Name of the input; None: the first one."""
    output: str | None = None
    """Name of the output; None: the first one. Its last two axes are rows and columns; the first channel is used."""
    features: str | None = None
    """Name of the output with the net's last features, for a refiner; None: it has none."""
    guess: str | None = None
    """Name of the output that guesses the matte at half size, if the net continues in a second file; None: it is whole.
    """
    edge: str | None = None
    """Name of the block of the second file; None: the net is whole."""
    second_look: str | None = None
    """Name of the block whose net makes the low-resolution matte that bounds this net's matte; None: nothing does."""
    enlarged: tuple[float, float] | None = None
    """"area" enlarges pictures to the form's pixels whose own are between these shares of them; None: no pictures."""
    closer: tuple[float, float] | None = None
    """Pictures from the first share of the form's pixels on are seen a second time, at the second share; None: no
    pictures are."""


_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)

PRESETS: Mapping[str, MatteForm] = {
    # github.com/ZHKKKe/MODNet, onnx/inference_onnx.py: (x - 127.5) / 127.5, short side 512, multiples of 32.
    "modnet": MatteForm(Size(512, 512), "short-side", 32, (127.5,) * 3, (127.5,) * 3, "none"),
    # github.com/xuebinqin/DIS, Inference.py: x / 255 - 0.5 at 1024 x 1024; the graph ends in a sigmoid.
    "isnet": MatteForm(Size(1024, 1024), "stretch", 32, (127.5,) * 3, (255.0,) * 3, "none"),
    # github.com/xuebinqin/U-2-Net, data_loader.py ToTensorLab(flag=0): ImageNet statistics at 320 x 320; the graph ends
    # in a sigmoid. Unlike the original, idseg neither divides by the picture's maximum nor stretches the output.
    "u2net": MatteForm(Size(320, 320), "stretch", 32, _IMAGENET_MEAN, _IMAGENET_STD, "none"),
    # github.com/ZhengPeng7/BiRefNet, README: ImageNet statistics at 1024 x 1024; the graph ends in logits.
    "birefnet": MatteForm(Size(1024, 1024), "stretch", 32, _IMAGENET_MEAN, _IMAGENET_STD, "sigmoid"),
}


def form_of(entry: ModelEntry) -> MatteForm:
    """Read the ``input`` and ``output`` tables of a manifest block.

    Raises:
        ModelDamagedError: a key is missing or has an unknown value.
    """
    try:
        fit, activation = entry.input["fit"], entry.output["activation"]
        for key, value, known in (("fit", fit, get_args(Fit)), ("activation", activation, get_args(Activation))):
            if value not in known:
                raise ValueError(f"{key} = {value!r}; it is one of {', '.join(known)}")
        width, height = entry.input["size"]
        second_look, edge = entry.input.get("second_look"), entry.output.get("edge")
        for key, block in (("second_look", second_look), ("edge", edge)):
            if not isinstance(block, str | None):
                raise ValueError(f"{key} = {block!r}; it is the name of another block")
        if (entry.output.get("guess") is None) != (edge is None):
            raise ValueError("a net with a guess needs the second file, edge, and a net with edge a guess")
        return MatteForm(
            size=Size(int(width), int(height)),
            fit=fit,
            multiple=int(entry.input["multiple"]),
            mean=_three(entry.input["mean"]),
            std=_three(entry.input["std"]),
            activation=activation,
            input=entry.input.get("name"),
            output=entry.output.get("name"),
            features=entry.output.get("features"),
            guess=entry.output.get("guess"),
            edge=edge,
            second_look=second_look,
            enlarged=_range(entry.input.get("enlarged")),
            closer=_positive("closer", _range(entry.input.get("closer"))),
        )
    except KeyError as error:
        raise ModelDamagedError(f"block {entry.name!r} of the manifest lacks {error}", name=entry.name) from None
    except (TypeError, ValueError) as error:
        raise ModelDamagedError(
            f"block {entry.name!r} of the manifest: {error}. size is [width, height]; mean and std are one number, or "
            "[red, green, blue]",
            name=entry.name,
        ) from None


def closer(picture: Size, form: MatteForm) -> MatteForm | None:
    """The form in which the net sees the picture a second time; None: it does not."""
    if form.closer is None:
        return None
    least, share = form.closer
    width, height = form.size
    if picture.width * picture.height < least * width * height:
        return None
    size = Size(*(round(side * share**0.5) for side in form.size))
    return replace(form, size=size, enlarged=(0.0, 1.0), closer=None)


def _seen_share(share: float, enlarged: tuple[float, float] | None) -> float:
    """Pixels at which "area" shows a picture to the net, as a share of the form's; ``share``: those of the picture.
    ``enlarged``: see :class:`MatteForm`."""
    if enlarged is not None and enlarged[0] <= share <= enlarged[1]:
        return 1.0
    if share < _AS_IT_IS[0]:
        return _ENLARGED
    return share if share <= _AS_IT_IS[1] else 1.0


def frame(picture: Size, form: MatteForm) -> tuple[Size, Size]:
    """The size at which a net of this form sees the picture, and the size of its input, which may be larger."""
    if form.fit == "stretch":
        return form.size, form.size
    width, height = picture
    aspect, area = width / height, form.size.width * form.size.height
    if form.fit == "short-side":
        scale = form.size.width / min(width, height)
        wanted = (width * scale, height * scale)
    elif 1.0 / _LARGEST_ASPECT <= aspect <= _LARGEST_ASPECT:
        share = width * height / area
        seen = _seen_share(share, form.enlarged)
        if seen == share:
            return picture, Size(*(-(-side // form.multiple) * form.multiple for side in picture))
        scale = (seen / share) ** 0.5
        wanted = (width * scale, height * scale)
    else:
        aspect = min(max(aspect, 1.0 / _LARGEST_ASPECT), _LARGEST_ASPECT)
        wanted = ((area * aspect) ** 0.5, (area / aspect) ** 0.5)
    size = Size(*(max(round(side / form.multiple), 1) * form.multiple for side in wanted))
    return size, size


def into_frame(rgb: Rgb, form: MatteForm) -> tuple[Rgb, Window]:
    """The picture as input for a net of this form, with edge pixels repeated as a border, and its window there."""
    scaled, whole = frame(Size(rgb.shape[1], rgb.shape[0]), form)
    # Even, so that the picture's features begin at a whole pixel of half the size.
    left, top = (whole.width - scaled.width) // 4 * 2, (whole.height - scaled.height) // 4 * 2
    right, bottom = whole.width - scaled.width - left, whole.height - scaled.height - top
    small = resize(rgb, scaled)
    if scaled != whole:
        small = cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return np.asarray(small, np.uint8), Window(left, top, scaled.width, scaled.height)


def out_of_frame(value: npt.NDArray[np.float32], inner: Window, picture: Size) -> Alpha:
    """Resize a net's output (H, W) to the picture's own size: the inverse of :func:`into_frame`."""
    return unit(resize(inside(value, inner), picture))


def inside(value: npt.NDArray[np.float32], inner: Window) -> npt.NDArray[np.float32]:
    """The part of a net's output (H, W) that belongs to the picture; a view."""
    return value[inner.top : inner.bottom, inner.left : inner.right]


def _range(values: Any) -> tuple[float, float] | None:
    if values is None:
        return None
    least, most = values
    return float(least), float(most)


def _positive(key: str, values: tuple[float, float] | None) -> tuple[float, float] | None:
    if values is not None and not min(values) > 0.0:
        raise ValueError(f"{key} = {[*values]}; both are above 0")
    return values


def _three(values: Any) -> tuple[float, float, float]:
    """Accept one number for all channels, or three numbers."""
    if isinstance(values, int | float):
        return float(values), float(values), float(values)
    red, green, blue = values
    return float(red), float(green), float(blue)
