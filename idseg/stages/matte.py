"""Computes the coarse matte with a network that sees the whole picture at once.

A matte is a callable ``(rgb) -> alpha`` at the picture's own size and any aspect. ``load_matte`` makes it from a block
of the manifest, or from any ONNX file whose kind a preset describes. The output is never stretched between its own
minimum and maximum, because an empty picture would then get a full mask.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from idseg.errors import ModelDamagedError, ModelNameError, OptionError
from idseg.imaging.bounds import LowResolution, bounded, settled
from idseg.imaging.closer import averaged
from idseg.imaging.resize import resize, shrunk, unit
from idseg.models.edge import EdgeNet
from idseg.models.form import PRESETS, MatteForm, closer, form_of, frame, inside, into_frame, out_of_frame
from idseg.models.manifest import Manifest
from idseg.models.onnx import Net, load_net, suits_integers
from idseg.system import threads_of_half
from idseg.types import Alpha, Coarse, Features, Rgb, Size, Window

AUTO = "auto"
"""Instead of a model's name: idseg's own net, in the form that suits the provider."""
_FLOAT, _INT8 = "portrait-coarse", "portrait-coarse-int8"
"""idseg's net with floats, and with 8-bit integers."""

_CONTRADICTED = 0.0005
"""Share of the picture that a low-resolution matte takes away, from which a second one is asked: on 7 % of photos."""


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
    whole: bool = True
    """Whether the net saw just this picture; False: it saw what surrounds it too."""

    def part(self, window: Window) -> Glance:
        """The glance of a window of the picture, bilinear."""
        down, across = (small / large for small, large in zip(self.seen.shape, self.alpha.shape, strict=True))
        width, height = max(round(window.width * across), 1), max(round(window.height * down), 1)
        wide, high = window.width / width, window.height / height
        # The centre of the part's pixel (i, j) lies at the picture's (left + (i + .5) wide, top + (j + .5) high).
        map_back = np.array(
            (
                (wide * across, 0.0, (window.left + wide / 2) * across - 0.5),
                (0.0, high * down, (window.top + high / 2) * down - 0.5),
            )
        )
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(self.seen, map_back, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
        alpha = self.alpha[window.top : window.bottom, window.left : window.right]
        return Glance(alpha, np.asarray(seen, np.float32), whole=False)


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
        """Whether a glance is all that the net can say, so that a look at the same picture would show nothing more."""
        return self._low is None and self._edge is None and self._form.features is None

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

        Large pictures are seen a second time, closer and mirrored, and the two mattes are averaged.

        At a lower resolution, person and background are separated more reliably (at a large scale, a checked jacket
        looks like any other pattern). The low-resolution matte bounds the full-resolution one, except where the latter
        confidently disagrees, and where the latter is in doubt, decides how much of a neighbourhood is person. A glance
        that also saw what surrounds the picture, and would take away much of it, needs a second one of the same opinion
        that did not.
        """
        if glance is not None and glance.whole and self.glances_are_whole:
            return Coarse(glance.alpha, None)
        whole = self._seen(rgb, pool)
        picture = Size(rgb.shape[1], rgb.shape[0])
        alpha = out_of_frame(whole.alpha, whole.inner, picture)
        if self._low is None or self._low.enlargement(picture) <= 1.0:
            return Coarse(alpha, whole.features)
        seen = LowResolution.of(self._low._glanced(rgb) if glance is None else glance.seen)
        form = closer(picture, self._form)
        if form is not None:
            alpha = averaged(alpha, self._mirrored(rgb, pool, form), seen)
        limited = bounded(alpha, seen)
        if glance is not None and not glance.whole and _taken(alpha, limited) > _CONTRADICTED:
            seen = LowResolution.of(glance.seen, self._low._glanced(rgb))
            limited = bounded(alpha, seen)
        return Coarse(settled(limited, seen), whole.features)

    def _mirrored(self, rgb: Rgb, pool: Executor | None, form: MatteForm) -> Alpha:
        """The mirror image of the matte of the mirrored picture, seen in this form."""
        seen = self._seen(np.asarray(cv2.flip(rgb, 1), np.uint8), pool, form)
        alpha = out_of_frame(seen.alpha, seen.inner, Size(rgb.shape[1], rgb.shape[0]))
        return np.asarray(cv2.flip(alpha, 1), np.float32)

    def glance(self, rgb: Rgb) -> Glance:
        """A low-resolution matte, of the smaller net if there is one. It shows where a head ends."""
        seen = (self._low or self)._glanced(rgb)
        return Glance(unit(resize(seen, Size(rgb.shape[1], rgb.shape[0]))), seen)

    def _glanced(self, rgb: Rgb) -> npt.NDArray[np.float32]:
        scaled, _ = frame(Size(rgb.shape[1], rgb.shape[0]), self._form)
        seen = self._seen(np.asarray(shrunk(rgb, scaled), np.uint8))
        return inside(seen.alpha, seen.inner)

    def _seen(self, rgb: Rgb, pool: Executor | None = None, form: MatteForm | None = None) -> _Seen:
        form = form or self._form
        framed, inner = into_frame(rgb, form)
        planes = np.empty((1, 3, *framed.shape[:2]), np.float32)
        for plane, table, target in zip(cv2.split(framed), self._tables, planes[0], strict=True):
            cv2.LUT(plane, table, target)
        found = self._net({self._input: planes})
        value = found[self._output].astype(np.float32)
        value = value.reshape(-1, *value.shape[-2:])[0]
        if form.activation == "sigmoid":
            value = 1.0 / (1.0 + np.exp(-value))
        # The transposed features are views: only a refiner needs a copy in this order.
        if self._edge is not None:
            value, planar = self._edge(planes, found, value, pool)
            return _Seen(value, inner, Features(planar.transpose(1, 2, 0), inner, self._edge.levels))
        if form.features is not None:
            floats = np.asarray(found[form.features][0], np.float32)
            return _Seen(value, inner, Features(floats.transpose(1, 2, 0), inner))
        return _Seen(value, inner, None)


def _taken(alpha: Alpha, limited: Alpha) -> float:
    """The share of the picture that is person in the first matte and not in the second."""
    return float(np.maximum(alpha[::4, ::4] - limited[::4, ::4], 0.0).mean())


def load_matte(
    manifest: Manifest,
    model: str,
    provider: str = "auto",
    threads: int | None = None,
    *,
    preset: str | None = None,
    twice: bool = True,
) -> Matte:
    """Load the matting net of a manifest block (task ``matting``) after checking its file, or with a preset an ONNX
    file.

    Args:
        manifest: the models' names.
        model: name of the block, ``auto`` for idseg's own net, or the path of the file if ``preset`` is given.
        provider: ``auto`` or a key of :data:`idseg.models.onnx.PROVIDERS`.
        threads: threads per run; None: one per core.
        preset: a key of ``PRESETS``.
        twice: whether large pictures may be seen a second time, closer.

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
    if not twice:
        form = replace(form, closer=None)
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
