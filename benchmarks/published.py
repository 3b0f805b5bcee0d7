"""Figures that others have published, each with its source. They are not measured here, and all tables say so.

They belong to other nets, on sets that may be absent here: they show which error is good on such a set, and say nothing
about idseg. SAD is in thousands over the whole picture, at the size that the authors tested at.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure

_P3M = "https://github.com/JizhiziLi/P3M, README, table 2 (trained and tested on blurred faces)"
_PWC = "https://paperswithcode.com/paper/privacy-preserving-portrait-matting"
_AIM = "https://github.com/JizhiziLi/AIM, README (AimNet, update, hybrid 1/3 & 1/4)"
_PADDLE = "https://gitcode.net/paddlepaddle/models, modelcenter/PP-Matting/benchmark_en.md (PPM-AIM-195)"


def _rows() -> Iterator[tuple[str, str, str, float, str]]:
    for name, sad, mse in (
        ("SHM", 21.56, 0.0100),
        ("LF", 42.95, 0.0191),
        ("HATT", 25.99, 0.0054),
        ("GFM", 13.20, 0.0050),
        ("P3M-Net (ResNet-34)", 8.73, 0.0026),
    ):
        yield name, "P3M-500-P", "SAD", sad, _P3M
        yield name, "P3M-500-P", "MSE", mse, _P3M
    yield "P3M-Net (ResNet-34)", "P3M-500-P", "MAD", 0.0051, _PWC
    for measure, value in (("SAD", 41.72), ("MSE", 0.0153), ("MAD", 0.0248), ("Conn", 41.23), ("Grad", 33.97)):
        yield "AimNet", "AIM-500", measure, value, _AIM
    for measure, value in (("SAD", 31.56), ("MSE", 0.0022), ("Grad", 31.80), ("Conn", 30.13)):
        yield "PP-Matting (HRNet-W18)", "PPM-100 + AIM-500 people", measure, value, _PADDLE


_COUNTS = {"P3M-500-P": 500, "AIM-500": 500, "PPM-100 + AIM-500 people": 195}
_UNITS = {"SAD": "thousand px", "MSE": "of 1", "MAD": "of 1", "Grad": "thousand", "Conn": "thousand"}

PUBLISHED: tuple[Figure, ...] = tuple(
    Figure(name, on, measure, "mean", value, _UNITS[measure], _COUNTS[on], "published", source)
    for name, on, measure, value, source in _rows()
)
