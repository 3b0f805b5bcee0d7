"""Computes the coarse matte with a network that sees the whole picture at once.

A matte is a callable ``(rgb) -> alpha`` at the picture's own size and any aspect. ``load_matte`` makes it from a block
of the manifest, or from any ONNX file whose kind a preset describes. The output is never stretched between its own
minimum and maximum, because an empty picture would then get a full mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import cv2
import numpy as np
import numpy.typing as npt

from idseg.errors import ModelDamagedError, ModelNameError, OptionError
from idseg.imaging.bounds import bounded
from idseg.imaging.resize import resize, shrunk, unit
from idseg.models.edge import EdgeNet
from idseg.models.manifest import Manifest, ModelEntry
from idseg.models.onnx import Net, load_net, suits_integers
from idseg.system import threads_of_half
from idseg.types import Alpha, Coarse, Features, Rgb, Size, Window

Fit: TypeAlias = Literal["area", "stretch", "short-side"]
"""How a picture is fitted to the network's input.

* ``area``: keeps the picture's aspect, at about ``size[0] * size[1]`` px. A picture with about as many pixels is not
  resampled, because that would lose detail; a smaller one is enlarged to half of that. Edge pixels are repeated up to
  multiples of ``multiple``.
* ``stretch``: exactly ``size``, whatever the aspect.
* ``short-side``: keeps the picture's aspect, the shorter side about ``size[0]``, both sides multiples of ``multiple``.
"""
Activation: TypeAlias = Literal["none", "sigmoid"]

AUTO = "auto"
"""Instead of a model's name: idseg's own net, in the form that suits the provider."""
_FLOAT, _INT8 = "portrait-coarse", "portrait-coarse-int8"
"""idseg's net with floats, and with 8-bit integers."""

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


class _Seen(NamedTuple):
    """A net's output for a framed picture."""

    alpha: npt.NDArray[np.float32]
    """(h, w), at the size of the net's input."""
    inner: Window
    """The picture's window in it."""
    features: Features | None


class Glance(NamedTuple):
    """A low-resolution matte of a picture; see :meth:`Matte.glance`."""

    alpha: Alpha
    """At the picture's own size (H, W)."""
    seen: Alpha
    """As the net gave it, (h, w)."""


class Matte:
    """A matting net, ready to run. Thread-safe; keeps nothing of a picture.

    Args:
        net: the loaded file.
        form: its input and output.
        low: a smaller net that makes low-resolution mattes of the same pictures; None: this net makes them.
        edge: the net's second file; None: the net is whole.

    Raises:
        ModelDamagedError: the file has no input or output with the form's name.
    """

    def __init__(self, net: Net, form: MatteForm, low: Matte | None = None, edge: EdgeNet | None = None) -> None:
        self._net, self._form, self._low, self._edge = net, form, low, edge
        self._input = form.input if form.input is not None else net.inputs[0]
        self._output = form.guess or form.output or net.outputs[0]
        wanted = {self._output} if form.features is None else {self._output, form.features}
        wanted |= edge.needs if edge is not None else frozenset()
        if self._input not in net.inputs or not wanted <= set(net.outputs):
            raise ModelDamagedError(
                f"{net.path.name} has inputs {net.inputs} and outputs {net.outputs}, "
                f"not {self._input!r} and {' and '.join(repr(name) for name in sorted(wanted))}",
                path=str(net.path),
            )
        levels = np.arange(256, dtype=np.float32)[:, None]
        tables = (levels - np.array(form.mean, np.float32)) * (1.0 / np.array(form.std)).astype(np.float32)
        self._tables = [np.ascontiguousarray(table) for table in tables.T]
        """The normalised value of each of the 256 levels, for red, green and blue."""

    @property
    def provider(self) -> str:
        """Short name of the execution provider that actually runs the net."""
        return self._net.provider

    @property
    def glances_are_whole(self) -> bool:
        """Whether a glance is the net's own matte, so that a look at the same picture would show nothing more."""
        return self._low is None

    def enlargement(self, picture: Size) -> float:
        """Picture pixels per pixel of the net's input."""
        seen, _ = frame(picture, self._form)
        return picture.width * picture.height / (seen.width * seen.height)

    def __call__(self, rgb: Rgb, glance: Glance | None = None) -> Alpha:
        """Alpha of the person, (H, W), at the picture's own size; see :meth:`look`."""
        return self.look(rgb, glance).alpha

    def look(self, rgb: Rgb, glance: Glance | None = None, pool: Executor | None = None) -> Coarse:
        """Alpha of the person at the picture's own size, and the net's features.

        Args:
            rgb: the picture.
            glance: what :meth:`glance` gave for the same picture, which saves the low-resolution pass.
            pool: one of its threads may take half of the work at the person's edge.

        At a lower resolution, person and background are separated more reliably (at a large scale, a checked jacket
        looks like any other pattern). The low-resolution matte bounds the full-resolution one, except where the latter
        confidently disagrees.
        """
        whole = self._seen(rgb, pool)
        picture = Size(rgb.shape[1], rgb.shape[0])
        alpha = out_of_frame(whole.alpha, whole.inner, picture)
        if self._low is None or self._low.enlargement(picture) <= 1.0:
            return Coarse(alpha, whole.features)
        seen = self._low._glanced(rgb) if glance is None else glance.seen
        return Coarse(bounded(alpha, seen), whole.features)

    def glance(self, rgb: Rgb) -> Glance:
        """A low-resolution matte, of the smaller net if there is one. It shows where a head ends."""
        seen = (self._low or self)._glanced(rgb)
        return Glance(unit(resize(seen, Size(rgb.shape[1], rgb.shape[0]))), seen)

    def _glanced(self, rgb: Rgb) -> npt.NDArray[np.float32]:
        scaled, _ = frame(Size(rgb.shape[1], rgb.shape[0]), self._form)
        seen = self._seen(np.asarray(shrunk(rgb, scaled), np.uint8))
        return inside(seen.alpha, seen.inner)

    def _seen(self, rgb: Rgb, pool: Executor | None = None) -> _Seen:
        form = self._form
        framed, inner = into_frame(rgb, form)
        planes = np.empty((1, 3, *framed.shape[:2]), np.float32)
        for plane, table, target in zip(cv2.split(framed), self._tables, planes[0], strict=True):
            cv2.LUT(plane, table, target)
        found = self._net({self._input: planes})
        value = found[self._output].astype(np.float32)
        value = value.reshape(-1, *value.shape[-2:])[0]
        if form.activation == "sigmoid":
            value = 1.0 / (1.0 + np.exp(-value))
        if self._edge is not None:
            value, planar = self._edge(planes, found, value, pool)
        elif form.features is not None:
            planar = found[form.features][0]
        else:
            return _Seen(value, inner, None)
        features = planar.transpose(1, 2, 0)  # a view: only a refiner needs a copy in this order
        return _Seen(value, inner, Features(np.asarray(features, np.float32), inner))


