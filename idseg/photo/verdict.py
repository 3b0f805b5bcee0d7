"""The four verdicts and their conditions."""

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

    value: the measured value.
    low, high: the allowed range, including both ends.
    doubt: error of the value. A value outside the range by at most this is ``check yourself``.
    estimated: whether the value is an estimate. Then a value inside the range, but closer to an end than
        ``doubt``, is ``check yourself`` too.
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
