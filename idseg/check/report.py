"""What a check says: one verdict for each rule, and all of them as JSON or as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from idseg.check.rules import RULES, Rule
from idseg.photo.size import PhotoSize
from idseg.photo.verdict import CHECK_YOURSELF, NOT_APPLICABLE, STATUSES, Status, overall

ISO = "ISO/IEC 19794-5"
"""How the term of a rule begins that comes from the standard for passports."""


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule, applied."""

    rule: str
    term: str
    status: Status
    value: float | None = None
    unit: str = ""
    allowed: tuple[float | None, float | None] = (None, None)
    """Least and most; None: open."""
    doubt: float = 0.0
    """How far off ``value`` may be (95 %); same unit."""
    advice: str = ""
    """What to do; for ``check yourself`` also why it cannot be told."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
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
    """All rules of a document, applied to one photo."""

    size: PhotoSize
    finished: bool
    """The photo was taken as it is; else as it will be after placing."""
    rules: tuple[RuleReport, ...]
    confirm: tuple[str, ...] = ()
    """What the document asks for and only the person can confirm, in whole sentences."""
    warnings: tuple[str, ...] = ()
    """What else is to be told, in whole sentences."""

    @property
    def verdict(self) -> Status:
        """``not met`` if any rule is not met, else ``check yourself`` if any is left to the person, else ``met``."""
        return overall(rule.status for rule in self.rules)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON. A check changes no pixel: ``unretouched`` is always true."""
        return {
            "size": self.size.name,
            "source": self.size.source,
            "basis": self.size.basis,
            "finished": self.finished,
            "verdict": self.verdict,
            "unretouched": True,
            "counts": {status: sum(rule.status == status for rule in self.rules) for status in STATUSES},
            "confirm": list(self.confirm),
            "warnings": list(self.warnings),
            "rules": [rule.to_dict() for rule in self.rules],
        }


def judged(name: str, value: float, rule: Rule | None = None) -> RuleReport:
    """A rule applied to a value; ``rule``: where it is not one of :data:`RULES`."""
    rule = RULES[name] if rule is None else rule
    status = rule.judge(value)
    advice = rule.advice(value)
    if status == CHECK_YOURSELF:
        advice = f"Too close to say. {advice}".strip()
    return RuleReport(name, rule.term, status, value, rule.unit, ends(rule), rule.doubt, advice)


def unseen(name: str, why: str, term: str = "") -> RuleReport:
    """A rule that cannot be judged; the person has to."""
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
    """Least and most of a rule; None: open."""
    return (None if math.isinf(rule.low) else rule.low, None if math.isinf(rule.high) else rule.high)


def summary(report: Report) -> str:
    """The report as a table for people."""
    lines = [f"{report.size.name} ({report.size.en}): {report.verdict}; unretouched"]
    for rule in report.rules:
        value = "" if rule.value is None else f"{rule.value:.4g} {rule.unit}"
        low, high = ("" if end is None else f"{end:.4g}" for end in rule.allowed)
        allowed = f"{low} .. {high}" if low or high else ""
        lines.append(f"{rule.status:<14} {rule.rule:<17} {value:<34} {allowed:<16} {rule.advice}".rstrip())
    lines += [f"to confirm: {sentence}" for sentence in report.confirm]
    lines += [f"warning: {sentence}" for sentence in report.warnings]
    return "\n".join(lines)
