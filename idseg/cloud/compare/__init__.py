"""Compares saved replies of the API with idseg's answers and writes one HTML page.

The steps: read → align → measure → summary → report. ``run`` applies them to a folder.
"""

from idseg.cloud.compare.read import Refusal, SavedResult, parse, read_file
from idseg.cloud.compare.run import Comparison, compare, own_responder, saved_responder
from idseg.cloud.compare.summary import ComparisonSummary, summarise, to_json

__all__ = [
    "Comparison",
    "ComparisonSummary",
    "Refusal",
    "SavedResult",
    "compare",
    "own_responder",
    "parse",
    "read_file",
    "saved_responder",
    "summarise",
    "to_json",
]
