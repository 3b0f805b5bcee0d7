"""The four words of a verdict, and when each of them is said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

Status: TypeAlias = Literal["met", "not met", "check yourself", "not applicable"]

MET: Final = "met"
NOT_MET: Final = "not met"
CHECK_YOURSELF: Final = "check yourself"
NOT_APPLICABLE: Final = "not applicable"
STATUSES: Final[tuple[Status, ...]] = (MET, NOT_MET, CHECK_YOURSELF, NOT_APPLICABLE)


def judge(value: float, low: float, high: float, doubt: float = 0.0, *, estimated: bool = False) -> Status:
    """The verdict on one value.

    Args:
        value: what was measured.
        low, high: the allowed range, both ends included.
        doubt: how far off the value may be. Outside the range by up to this is ``check yourself``.
        estimated: the value was not seen but estimated: then a value inside the range, but nearer to one of its ends
            than ``doubt``, is ``check yourself`` too.
    """
    outside = max(low - value, value - high)
    if outside > doubt:
        return NOT_MET
    if outside > 0 or (estimated and outside > -doubt):
        return CHECK_YOURSELF
    return MET


def overall(statuses: Iterable[Status]) -> Status:
    """``not met`` if any is, else ``check yourself`` if any is, else ``met``."""
    found = set(statuses)
    return NOT_MET if NOT_MET in found else CHECK_YOURSELF if CHECK_YOURSELF in found else MET
