"""Applies a document's rules to a photo, to a finished photo, or to a photo without exactly one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from idseg.check import features, framing
from idseg.check.files import check_file
from idseg.check.report import ISO, Report, RuleReport, judged, unseen
from idseg.check.rules import RULES
from idseg.errors import PersonError, PhotoFormatError
from idseg.photo import head as heads
from idseg.photo.finish import Finished, passed_over_faces, placed
from idseg.photo.place import as_it_is
from idseg.photo.size import PhotoSize
from idseg.photo.verdict import CHECK_YOURSELF, MET, NOT_APPLICABLE, NOT_MET
from idseg.result import Result
from idseg.stages.decode import decode
from idseg.types import Rgb

_COVERS = {
    "no": "No head covering is allowed.",
    "religious": "Only a religious head covering is allowed, with the face free from chin to forehead.",
    "religious or medical": "Only a religious or medical head covering is allowed, with the face free.",
    "unknown": "Nothing but a religious or medical cover is usually allowed, with the face free.",
}
_GLASSES = {
    "no": "Glasses are not allowed: take them off.",
    "clear": "Glasses are allowed only with clear lenses, eyes fully seen, and without glare.",
}


class SeesWhole(Protocol):
    """The interface of :class:`idseg.segmenter.Segmenter` for analysing a whole photo."""

    def whole(self, photo: bytes | Rgb, /) -> Result: ...


def check(result: Result, size: PhotoSize, *, finished: bool = False, keep: bool | None = None) -> Report:
    """Check a photo of one person.

    Args:
        result: result for the photo.
        size: the document.
        finished: True: judge the photo as it is. False: judge it as it will be after placing it for the size.
        keep: whether the photo's own wall would be kept; None: yes if the document allows only cropping.
    """
    keep = size.edits == "crop only" if keep is None else keep
    person = result.person
    if finished:
        head = heads.measure(person, person.mesh, result.alpha, result.window, 0.0)
        placement = as_it_is(head, size, result.photo_size)
    else:
        head, placement = placed(result, size, keep=keep)
    reach = heads.reach(result.alpha, result.window, result.photo_size, head)
    rules = (
        RuleReport("one_person", "exactly one person", "met", 1.0, "persons", (1, 1)),
        *framing.pose(result, placement.turned_deg),
        *framing.placement_rules(placement, head, size),
        *framing.inside(placement, reach, finished=finished),
        framing.shoulders(result, placement.turned_deg),
        *features.face(result),
        *(() if finished else (judged("enough_pixels", placement.scale),)),
        *features.background(result, size, replaceable=not finished and not keep),
        _cover(size),
    )
    passed_over = tuple(passed_over_faces(person))
    return Report(size, finished, tuple(_applicable(rules, size)), tuple(_confirm(size)), passed_over)


def delivered(segmenter: SeesWhole, content: bytes, size: PhotoSize, made: Finished | None = None) -> Report:
    """Check a finished file, decoded from its own bytes.

    Args:
        segmenter: finds the person and the matte.
        content: the file.
        size: the document.
        made: the finished photo from which idseg wrote the file, if it did. Its pixels replace those of a format that
            idseg cannot read (PDF), and its missing parts are known more precisely than from the file.

    Raises:
        InputError: the file cannot be decoded.
    """
    photo = None
    try:
        photo = decode(content)
    except PhotoFormatError:
        if made is None:
            raise
    rgb = decode(made.pixels).rgb if photo is None and made is not None else photo.rgb  # type: ignore[union-attr]
    try:
        report = check(segmenter.whole(rgb), size, finished=True)
    except PersonError as error:
        report = replace(refused(error, size), finished=True)
    known = {} if made is None else {rule.rule: rule for rule in _missing(made)}
    rules = tuple(known.get(rule.rule, rule) for rule in report.rules)
    of_file = () if photo is None else check_file(content, size, photo)
    unretouched = made is None or made.light_stops == 0
    return replace(report, rules=(*rules, *of_file), unretouched=unretouched)


def _missing(made: Finished) -> Iterator[RuleReport]:
    """The rules that a finished photo breaks because the original photo ends too early. The backdrop around the missing
    part hides this from a check of the file."""
    if made.head_cut:
        yield framing.head_inside(made.head_cut, finished=False)
    if (shoulders := framing.shoulders_inside(made.placement)).status != MET:
        yield shoulders


def refused(error: PersonError, size: PhotoSize) -> Report:
    """The report for a photo without exactly one upright person: one rule is not met, and the others cannot be
    judged."""
    persons = error.facts.get("persons")
    found = float(persons) if isinstance(persons, int) else None
    first = RuleReport("one_person", "exactly one person", NOT_MET, found, "persons", (1, 1), 0.0, error.message)
    rest = (unseen(name, "There is no single person to look at.") for name in RULES)
    return Report(size, False, (first, *_applicable(rest, size)), tuple(_confirm(size)))


def _applicable(rules: Iterator[RuleReport] | tuple[RuleReport, ...], size: PhotoSize) -> Iterator[RuleReport]:
    """Mark the rules that the document does not have: a trade size has none of the passport standard's rules, and a
    small child may have any expression."""
    for rule in rules:
        if size.basis == "trade" and rule.term.startswith(ISO) and rule.rule != "head_inside":
            yield replace(rule, status=NOT_APPLICABLE, advice="A size of the trade: no authority's rule.")
        elif size.expression != "unknown" and rule.rule in _EXPRESSIONS.get(size.expression, ()):
            yield replace(rule, status=NOT_APPLICABLE, advice=f"The document allows: {size.expression}.")
        else:
            yield rule


_EXPRESSIONS = {"slight smile": ("no_smile",), "any": ("no_smile", "mouth_closed", "eyes_open")}
"""Rules that do not apply if the document allows an expression."""


def _cover(size: PhotoSize) -> RuleReport:
    advice = f"We cannot tell hair from a hat or a scarf. {_COVERS[size.head_covering]}"
    return RuleReport("head_uncovered", f"{ISO}: head coverings", CHECK_YOURSELF, advice=advice)


def _confirm(size: PhotoSize) -> Iterator[str]:
    """Questions that only the person can answer."""
    if size.basis == "trade":
        return
    yield f"Is the head uncovered? {_COVERS[size.head_covering]}"
    if size.glasses in _GLASSES:
        yield f"Glasses? {_GLASSES[size.glasses]}"
    if size.age_months is not None:
        yield f"Was the photo taken in the last {size.age_months} months?"
    if size.edits == "crop only":
        yield "Is the photo as the camera took it, without filters and retouching?"
