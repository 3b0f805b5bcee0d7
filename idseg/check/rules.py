"""The allowed ranges, in the standards' terms, and the error of each measure.

A value inside its range is ``met``. A value outside by at most ``doubt``, the error of the measure, is ``check
yourself``. A value further outside is ``not met``. ``benchmarks/checks.py`` counts false and missed alarms; the figures
are in ``benchmarks/results/checks.json``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from idseg.photo.verdict import Status, judge


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule with its range."""

    term: str
    """The standards' term for the rule."""
    unit: str
    low: float = -math.inf
    high: float = math.inf
    doubt: float = 0.0
    """Error of the measure, in the same unit. A value outside the range by up to this is ``check yourself``."""
    too_low: str = ""
    """Advice for a value below the range."""
    too_high: str = ""

    def judge(self, value: float) -> Status:
        """The verdict on one value."""
        return judge(value, self.low, self.high, self.doubt)

    def advice(self, value: float) -> str:
        """What to do; empty for a value inside the range."""
        if value < self.low:
            return self.too_low
        return self.too_high if value > self.high else ""


_ISO = "ISO/IEC 19794-5"
_STRAIGHT = "Look straight into the camera, the camera at the height of the eyes."

RULES: Mapping[str, Rule] = {
    # ISO/IEC 19794-5:2005 7.2.2: yaw and pitch within 5 degrees, roll within 8. The error of the mesh is up to 7
    # degrees in yaw and pitch.
    "roll": Rule(f"{_ISO} 7.2.2 pose: roll", "degrees", -8, 8, 1, "Hold the head upright.", "Hold the head upright."),
    "yaw": Rule(f"{_ISO} 7.2.2 pose: yaw", "degrees", -5, 5, 7, _STRAIGHT, _STRAIGHT),
    "pitch": Rule(
        f"{_ISO} 7.2.2 pose: pitch",
        "degrees",
        -5,
        5,
        9,
        "Raise the chin or lower the camera.",
        "Lower the chin or raise the camera.",
    ),
    "shoulders_level": Rule(
        f"{_ISO} shoulders: square on", "degrees", -5, 5, 2, "Hold the shoulders level.", "Hold the shoulders level."
    ),
    "shoulders_inside": Rule(
        f"{_ISO} shoulders",
        "mm missing",
        high=0.5,
        doubt=1.5,
        too_high="Step back: the shoulders are cut off by the photo's edge.",
    ),
    "head_inside": Rule(
        f"{_ISO} 8.3 full frontal image: whole head",
        "sides cut",
        high=0,
        too_high="Step back: the picture's edge cuts the head.",
    ),
    "eyes_open": Rule(
        f"{_ISO} 7.2.3 expression: eyes open",
        "eye widths",
        high=0,
        doubt=0.06,
        too_high="Open the eyes and look at the camera.",
    ),
    "mouth_closed": Rule(
        f"{_ISO} 7.2.3 expression: mouth closed",
        "mouth widths",
        high=0.06,
        doubt=0.08,
        too_high="Close the mouth, do not smile.",
    ),
    "no_smile": Rule(
        f"{_ISO} 7.2.3 expression: neutral",
        "spread of the lips",
        high=1.1,
        doubt=0.065,
        too_high="Do not smile; close the mouth and relax the face.",
    ),
    "eyes_clear": Rule(
        f"{_ISO} eye glasses, eye patches: eyes in clear sight",
        "share",
        high=0.44,
        doubt=0.16,
        too_high="Take hair, dark glasses and thick frames away from the eyes.",
    ),
    "no_glare": Rule(
        f"{_ISO} eye glasses: no reflections",
        "share",
        high=0.01,
        doubt=0.025,
        too_high="Take the glasses off or move the lamp.",
    ),
    "sharp": Rule(
        f"{_ISO} focus",
        "px at 90 px between the eyes",
        high=1.6,
        doubt=0.2,
        too_high="Focus on the eyes and hold the camera still.",
    ),
    # ISO/IEC 19794-5: at least 7 bits of brightness in the face.
    "contrast": Rule(
        f"{_ISO} grey scale density", "levels", low=100, doubt=15, too_low="Use more light, and light from the front."
    ),
    "not_burnt": Rule(
        f"{_ISO} exposure", "share", high=0.01, doubt=0.02, too_high="Less light, or a shorter exposure."
    ),
    "not_dark": Rule(f"{_ISO} exposure", "share", high=0.05, doubt=0.10, too_high="More light on the face."),
    # ICAO TR Portrait Quality: the mean of the darkest zone is at least half of that of the brightest.
    "even_light": Rule(
        f"{_ISO} subject and scene lighting",
        "ratio",
        low=0.5,
        doubt=0.08,
        too_low="Light the face from the front, from both sides.",
    ),
    # ICAO TR Portrait Quality, ISO/IEC 19794-5 8.4: 90 px between the eyes.
    "resolution": Rule(
        f"{_ISO} resolution: inter-eye distance",
        "px",
        low=90,
        doubt=5,
        too_low="Use a photo with more pixels, or go nearer.",
    ),
    "enough_pixels": Rule(
        "pixels of the finished photo",
        "times enlarged",
        high=1.05,
        doubt=0.10,
        too_high="Use a photo with more pixels, or go nearer.",
    ),
    "background_color": Rule(
        "background: the document's colour",
        "CIELAB",
        high=12,
        doubt=8,
        too_high="Use a wall of the document's colour, lit evenly.",
    ),
    "background_even": Rule(
        f"{_ISO} backgrounds",
        "CIELAB",
        high=5,
        doubt=3,
        too_high="Stand a metre before a plain wall.",
    ),
}
