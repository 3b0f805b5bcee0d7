"""Threads of a net: as many as asked for, else as many as affinity and quota leave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idseg.models import onnx
from tests.models.tiny_onnx import write_channel


@pytest.mark.parametrize(
    ("asked", "usable", "threads"),
    [(0, 2, 2), (3, 2, 3), (0, 64, 0)],  # 0: ONNX Runtime's own choice, which knows no affinity and no quota
)
def test_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int, usable: int, threads: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(onnx, "usable_cores", lambda: usable)
    net = onnx.OnnxNet(write_channel(tmp_path / "red.onnx", "rgb", "alpha", 0), provider="cpu", threads=asked)
    assert net._session.get_session_options().intra_op_num_threads == threads
