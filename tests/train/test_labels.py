"""Labels merged from two opinions: hair of the one where both agree on who is person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scripts.train import labels

F32 = NDArray[np.float32]


def head() -> F32:
    """A disc with a soft edge, (240, 240)."""
    y, x = np.mgrid[0:240, 0:240]
    return np.asarray(np.clip((70 - np.hypot(x - 120, y - 130)) / 8 + 0.5, 0, 1), np.float32)


def strands(base: F32) -> F32:
    """Lines that leave the disc at its top."""
    drawn = base.copy()
    for x in range(90, 152, 7):
        cv2.line(drawn, (x, 70), (x + 4, 40), 1.0, 1, cv2.LINE_AA)
    return drawn


def test_strands_of_the_teacher_are_taken_and_plain_edges_stay() -> None:
    label, teacher = head(), strands(np.asarray(cv2.GaussianBlur(head(), (0, 0), 2), np.float32))
    alpha, trust = labels.merge(label, np.full(label.shape, 255, np.uint8), teacher)
    top, bottom = np.s_[40:60, 85:156], np.s_[170:, :]
    assert np.abs(alpha - teacher)[top].mean() < 0.25 * np.abs(label - teacher)[top].mean()
    assert np.abs(alpha - label)[bottom].max() < 0.02
    assert (trust == 255).mean() > 0.99


def test_where_they_disagree_on_the_person_there_is_no_trust_and_no_change() -> None:
    label = head()
    teacher = strands(label)
    teacher[10:60, 170:230] = 1.0  # a thing that only the teacher takes for person
    alpha, trust = labels.merge(label, np.full(label.shape, 255, np.uint8), teacher)
    assert trust[30, 200] == 0
    assert alpha[20:50, 180:220].max() < 0.05
    assert trust[130, 120] == 255
    doubted = np.full(label.shape, 255, np.uint8)
    doubted[:50] = 0
    assert labels.merge(label, doubted, label)[1][:50].max() == 0


def test_files_are_read_merged_and_refused(tmp_path: Path) -> None:
    fused, teacher, out = (tmp_path / name for name in ("fused.png", "teacher.png", "out/one.png"))
    grey = np.asarray(head() * 255, np.uint8)
    Image.fromarray(np.dstack((grey, np.full_like(grey, 255))), "LA").save(fused)
    Image.fromarray(np.asarray(strands(head()) * 255, np.uint8)).save(teacher)
    labels.label_one(fused, teacher, out)
    written = Image.open(out)
    assert written.mode == "LA"
    assert written.size == (240, 240)
    assert np.abs(np.asarray(written.getchannel(0), np.int16)[170:] - grey[170:]).max() <= 3
    Image.fromarray(grey[:100]).save(teacher)
    with pytest.raises(ValueError, match="240x100"):
        labels.label_one(fused, teacher, out)
    teacher.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="not a picture"):
        labels.label_one(fused, teacher, out)
