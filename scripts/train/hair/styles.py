"""Hair styles as numbers: how strands leave the scalp, fall, curl, clump and separate."""

from __future__ import annotations

from dataclasses import dataclass, replace

Span = tuple[float, float]
"""A range; a value is drawn from it with equal probability."""


@dataclass(frozen=True)
class Style:
    """One style. Lengths in head units (100 mm), forces per step of growth, shares 0..1."""

    length: Span
    lift: float = 0.6
    """Force along the skin's normal at the root."""
    side: float = 0.4
    """Force away from the parting."""
    back: float = 0.2
    up: float = 0.1
    stiff: float = 0.85
    weight: float = 0.25
    """Gravity."""
    amplitude: Span = (0.0, 0.03)
    """Amplitude of waves and curls."""
    turns: Span = (1.0, 3.0)
    flat: float = 0.4
    """Probability that the curl is a wave in a plane instead of a helix."""
    clump: float = 0.5
    """How strongly the strands of a lock converge at their ends."""
    frizz: float = 0.02
    guides: tuple[int, ...] = (200, 400, 800)
    strands: Span = (14000.0, 26000.0)
    opening: Span = (0.62, 0.85)
    """Half width of the uncovered face, as a share of the head's."""
    bangs: float = 0.0
    """Probability of a fringe."""
    gather: str = ""
    """Where strands are gathered: "tail", "bun", "braids", "half", or nowhere."""


_LONG = Style((2.0, 3.2), lift=0.3, side=0.6, back=0.25, stiff=0.75, weight=0.4, amplitude=(0.0, 0.035), bangs=0.25)
_SHORT = Style((0.12, 0.38), lift=1.2, side=0.2, up=0.3, stiff=1.0, weight=0.05, amplitude=(0.0, 0.01), clump=0.3)
_TIED = Style((1.2, 2.2), stiff=0.8, weight=0.35, amplitude=(0.0, 0.06), turns=(1.0, 5.0), clump=0.4, gather="tail")

STYLES: dict[str, Style] = {
    "short": _SHORT,
    "crop": replace(_SHORT, length=(0.05, 0.14), strands=(20000.0, 30000.0), clump=0.1),
    "spiky": replace(_SHORT, length=(0.3, 0.6), lift=1.6, side=0.1, clump=0.9, guides=(120, 250, 400)),
    "tousled": Style(
        (0.3, 0.75), lift=1.0, side=0.5, up=0.3, stiff=0.9, weight=0.12, amplitude=(0.01, 0.05), clump=0.6, frizz=0.04
    ),
    "slick": Style((0.5, 1.3), lift=0.12, side=0.25, back=1.2, stiff=0.9, weight=0.12, clump=0.5, frizz=0.01),
    "bob": replace(_LONG, length=(1.2, 1.8), stiff=0.8, weight=0.35, bangs=0.45),
    "long": _LONG,
    "fine": replace(_LONG, strands=(1500.0, 6000.0), clump=0.8, guides=(80, 160, 300), bangs=0.1),
    "wavy": replace(
        _LONG, length=(1.7, 3.0), lift=0.4, amplitude=(0.05, 0.11), turns=(3.0, 7.0), clump=0.7, frizz=0.04
    ),
    "curly": Style(
        (1.2, 2.3), lift=0.9, side=0.7, back=0.1, up=0.3, stiff=0.8, weight=0.22, amplitude=(0.06, 0.13),
        turns=(5.0, 12.0), flat=0.05, clump=0.9, frizz=0.03, bangs=0.3,
    ),
    "coily": Style(
        (0.6, 1.2), lift=1.0, side=0.4, up=0.3, stiff=0.95, weight=0.1, amplitude=(0.02, 0.05), turns=(7.0, 16.0),
        flat=0.0, clump=0.88, frizz=0.05, guides=(400, 800),
    ),
    "afro": Style(
        (0.4, 0.95), lift=1.5, side=0.2, back=0.0, up=0.2, stiff=1.0, weight=0.02, amplitude=(0.03, 0.07),
        turns=(6.0, 14.0), flat=0.1, clump=0.5, frizz=0.07, guides=(600, 1200), strands=(18000.0, 30000.0),
    ),
    "dreads": Style(
        (1.0, 2.4), side=0.6, up=0.2, stiff=0.8, weight=0.3, amplitude=(0.01, 0.04), turns=(2.0, 5.0), clump=0.97,
        frizz=0.02, guides=(70, 110, 160),
    ),
    "box-braids": replace(_LONG, length=(1.4, 2.8), clump=0.975, frizz=0.006, guides=(70, 110, 160), gather="plaits"),
    "braids": replace(_TIED, length=(1.3, 2.2), gather="braids"),
    "ponytail": _TIED,
    "half-up": replace(_LONG, bangs=0.3, gather="half"),
    "updo": replace(_TIED, length=(0.8, 1.4), gather="bun"),
    "beard": replace(_SHORT, length=(0.1, 0.3)),
}  # fmt: skip
"""Every style by name. "beard" is short hair with a long beard; other styles sometimes have a beard too."""
