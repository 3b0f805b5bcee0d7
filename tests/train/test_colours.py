"""The colour net: what it learns from, a short training, and its file."""

# torch and onnx are not in the environment of every check of types.
# mypy: disable-error-code="import-not-found,misc,unused-ignore"

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training needs torch (pip install idseg[train])")
pytest.importorskip("onnx", reason="export needs onnx (pip install idseg[train])")
pytest.importorskip("numba", reason="drawn hair needs numba")

from idseg.imaging.colourlines import PLANES  # noqa: E402
from idseg.loaded import MattingModels  # noqa: E402
from idseg.models.manifest import load_manifest  # noqa: E402
from idseg.models.onnx import OnnxNet  # noqa: E402
from idseg.options import Options  # noqa: E402
from idseg.stages.follow import COLOUR_NETS, ColourNet, Follower, load_follower  # noqa: E402
from scripts.train import colour_pieces, colours  # noqa: E402
from tests.drawn_hair import SIDE, error, photo, soft, strands  # noqa: E402
from tests.train.test_scene import drawn_store  # noqa: E402

MODELS = Path(__file__).parents[2] / "models"


def table(**changes: Any) -> colour_pieces.ColourConfig:
    values: dict[str, Any] = {
        "net": COLOUR_NETS[0],
        "pictures": 2,
        "shapes": [[160, 200]],
        "cuts": 2,
        "width": 8,
        "layers": 2,
        "batch": 8,
        "share_of": {"composed": 1.0},
        "again": 0.5,
        "labelled": 0.3,
        "steps": 40,
        "minutes": 10.0,
        "rate": 3e-3,
        "weight_decay": 1e-4,
        "average": 0.9,
        "seed": 1,
        "shares": {"photo": 0.0},
    }
    return colour_pieces.ColourConfig(**(values | changes))


def gathered(seed: int = 0) -> NDArray[np.float16]:
    truth = strands(seed)
    return colour_pieces.pieces(colour_pieces.said_low(photo(truth), soft(truth)), truth, np.ones_like(truth))


