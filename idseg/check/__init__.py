"""Whether a photo obeys the rules of a document: rule by rule, with value, allowed range, and what to do. Never
retouches.

::

    measures   numbers of a face and a wall: lids, lips, light, blur, glare, cover, colour
    rules      what is allowed, in the words of ICAO Doc 9303 and ISO/IEC 19794-5, and how sure each measure is
    framing    pose, placement, and what the photo's edge cuts off
    features   the face and the wall behind it
    files      the finished photo's file
    report     one verdict for each rule, as JSON or as a table
    apply      all of it, for one photo
"""

from __future__ import annotations

from idseg.check.apply import check, delivered, refused
from idseg.check.files import check_file
from idseg.check.report import Report, RuleReport

__all__ = ["Report", "RuleReport", "check", "check_file", "delivered", "refused"]