def load_matte(
    manifest: Manifest, model: str, provider: str = "auto", threads: int | None = None, *, preset: str | None = None
) -> Matte:
    """Load the matting net of a manifest block (task ``matting``) after checking its file, or with a preset an ONNX
    file.

    Args:
        manifest: the models' names.
        model: name of the block, ``auto`` for idseg's own net, or the path of the file if ``preset`` is given.
        provider: ``auto`` or a key of :data:`idseg.models.onnx.PROVIDERS`.
        threads: threads per run; None: one per core.
        preset: a key of ``PRESETS``.

    Raises:
        OptionError: there is no such preset.
        ModelNameError: there is no block with that name and task.
        ModelMissingError, ModelDamagedError: the file, or a block whose tables do not describe a matting net.
        ProviderError: the forced provider is not available.
    """
    if preset is not None:
        if preset not in PRESETS:
            raise OptionError(
                f"no preset is called {preset!r}; there are: {', '.join(PRESETS)}", preset=preset, known=list(PRESETS)
            )
        return Matte(load_net(Path(model), provider=provider, threads=threads or 0), PRESETS[preset])
    entry = manifest[resolved(model, provider)]
    if entry.task != "matting":
        known = [other.name for other in manifest if other.task == "matting"]
        raise ModelNameError(
            f"the model {model!r} is for {entry.task}, not matting; for matting: {', '.join(known)}", name=model
        )
    form = form_of(entry)
    net = load_net(entry.check(), provider=provider, threads=threads or 0, arena=True)
    low = edge = None
    if form.second_look is not None:
        other = manifest[form.second_look]
        # In 8-bit integers, which only CPUs run fast. It is so small that a second thread would mostly wait.
        low = Matte(load_net(other.check(), provider="cpu", threads=1, arena=True), form_of(other))
    if form.edge is not None:
        other = manifest[form.edge]
        half = threads_of_half(threads)
        edge = EdgeNet(load_net(other.check(), provider=provider, threads=half, arena=True), other)
    return Matte(net, form, low, edge)


def resolved(model: str, provider: str = "auto") -> str:
    """The name of the block for a matting model on a provider: ``model`` itself, unless it is ``auto``.

    Raises:
        ProviderError: the forced provider is not available.
    """
    if model != AUTO:
        return model
    return _INT8 if suits_integers(provider) else _FLOAT


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
        )
    except KeyError as error:
        raise ModelDamagedError(f"block {entry.name!r} of the manifest lacks {error}", name=entry.name) from None
    except (TypeError, ValueError) as error:
        raise ModelDamagedError(
            f"block {entry.name!r} of the manifest: {error}. size is [width, height]; mean and std are one number, or "
            "[red, green, blue]",
            name=entry.name,
        ) from None


def _seen_share(share: float) -> float:
    """Pixels at which "area" shows a picture to the net, as a share of the form's; ``share``: those of the picture."""
    return _ENLARGED if share < _AS_IT_IS[0] else min(share, 1.0)


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
        least, most = _AS_IT_IS
        shares = width * height / area
        if least <= shares <= most:
            return picture, Size(*(-(-side // form.multiple) * form.multiple for side in picture))
        scale = (_seen_share(shares) / shares) ** 0.5
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


def _three(values: Any) -> tuple[float, float, float]:
    """Accept one number for all channels, or three numbers."""
    if isinstance(values, int | float):
        return float(values), float(values), float(values)
    red, green, blue = values
    return float(red), float(green), float(blue)
