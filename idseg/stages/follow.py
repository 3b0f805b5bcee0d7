"""Lets a matte follow the picture's colours where it is in doubt.

What the colours say can be right or wrong (:mod:`idseg.imaging.colourlines`). Small nets, which were trained on
photos and composed pictures, decide at each pixel, first at a low resolution.
"""

from __future__ import annotations

import cv2
import numpy as np

from idseg.errors import ModelDamagedError
from idseg.imaging.colourlines import LOW_AREA, NO_CHANGE, Evidence, Scaled, first_change
from idseg.imaging.laplacian import Floats
from idseg.imaging.planes import FAINT
from idseg.models.manifest import Manifest, ModelEntry
from idseg.models.onnx import Net, check_names, load_net
from idseg.types import Alpha, Rgb

COLOUR_NETS = ("portrait-colours-low", "portrait-colours")
"""Names of the blocks in the manifest: the net for the lower resolution, and the one for the higher."""


class ColourNet:
    """Decides at one resolution how far a matte follows the picture's colours; thread-safe.

    Raises:
        ModelDamagedError: the file's input or output is not that of its block in the manifest.
    """

    def __init__(self, net: Net, entry: ModelEntry) -> None:
        self._net = net
        try:
            self._input, self._output = str(entry.input["name"]), str(entry.output["name"])
        except KeyError as error:
            raise ModelDamagedError(f"block {entry.name!r} of the manifest lacks {error}", name=entry.name) from None
        check_names(net, (self._input,), (self._output,))

    def __call__(self, evidence: Evidence) -> Floats:
        """The change (h, w) of the matte, 0 where nothing is uncertain."""
        change = np.asarray(self._net({self._input: evidence.planes[None]})[self._output][0, 0], np.float32)
        change *= evidence.free
        alpha = evidence.planes[0]
        np.clip(change, -alpha, 1.0 - alpha, out=change)
        return evidence.cells.picture(evidence.cells.inner(change))


class Follower:
    """Changes a matte where it is in doubt and the picture's colours say more; thread-safe.

    Args:
        low: the net for the lower resolution.
        high: the one for the higher.
    """

    def __init__(self, low: ColourNet, high: ColourNet) -> None:
        self._low, self._high = low, high

    def __call__(self, rgb: Rgb, alpha: Alpha, *, again: bool = False) -> Alpha:
        """The changed matte (H, W) of a picture (H, W, 3).

        Args:
            rgb: the picture.
            alpha: its matte.
            again: let the net for the higher resolution change its own result once more.
        """
        before = Scaled.high(rgb, alpha)
        after = self.changed(before, self.low_change(before))
        if after is None:
            return alpha
        if again:
            after = self.changed(after) or after
        found = cv2.resize(after.alpha - before.alpha, alpha.shape[::-1])
        cv2.add(found, alpha, found)
        cv2.threshold(found, FAINT, 1.0, cv2.THRESH_TOZERO, found)
        cv2.threshold(found, 1.0, 1.0, cv2.THRESH_TRUNC, found)
        return np.asarray(found, np.float32)

    def changed(self, scaled: Scaled, change: Floats = NO_CHANGE) -> Scaled | None:
        """A picture with the matte that the net for the higher resolution makes of it and of the lower one's change;
        None: the matte is certain."""
        evidence = Evidence.of(scaled, change)
        return None if evidence is None else scaled._replace(alpha=scaled.alpha + self._high(evidence))

    def low_change(self, scaled: Scaled) -> Floats:
        """The change at the lower resolution, any size."""
        low = Scaled.of(*scaled, LOW_AREA)
        evidence = Evidence.of(low, first_change(low))
        return NO_CHANGE if evidence is None else self._low(evidence)


def load_follower(manifest: Manifest, threads: int | None = None) -> Follower:
    """Load the two nets, which always run on the CPU, because their inputs are computed there.

    Raises:
        ModelNameError, ModelMissingError, ModelDamagedError: a block or file.
    """
    entries = [manifest[name] for name in COLOUR_NETS]
    nets = [load_net(entry.check(), provider="cpu", threads=threads or 0, arena=True) for entry in entries]
    return Follower(*(ColourNet(net, entry) for net, entry in zip(nets, entries, strict=True)))
