"""The hair table: what its sections count, and how runs are merged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import matting, matting_tables
from benchmarks.matting_rows import Picture, Row, complete, own_rows, peer_rows
from benchmarks.matting_sections import by_group, errors_of, halo, largest_island, mean_median
from benchmarks.sets import Sample
from idseg.imaging import encode
from tests.cloud.compare.scene import matte


def test_the_largest_island_is_one_connected_piece_of_trusted_background() -> None:
    truth, alpha = np.zeros((40, 50), np.float32), np.zeros((40, 50), np.float32)
    truth[20:, :] = alpha[20:, :] = 1.0
    trusted = np.ones(truth.shape, bool)
    assert largest_island(alpha, truth, trusted) == 0.0
    alpha[0:2, 0:5] = 0.9
    alpha[17:20, 0:10] = 0.9  # touches the person
    alpha[10:15, 20:40] = 0.4  # not taken as person
    assert largest_island(alpha, truth, trusted) == pytest.approx(30 / 2000)
    trusted[10:, :] = False
    assert largest_island(alpha, truth, trusted) == pytest.approx(10 / 2000)


def test_a_true_result_has_no_halo_and_the_old_wall_has_one() -> None:
    truth = np.tile(np.linspace(0, 1, 21, dtype=np.float32), (5, 1))
    hair, wall = np.full((5, 21, 3), 20, np.uint8), np.full((5, 21, 3), 220, np.uint8)
    assert halo(hair, truth, hair, truth) == pytest.approx({"white": 0.0, "black": 0.0}, abs=1e-4)
    seen = np.asarray(hair * truth[..., None] + wall * (1 - truth[..., None]), np.uint8)
    kept = halo(seen, truth, hair, truth)
    # |200 (1 - alpha) alpha|, averaged over .1 < alpha < .9
    expected = np.mean([200 * a * (1 - a) for a in np.linspace(0.15, 0.85, 15)])
    assert kept["black"] == pytest.approx(expected, abs=1.0)
    assert kept["white"] == pytest.approx(kept["black"], abs=0.01)


def test_a_perfect_matte_has_no_error_and_a_flat_one_has() -> None:
    truth = encode.scoremap(matte(64, 64)).astype(np.float32) / np.float32(255)
    band = Sample("a", Path("a.jpg"), Path("a.png")).band(truth)
    assert set(errors_of(truth, truth, band).values()) == {0.0}
    flat = errors_of(np.full_like(truth, 0.5), truth, band)
    assert min(flat.values()) > 0
    assert mean_median([flat, flat])["mean"] == flat


def test_the_worst_group_is_compared_with_all_photos_and_plainly_wrong_labels_do_not_count() -> None:
    errors = {"a": 0.01, "b": 0.03, "c": 0.5}
    groups = {"hats": ["b", "c"], "curls": ["a"], "nobody": ["x"]}
    found = by_group(errors, list(errors), {"faker": ["a", "b"]}, groups, {"c"})
    assert found["worst"] == {"group": "hats", "ratio": pytest.approx(1.5)}
    assert found["groups"]["hats"]["photos"] == 1
    assert found["groups"]["all, and the plainly wrong labels"]["mean"] == pytest.approx(0.18)
    assert "nobody" not in found["groups"]


def test_a_run_keeps_the_rows_that_it_did_not_measure() -> None:
    first = matting.merged({}, "islands", {"val-hr": {"ours": {"mean": 1.0}, "ISNet": {"mean": 2.0}}}, "Monday")
    second = matting.merged(first, "islands", {"val-hr": {"ours": {"mean": 0.5}}}, "Tuesday")
    assert second["islands"]["val-hr"]["ISNet"] == {"mean": 2.0, "measured": "Monday"}
    assert second["islands"]["val-hr"]["ours"] == {"mean": 0.5, "measured": "Tuesday"}


def test_a_program_without_all_mattes_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [Picture("val", Sample(name, Path(f"{name}.jpg"), Path(f"{name}.png"))) for name in "ab"]
    (row,) = peer_rows({"RVM": tmp_path}, [], tmp_path / "work")
    (tmp_path / "val").mkdir()
    (tmp_path / "val/a.png").write_bytes(encode.png(encode.scoremap(matte(8, 8))))
    assert not complete(row, pictures, 1)
    assert "RVM: 1 of 2 mattes of val; left out" in capsys.readouterr().err
    assert complete(row, pictures[:1], 1)
    assert row.read(pictures[0]).shape == (8, 8)


@pytest.mark.weights
def test_idsegs_own_row_is_made_by_the_given_checkout(astronaut_file: Path, tmp_path: Path) -> None:
    row: Row = own_rows(tmp_path / "work", None)[1]
    picture = Picture("val", Sample("a", astronaut_file, astronaut_file), colours=True)
    assert complete(row, [picture], 1)
    alpha = row.read(picture)
    assert alpha.max() == 1.0
    assert row.colours(picture).exists()


def test_the_stored_result_makes_tables() -> None:
    result = {
        "islands": {
            "val-hr": {"ours": {"pictures": 2, "without": 0.5, "mean": 0.001, "largest": 0.01, "measured": "M"}}
        }
    }
    text = "\n".join(matting_tables.tables(result))
    assert "| ours | val-hr | 2 | 50.0% | 0.100% | 1.00% |" in text
    assert "*M*" in text
