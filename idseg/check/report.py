"""The result of a check: one verdict per rule, as JSON or as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from idseg.check.rules import RULES, Rule
from idseg.photo.size import PhotoSize
from idseg.photo.verdict import CHECK_YOURSELF, NOT_APPLICABLE, STATUSES, Status, overall

ISO = "ISO/IEC 19794-5"
"""Prefix of the term of a rule that comes from the passport standard."""


@dataclass(frozen=True, slots=True)
class RuleReport:
    """The verdict on one rule."""

    rule: str
    term: str
    status: Status
    value: float | None = None
    unit: str = ""
    allowed: tuple[float | None, float | None] = (None, None)
    """Minimum and maximum; None: no limit."""
    doubt: float = 0.0
    """Error of ``value`` (95 %), in the same unit."""
    advice: str = ""
    """What to do; for ``check yourself`` also why idseg cannot judge."""

    def to_dict(self) -> dict[str, Any]:
        """The values ready for JSON."""
        return {
            "rule": self.rule,
            "term": self.term,
            "status": self.status,
            "value": None if self.value is None else round(self.value, 4),
            "unit": self.unit,
            "allowed": [None if end is None else round(end, 4) for end in self.allowed],
            "doubt": round(self.doubt, 4),
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The verdicts on all rules of a document for one photo."""

    size: PhotoSize
    finished: bool
    """True: the photo was judged as it is; False: as it will be after placing it."""
    rules: tuple[RuleReport, ...]
    confirm: tuple[str, ...] = ()
    """Requirements that only the person can confirm, in whole sentences."""
    warnings: tuple[str, ...] = ()
    """Other remarks, in whole sentences."""
    unretouched: bool = True
    """False: idseg made the photo and corrected its light. A check cannot see what others did."""

    @property
    def verdict(self) -> Status:
        """``not met`` if any rule is not met, else ``check yourself`` if any is left to the person, else ``met``."""
        return overall(rule.status for rule in self.rules)

    def to_dict(self) -> dict[str, Any]:
        """The values ready for JSON."""
        return {
            "size": self.size.name,
            "source": self.size.source,
            "basis": self.size.basis,
            "finished": self.finished,
            "verdict": self.verdict,
            "unretouched": self.unretouched,
            "counts": {status: sum(rule.status == status for rule in self.rules) for status in STATUSES},
            "confirm": list(self.confirm),
            "warnings": list(self.warnings),
            "rules": [rule.to_dict() for rule in self.rules],
        }


def judged(name: str, value: float, rule: Rule | None = None) -> RuleReport:
    """Judge a value; ``rule`` is needed if the rule is not in :data:`RULES`."""
    rule = RULES[name] if rule is None else rule
    status = rule.judge(value)
    advice = rule.advice(value)
    if status == CHECK_YOURSELF:
        advice = f"Too close to say. {advice}".strip()
    return RuleReport(name, rule.term, status, value, rule.unit, ends(rule), rule.doubt, advice)


def unseen(name: str, why: str, term: str = "") -> RuleReport:
    """A rule that idseg cannot judge, so that the person must."""
    return _without_value(name, CHECK_YOURSELF, why, term)


def left_out(name: str, why: str, term: str = "") -> RuleReport:
    """A rule that the document does not have."""
    return _without_value(name, NOT_APPLICABLE, why, term)


def _without_value(name: str, status: Status, why: str, term: str) -> RuleReport:
    rule = RULES.get(name)
    if rule is None:
        return RuleReport(name, term, status, advice=why)
    return RuleReport(name, rule.term, status, None, rule.unit, ends(rule), rule.doubt, why)


def ends(rule: Rule) -> tuple[float | None, float | None]:
    """Minimum and maximum of a rule; None: no limit."""
    return (None if math.isinf(rule.low) else rule.low, None if math.isinf(rule.high) else rule.high)


def summary(report: Report) -> str:
    """The report as a table for people."""
    lines = [f"{report.size.name} ({report.size.en}): {report.verdict}{'; unretouched' if report.unretouched else ''}"]
    for rule in report.rules:
        value = "" if rule.value is None else f"{rule.value:.4g} {rule.unit}"
        low, high = ("" if end is None else f"{end:.4g}" for end in rule.allowed)
        allowed = f"{low} .. {high}" if low or high else ""
        lines.append(f"{rule.status:<14} {rule.rule:<17} {value:<34} {allowed:<16} {rule.advice}".rstrip())
    lines += [f"to confirm: {sentence}" for sentence in report.confirm]
    lines += [f"warning: {sentence}" for sentence in report.warnings]
    return "\n".join(lines)
