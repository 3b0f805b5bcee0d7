"""Checks whether a photo obeys the rules of a document: for each rule, the value, the allowed range, and advice. The
photo is never changed.

::

    measures   numbers measured on a face and a wall: eyelids, lips, light, blur, glare, cover, colour
    rules      allowed ranges, in the terms of ICAO Doc 9303 and ISO/IEC 19794-5, and the error of each measure
    framing    pose, placement, and what the photo's edge cuts off
    features   the face and the wall behind it
    files      the file of a finished photo
    report     one verdict per rule, as JSON or as a table
    apply      all checks of one photo
"""

from __future__ import annotations

from idseg.check.apply import check, delivered, refused
from idseg.check.files import check_file
from idseg.check.report import Report, RuleReport

__all__ = ["Report", "RuleReport", "check", "check_file", "delivered", "refused"]