def test_pieces_hold_the_evidence_and_the_truth_of_each_pixel_once() -> None:
    truth = strands()
    found = gathered()
    evidence = colour_pieces.said_low(photo(truth), soft(truth))
    assert evidence is not None
    rows, columns = evidence.cells.pixels.shape
    assert found.shape == (-(-columns // 64), PLANES + 3, rows, 64)
    strip = found.transpose(1, 2, 0, 3).reshape(PLANES + 3, rows, -1)[:, :, :columns].astype(np.float32)
    assert np.abs(strip[:PLANES] - evidence.planes).max() < 2e-3
    counted = strip[PLANES + 2] > 0
    assert counted.sum() == evidence.cells.own.size
    small = cv2.resize(truth, evidence.cells.size, interpolation=cv2.INTER_AREA)
    assert strip[PLANES + 1][counted] == pytest.approx(small.ravel()[evidence.cells.pixels[counted]], abs=1e-3)


def test_at_the_higher_resolution_the_net_also_learns_from_its_own_results() -> None:
    truth = strands()
    follower = load_follower(load_manifest(), 1)
    first, second = (
        colour_pieces.said_high(follower, photo(truth), soft(truth), again=again) for again in (False, True)
    )
    assert first is not None
    assert second is not None
    near = np.abs(second.planes[0] - 0.5).mean(), np.abs(first.planes[0] - 0.5).mean()
    assert near[0] > near[1] + 0.02  # more certain
    assert (second.planes[1] == 0).all()


def test_a_certain_matte_gives_no_piece() -> None:
    alpha = np.ones((100, 100), np.float32)
    assert (
        len(colour_pieces.pieces(colour_pieces.said_low(np.zeros((100, 100, 3), np.uint8), alpha), alpha, alpha)) == 0
    )


def test_an_untrained_net_mostly_changes_nothing() -> None:
    planes = torch.from_numpy(gathered()[:, :PLANES].astype(np.float32))
    with torch.no_grad():
        change = colours.ColourNet(8, 2)(planes)
    largest = torch.cat((planes[:, 1:3], planes[:, 3:4].clamp(0, 1) - planes[:, :1]), dim=1).abs().amax(1, keepdim=True)
    assert (change.abs() <= 0.3 * largest + 1e-6).all()


def written(path: Path, config: colour_pieces.ColourConfig) -> Path:
    plain = {key: value for key, value in vars(config).items() if not isinstance(value, dict)}
    text = "[colours]\n" + "".join(f"{key} = {value!r}\n" for key, value in plain.items())
    path.write_text(text + "[colours.share_of]\ncomposed = 1.0\n[colours.shares]\nphoto = 0.0\n")
    assert colours.config_of(path) == config
    return path


def test_both_nets_are_trained_a_little_published_and_come_nearer_to_the_truth(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(MODELS / "manifest.toml", models)
    seen = [(photo(truth), soft(truth), truth) for truth in map(strands, range(3))]
    say = colour_pieces.said_low
    for name in COLOUR_NETS:
        out = tmp_path / name
        out.mkdir()
        parts = [colour_pieces.pieces(say(rgb, guess), truth, np.ones_like(truth)) for rgb, guess, truth in seen]
        np.save(out / "composed.npy", np.concatenate(parts))
        config = written(out / "tiny.toml", table(net=name))
        colours.main(["train", "--config", str(config), "--out", str(out)])
        colours.main(["publish", "--config", str(config), "--out", str(out), "--models", str(models)])
        if name == COLOUR_NETS[0]:
            low = load_manifest(models)[name]
            nets = [ColourNet(OnnxNet(low.check(), provider="cpu", threads=1), low)] * 2
            say = partial(colour_pieces.said_high, Follower(*nets))
    truth = strands(9)
    assert error(load_follower(load_manifest(models), 1)(photo(truth), soft(truth)), truth) < 0.7 * error(
        soft(truth), truth
    )


@pytest.mark.weights
def test_composed_pictures_become_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = drawn_store()
    monkeypatch.setattr(colour_pieces, "open_pack", lambda packs, device: store)
    found = list(colour_pieces.composed([tmp_path], table(), colour_pieces.Teacher(table(net=COLOUR_NETS[1]))))
    assert [kind for kind, _ in found] == ["composed", "composed"]
    assert all(part.shape[1:] == (PLANES + 3, 32, 64) for _, part in found if len(part))


@pytest.mark.parametrize("seed", range(6))
def test_cuts_of_a_photo_keep_picture_and_truth_together(seed: int) -> None:
    truth = strands(1)
    pixels = np.dstack((photo(truth, noise=0.0), np.round(truth * 255))).astype(np.uint8)
    cut = colour_pieces._cut(pixels, np.ones_like(truth), (40, 40, SIDE - 40, SIDE - 40), np.random.default_rng(seed))
    assert cut is not None
    rgb, alpha, weight = cut
    assert rgb.shape[:2] == alpha.shape == weight.shape
    assert alpha.size >= 0.99 * 100_000
    keyed = (rgb[..., 0].astype(np.float32) - 190) / (60 - 190)
    assert np.abs(keyed - alpha).mean() < 0.02


def test_cuts_that_are_too_small_are_left_out() -> None:
    pixels = np.zeros((200, 200, 4), np.uint8)
    assert colour_pieces._cut(pixels, np.ones((200, 200), np.float32), (0, 0, 200, 200), None) is None


@pytest.mark.weights
def test_the_mattes_are_those_before_the_colours() -> None:
    rgb = photo(strands())
    models = MattingModels.load(load_manifest(), Options())
    coarse = models.coarse.look(rgb, models.coarse.glance(rgb))
    found = colour_pieces.Teacher(table()).matte(rgb, np.random.default_rng(0))
    assert np.array_equal(found, coarse.alpha)  # a small picture
