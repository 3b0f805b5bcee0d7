"""Whether a photo obeys the rules of a document: rule by rule, with value, allowed range, and what to do. Never
retouches.

::

    measures   numbers of a face: lids, lips, light, blur, glare, cover, background
    rules      what is allowed, in the words of ICAO Doc 9303 and ISO/IEC 19794-5, and how sure each measure is
    report     the rules applied to one photo
"""

from __future__ import annotations

from idseg.check.report import Report, RuleReport, check, check_file, refused

__all__ = ["Report", "RuleReport", "check", "check_file", "refused"]
