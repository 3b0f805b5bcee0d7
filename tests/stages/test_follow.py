"""A matte that follows the picture's colours where it is in doubt."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from idseg.errors import ModelDamagedError
from idseg.models.manifest import ModelEntry, load_manifest
from idseg.models.onnx import OnnxNet
from idseg.stages.follow import ColourNet, Follower, load_follower
from tests.drawn_hair import HAIR, SIDE, error, photo, soft, strands
from tests.models.tiny_onnx import write_channel

LOWER, ALONG = 1, 2
"""The planes that hold the changes at the lower resolution and by the steps."""


def entry(path: Path, name: str = "evidence") -> ModelEntry:
    return ModelEntry("tiny", "colours", path, "", 0, "", "", {"name": name}, {"name": "change"})


def chosen(folder: Path, channel: int) -> ColourNet:
    """A net that chooses one of the planes as the change."""
    path = write_channel(folder / f"{channel}.onnx", "evidence", "change", channel)
    return ColourNet(OnnxNet(path, provider="cpu", threads=1), entry(path))


@pytest.fixture
def along(tmp_path: Path) -> Follower:
    net = chosen(tmp_path, ALONG)
    return Follower(net, net)


@pytest.fixture(scope="session")
def shipped() -> Follower:
    return load_follower(load_manifest(), 1)


def test_the_net_s_change_is_made(along: Follower) -> None:
    truth = strands()
    guess, rgb = soft(truth), photo(truth)
    kept = guess.copy(), rgb.copy()
    found = along(rgb, guess)
    assert found.shape == truth.shape
    assert found.dtype == np.float32
    assert error(found, truth) < 0.7 * error(guess, truth)
    assert (guess == kept[0]).all()
    assert (rgb == kept[1]).all()


def test_what_the_lower_resolution_finds_reaches_the_higher_one(tmp_path: Path) -> None:
    """A net that takes the place between the two colours, and one that keeps what is there."""
    truth = strands()
    keyed, kept = chosen(tmp_path, 3), chosen(tmp_path, LOWER)
    guess, rgb = soft(truth), photo(truth)
    first, second = Follower(keyed, kept)(rgb, guess), Follower(kept, kept)(rgb, guess)
    assert np.abs(first - second).mean() > 0.01
    assert error(second, truth) < error(guess, truth)  # the very first steps


def test_a_second_time_goes_on_from_the_first(along: Follower) -> None:
    truth = strands(6)
    guess, rgb = soft(truth), photo(truth)
    once, twice = along(rgb, guess), along(rgb, guess, again=True)
    assert error(twice, truth) < error(once, truth) < error(guess, truth)


def test_a_part_that_is_certain_stays(along: Follower) -> None:
    truth = strands(2)
    guess = soft(truth)
    sure = cv2.erode(((guess == 0) | (guess == 1)).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert (along(photo(truth), guess)[sure] == guess[sure]).all()


def test_a_certain_matte_is_returned(along: Follower) -> None:
    alpha = np.zeros((300, 400), np.float32)
    assert along(np.full((300, 400, 3), 90, np.uint8), alpha) is alpha


@pytest.mark.parametrize("channel", [0, 3, 5, 10])
def test_alpha_stays_between_0_and_1_and_is_not_nearly_nothing(tmp_path: Path, channel: int) -> None:
    """Whatever the net answers, here values that are no changes."""
    truth = strands(3)
    net = chosen(tmp_path, channel)
    found = Follower(net, net)(photo(truth), soft(truth))
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert not ((found > 0) & (found < 0.02)).any()


def test_a_file_with_other_inputs_is_refused(tmp_path: Path) -> None:
    path = write_channel(tmp_path / "other.onnx", "rgb", "change", 0)
    net = OnnxNet(path, provider="cpu", threads=1)
    with pytest.raises(ModelDamagedError, match="inputs"):
        ColourNet(net, entry(path))
    with pytest.raises(ModelDamagedError, match="lacks 'name'"):
        ColourNet(net, ModelEntry("tiny", "colours", path, "", 0, "", ""))


@pytest.mark.weights
def test_the_net_that_ships_draws_strands_and_opens_gaps(shipped: Follower) -> None:
    truth = strands()
    assert error(shipped(photo(truth), soft(truth)), truth) < 0.5 * error(soft(truth), truth)


@pytest.mark.weights
@pytest.mark.parametrize("size", [(180, 200), (480, 480), (1500, 1200)])
def test_it_works_at_any_size(shipped: Follower, size: tuple[int, int]) -> None:
    truth = np.asarray(cv2.resize(strands(5), size, interpolation=cv2.INTER_AREA), np.float32)
    guess = np.asarray(cv2.resize(soft(strands(5)), size), np.float32)
    assert error(shipped(photo(truth), guess), truth) < 0.6 * error(guess, truth)


@pytest.mark.weights
def test_an_ordinary_edge_hardly_changes(shipped: Follower) -> None:
    """Nets draw it well. Its band is narrow."""
    truth = np.zeros((SIDE, SIDE), np.float32)
    cv2.circle(truth, (SIDE // 2, SIDE // 2), SIDE // 3, 1.0, -1)
    guess = np.asarray(cv2.blur(truth, (3, 3)), np.float32)
    found = shipped(photo(truth, noise=3.0), guess)
    assert error(found, guess) < 0.5 * error(guess, truth)
    assert error(found, truth) < 1.1 * error(guess, truth)


@pytest.mark.weights
@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_without_any_contrast_the_matte_gets_little_worse(shipped: Follower, noise: float) -> None:
    truth = strands(3)
    guess = soft(truth)
    assert error(shipped(photo(truth, HAIR, HAIR, noise), guess), truth) < 1.25 * error(guess, truth)


@pytest.mark.weights
def test_before_a_background_of_many_colours_less_changes(shipped: Follower) -> None:
    truth = strands(4)
    guess, plain = soft(truth), photo(truth)
    spots = np.random.default_rng(5).integers(0, 256, (SIDE // 12, SIDE // 12, 3)).astype(np.uint8)
    many = cv2.resize(spots, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    busy = (truth[..., None] * plain + (1 - truth[..., None]) * many).astype(np.uint8)
    assert error(shipped(busy, guess), guess) < 0.7 * error(shipped(plain, guess), guess)
