"""Both nets together: from the published files, trained on a small pack, out as ONNX files again."""

# torch and onnx are not in the environment of every check of types.
# mypy: disable-error-code="import-not-found,misc,unused-ignore"

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (pip install idseg[train])")
pytest.importorskip("onnx", reason="export needs onnx (pip install idseg[train])")
pytest.importorskip("numba", reason="drawn hair needs numba")

import onnxruntime  # noqa: E402

from idseg.models.manifest import load_manifest  # noqa: E402
from idseg.stages.matte import load_matte  # noqa: E402
from scripts.train import accelerator, averages, blend, export, glance, joint, loop, measure, stability  # noqa: E402
from scripts.train.detail import STEP, DetailNet, PublishedDetail, detail_loss, from_refiner  # noqa: E402
from scripts.train.nets import FEATURES, PublishedCoarse, RefineNet, fold_batchnorm  # noqa: E402
from scripts.train.pool import ComposeError, Material, Pool  # noqa: E402
from scripts.train.published import published_weights  # noqa: E402
from scripts.train.scene.compose import Shares  # noqa: E402
from scripts.train.scene.store import Store  # noqa: E402
from tests.train.test_scene import drawn_store  # noqa: E402

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
LATE = tuple(f"coarse.encoder._blocks.{number}." for number in range(6, 16))


def table(**changes: Any) -> joint.JointConfig:
    """A table for a few small steps."""
    values: dict[str, Any] = {
        "shapes": [[96, 128], [128, 128]],
        "batch": 2,
        "crops": 2,
        "crop": 64,
        "areas": [96 * 128, 64 * 96],
        "steps": 4,
        "minutes": 10.0,
        "trained": "all",
        "detail_rate": 1e-3,
        "body_rate": 3e-4,
        "rate": 1e-4,
        "encoder_rate": 1e-4,
        "weight_decay": 0.01,
        "average": 0.5,
        "seed": 1,
    }
    return joint.JointConfig(**(values | changes))


def a_batch(count: int = 2, height: int = 128, width: int = 96) -> joint.Batch:
    """Discs on noise, all trusted."""
    chance = torch.Generator().manual_seed(3)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    disc = ((rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (width / 3) ** 2).to(torch.uint8) * 255
    rgb = torch.randint(0, 120, (count, height, width, 3), generator=chance, dtype=torch.uint8)
    rgb[:, disc > 0] += 100
    alpha = disc.expand(count, -1, -1).contiguous()
    return rgb, alpha, torch.full_like(alpha, 255)


def test_the_published_coarse_file_comes_back_as_the_net_it_was() -> None:
    net = PublishedCoarse(joint.pair_of(published_weights(MODELS)).coarse).eval()
    picture = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(str(MODELS / "portrait-coarse.onnx"), providers=["CPUExecutionProvider"])
    expected = session.run(["alpha"], {"rgb": picture.numpy()})[0]
    with torch.no_grad():
        found = net(picture)[0].numpy()
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-3


def test_a_new_detail_net_gives_the_coarse_matte_back_and_learns_from_the_first_step() -> None:
    torch.manual_seed(0)
    net = DetailNet()
    rgb, coarse = torch.randn(1, 3, 64, 96), torch.rand(1, 1, 64, 96)
    found = net(rgb, coarse, torch.randn(1, FEATURES, 32, 48))
    assert torch.equal(found, coarse)
    detail_loss(found, torch.zeros_like(coarse), torch.ones_like(coarse)).backward()
    slope = net.choice.weight.grad
    assert slope is not None
    assert float(slope.abs().max()) > 1e-4


def test_the_detail_net_contains_the_refiner_that_it_starts_from() -> None:
    torch.manual_seed(0)
    refiner = fold_batchnorm(RefineNet()).eval()
    net = from_refiner(refiner.state_dict()).eval()
    rgb, coarse = torch.randn(1, 3, 64, 96), torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        torch.nn.init.constant_(net.choice.bias[:4], 1.0 / STEP)  # type: ignore[index]  # the refined alpha everywhere
        found = net(rgb, coarse, torch.randn(1, FEATURES, 32, 48))
        expected = refiner(torch.cat((rgb, coarse), dim=1))
    assert float(expected.std()) > 1e-3
    assert float((found - expected).abs().max()) < 1e-5


def small_store(device: Any) -> Store:
    return drawn_store()


def broken_store(device: Any) -> Store:
    raise ZeroDivisionError("a bug")


def test_a_pool_gives_batches_while_it_composes_and_shows_a_failure() -> None:
    cpu = torch.device("cpu")
    with Pool(Material(small_store, cpu, Shares()), [(96, 128), (64, 64)], [4, 4], seed=1) as pool:
        batches = iter(pool.batches(2, seed=1))
        for _ in range(3):
            rgb, alpha, trust = next(batches)
            assert rgb.shape[1:] in {(128, 96, 3), (64, 64, 3)}
            assert rgb.shape[:3] == alpha.shape == trust.shape
            assert rgb.dtype == alpha.dtype == trust.dtype == torch.uint8
            assert 0 < alpha.float().mean() < 255
        assert pool.made >= 4
        assert pool.taken >= 6
    broken = Pool(Material(broken_store, cpu, Shares()), [(64, 64)], [4], seed=1)
    with broken, pytest.raises(ComposeError, match="ZeroDivisionError: a bug"):
        next(iter(broken.batches(2, seed=1)))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the process in /proc")
def test_composing_processes_end_when_the_training_is_killed(tmp_path: Path) -> None:
    """A killed training cannot stop them; they used to stay for ever."""
    code = (
        "import sys, torch\n"
        "from scripts.train.pool import Material, Pool\n"
        "from scripts.train.scene.compose import Shares\n"
        "from tests.train.test_joint import small_store\n"
        "if __name__ == '__main__':\n"
        "    pool = Pool(Material(small_store, torch.device('cpu'), Shares()), [(64, 64)], [4], seed=1)\n"
        "    with pool:\n"
        "        next(iter(pool.batches(1, seed=1)))\n"
        "        print(pool._processes[0].pid, flush=True)\n"
        "        sys.stdin.read()\n"
    )
    script = tmp_path / "training.py"
    script.write_text(code)
    command = [sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as training:
        assert training.stdout is not None
        composing = int(training.stdout.readline())
        training.kill()
    deadline = time.monotonic() + 120.0
    while Path(f"/proc/{composing}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{composing}").exists()


def test_a_killed_composing_process_ends_the_training() -> None:
    with Pool(Material(small_store, torch.device("cpu"), Shares()), [(64, 64)], [4], seed=1) as pool:
        pool._processes[0].kill()
        with pytest.raises(ComposeError, match="killed"):
            for _ in pool.batches(2, seed=1):
                pass


def test_other_aspects_have_one_input_size_and_the_first_has_all() -> None:
    config = table(shapes=[[640, 800], [1024, 1024]], areas=[512000, 157696])
    assert joint.areas_for(800, 640, config) == [512000, 157696]
    assert joint.areas_for(1024, 1024, config) == [512000]
    assert joint.coarse_size(1216, 1216, 512000) == (704, 704)


def test_a_filled_gap_is_the_detail_nets_to_mend_and_a_missed_head_is_not() -> None:
    target, seen = torch.zeros(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)
    seen[..., 10:60, 20:26] = 1.0
    assert float(joint.mendable(target, seen).min()) == 1.0
    seen[..., 64:, 40:] = 1.0
    assert float(joint.mendable(target, seen)[..., 90, 90]) == 0.0


def test_crops_lie_inside_on_the_grid_of_the_features() -> None:
    torch.manual_seed(0)
    rgb, alpha, _ = a_batch()
    config = table(crops=40, crop=64)
    target = alpha[:, None].float() / 255.0
    places = joint.corners(target, torch.ones_like(target), torch.zeros_like(target), config)
    assert len(places) == 80
    assert all(top % 4 == left % 4 == 0 and 0 <= top <= 64 and 0 <= left <= 32 for _, top, left in places)
    assert joint.cropped(target, places, 64).shape == (80, 1, 64, 64)
    assert joint.cropped(joint.normalised(rgb)[..., ::2, ::2], places, 64, 2).shape == (80, 3, 32, 32)


@pytest.mark.parametrize("trained", ["detail", "decoder", "all"])
def test_what_is_not_to_learn_stays_and_the_rest_moves(trained: str) -> None:
    config = table(trained=trained)
    pair = joint.pair_of(published_weights(MODELS))
    groups = joint.groups(pair, config)
    optimizer = torch.optim.SGD([p for group in groups for p in group["params"]], lr=0.1)
    before = {name: value.clone() for name, value in pair.named_parameters()}
    joint.step_loss(pair, a_batch(), config, 96 * 128, torch.float32).backward()
    optimizer.step()
    moved = {name for name, value in pair.named_parameters() if not torch.equal(value, before[name])}
    assert "detail.choice.weight" in moved
    assert ("coarse.head.weight" in moved) == (trained != "detail")
    assert any(name.startswith("coarse.encoder._blocks.10") for name in moved) == (trained == "all")
    assert not any(name.startswith(("coarse.encoder._conv_stem", "coarse.encoder._blocks.0")) for name in moved)


def test_half_precision_gives_nearly_the_same_loss() -> None:
    config = table()
    found = []
    for precision in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)  # of the crops
        pair = joint.pair_of(published_weights(MODELS))
        torch.nn.init.normal_(pair.detail.choice.weight, 0.0, 0.1)
        found.append(float(joint.step_loss(pair, a_batch(), config, 96 * 128, precision).detach()))
    assert found[1] == pytest.approx(found[0], rel=0.05)


def test_the_training_needs_torch_numpy_and_pillow_alone() -> None:
    """What a lent machine may lack is not imported: no onnx, no OpenCV, no numba, nothing of idseg."""
    code = (
        "import sys\n"
        "for name in ('cv2', 'idseg', 'numba', 'onnx', 'onnxruntime', 'scipy', 'tqdm'):\n"
        "    sys.modules[name] = None\n"
        "from scripts.train.accelerator import load_start, train\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=MODELS.parent)
    assert done.returncode == 0, done.stderr


def test_onnx_equals_torch_for_the_detail_net(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = DetailNet()
    torch.nn.init.normal_(net.choice.weight, 0.0, 0.01)
    assert export.export_detail(net, tmp_path / "detail.onnx", "test") < 1e-3
    session = onnxruntime.InferenceSession(str(tmp_path / "detail.onnx"), providers=["CPUExecutionProvider"])
    rgb, coarse, features = torch.randn(3, 3, 96, 48), torch.rand(3, 1, 96, 48), torch.randn(3, FEATURES, 48, 24)
    found = session.run(None, {"rgb": rgb.numpy(), "coarse": coarse.numpy(), "features": features.numpy()})[0]
    with torch.no_grad():
        expected = PublishedDetail(net)(rgb, coarse, features).numpy()
    assert np.abs(found - expected).max() < 2e-3
    assert np.abs(expected - coarse.numpy()).max() > 0.01


CONFIG = """
[joint]
shapes = [[96, 128], [64, 64]]
batch = 2
crops = 2
crop = 32
areas = [12288, 4096]
steps = 3
minutes = 1.0
trained = "all"
detail_rate = 1e-3
body_rate = 3e-4
rate = 1e-4
encoder_rate = 1e-4
weight_decay = 0.01
average = 0.5
seed = 1
bfloat16 = true
shares = { hair = 0.5 }
"""


@pytest.mark.slow
def test_minutes_of_an_accelerator_from_published_files_to_measured_ones(tmp_path: Path) -> None:
    """The whole way on the CPU: prepare, train, go on after a stop, finish, measure."""
    config, start, out = tmp_path / "small.toml", tmp_path / "start.pt", tmp_path / "out"
    config.write_text(CONFIG)
    accelerator.prepare(config, MODELS, start)
    assert start.stat().st_size < 8_000_000
    material = Material(small_store, torch.device("cpu"), Shares())
    accelerator.train(material, start, out, minutes=5.0, memory=3e6)
    files = [out / f"joint{part}.pt" for part in loop.PARTS]
    assert all(file.stat().st_size < 16 * 1024**2 for file in files)
    config.write_text(CONFIG.replace("steps = 3", "steps = 5"))
    accelerator.prepare(config, MODELS, start)
    before = torch.load(files[0], weights_only=True)
    log = accelerator.train(material, start, out, minutes=5.0, memory=3e6)
    after = torch.load(files[0], weights_only=True)
    assert (before["step"], after["step"]) == (3, 5)
    assert not torch.equal(before["average"]["detail.choice.weight"], after["average"]["detail.choice.weight"])
    assert log == after["log"]
    accelerator.finish(drawn_store(), out, 2, config)
    for name, most in (("portrait-coarse-int8", 4_000_000), ("portrait-detail-int8", 800_000)):
        assert (out / f"{name}.onnx").stat().st_size < most
    shutil.copytree(MODELS, tmp_path / "models")
    accelerator.publish(out, tmp_path / "models", config)
    refiner, edge = (load_manifest(tmp_path / "models")[name] for name in ("portrait-detail-int8", accelerator.EDGE))
    assert refiner.input["levels"] == edge.output["levels"]
    types = {value.name: value.type for value in onnxruntime.InferenceSession(str(refiner.check())).get_inputs()}
    assert types["features"] == "tensor(uint8)"
    rng = np.random.default_rng(0)
    for name in ("val", "val-hr", "val-hair"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.jpg"), rng.integers(0, 255, (130, 99, 3)).astype(np.uint8))
        alpha = np.zeros((130, 99), np.uint8)
        alpha[30:, 20:70] = 255
        cv2.imwrite(str(tmp_path / name / "a.png"), alpha)
    peers = {"truth": tmp_path, "nobody": tmp_path / "nowhere"}
    found = measure.measure(tmp_path, measure.load_nets(out, 1), peers, every=1)
    assert set(found["val-hr"]) == {"coarse", "coarse + detail", "truth"}
    assert found["val"]["truth"] == (1.0, *([0.0] * 6))
    assert found["val"]["coarse"][1] > 0.01


def test_a_blend_is_between_both_nets_in_the_early_encoder_only(tmp_path: Path) -> None:
    """Out of the published nets and changed ones, to a checkpoint that `finish` reads."""
    second = published_weights(MODELS)
    first = {name: value + 1.0 for name, value in second.items()}
    table = blend.BlendConfig(early_blocks=6, second=0.75, detail=2.0)
    mean = blend.blend(first, second, table)
    for name, value in mean.items():
        early = name.startswith("coarse.encoder.") and not name.startswith(LATE)
        factor = 2.0 if name.startswith("detail.choice.") else 1.0
        assert torch.allclose(value, factor * second[name] + (0.25 if early else 0.0), atol=1e-5), name
    del first["coarse.encoder._conv_stem.weight"]
    with pytest.raises(ValueError, match=r"_conv_stem\.weight"):
        blend.blend(first, second, table)
    config = ROOT / "scripts" / "train" / "configs" / "portrait-5b.toml"
    blend.main(["--config", str(config), "--first", str(MODELS), "--second", str(MODELS), "--out", str(tmp_path)])
    again = joint.averaged_pair(tmp_path / "joint.pt").coarse.state_dict()
    assert all(torch.equal(value, second[f"coarse.{name}"].float()) for name, value in again.items())


def test_packs_are_read_when_all_have_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packs, looks = [tmp_path / "a.pack", tmp_path / "b.pack"], []
    (tmp_path / "a.ok").touch()

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            (tmp_path / "b.ok").touch()

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(accelerator, "open_pack", lambda paths, device: (paths, device))
    opened: Any = accelerator.open_marked(packs, torch.device("cpu"))
    assert opened == (packs, torch.device("cpu"))
    assert len(looks) == 3


def test_second_nets_are_averaged_first_also_from_checkpoints(tmp_path: Path) -> None:
    weights = published_weights(MODELS)
    for number, shift in enumerate((1.0, 3.0)):
        shifted = {name: (value + shift).half() for name, value in weights.items()}
        torch.save({"average": shifted, "step": 1}, tmp_path / f"{number}.pt")
    mean = blend.mean_of([tmp_path / "0.pt", tmp_path / "1.pt"])
    assert all(torch.allclose(mean[name], value + 2.0, atol=2e-2, rtol=2e-3) for name, value in weights.items())
    assert blend.mean_of([MODELS]).keys() == weights.keys()


def test_an_unusual_gradient_is_scaled_down_and_a_usual_one_is_not() -> None:
    """Each group by its own usual norm, in which what is not a number does not count."""
    large, small = (torch.nn.Parameter(torch.zeros(8)) for _ in range(2))
    clip = stability.Clip([{"params": [large]}, {"params": [small]}])

    def norms(a: float, b: float) -> tuple[float, float]:
        large.grad, small.grad = torch.full((8,), a), torch.full((8,), b)
        clip()
        return float(large.grad[0]), float(small.grad[0])

    for _ in range(5):
        assert norms(10.0, 0.1) == pytest.approx((10.0, 0.1))
    assert norms(1000.0, 0.11) == pytest.approx((20.0, 0.11), rel=0.1)
    assert norms(10.0, 5.0) == pytest.approx((10.0, 0.2), rel=0.1)
    norms(math.nan, math.inf)
    assert norms(10.0, 0.1) == pytest.approx((10.0, 0.1))


def test_averaged_weights_are_kept_on_the_way(tmp_path: Path) -> None:
    config = table(keep=[0.5], steps=4)
    pair = joint.pair_of(published_weights(MODELS))
    batch = tuple(torch.randint(0, 255, (2, 128, 96, *more), dtype=torch.uint8) for more in ((3,), (), ()))
    checkpoint = tmp_path / "joint.pt"
    joint.train(pair, config, checkpoint, lambda step: [batch] * 9, device=torch.device("cpu"))  # type: ignore
    kept = torch.load(loop.kept_path(checkpoint, 0.5), weights_only=True)
    assert kept["step"] == 2
    assert kept["average"].keys() == pair.state_dict().keys()
    assert {value.dtype for value in kept["average"].values()} == {torch.float16}


GLANCE = """
[glance]
shapes = [[64, 96], [64, 64]]
size = [64, 96]
batch = 2
steps = 2
minutes = 10.0
rate = 1e-3
encoder_rate = 1e-3
head_rate = 1e-3
frozen = 5
weight_decay = 0.01
average = 0.5
seed = 1
[glance.shares]
photo = 0.3
hair = 0.6
"""


def test_the_glance_net_starts_as_the_coarse_net_and_becomes_a_published_file(tmp_path: Path) -> None:
    table = tmp_path / "small.toml"
    table.write_text(GLANCE)
    config = glance.config_of(table)
    net, before = glance.untrained(MODELS), glance.untrained(MODELS).state_dict()
    coarse = joint.pair_of(published_weights(MODELS)).coarse.state_dict()
    assert all(torch.equal(value, coarse[name]) for name, value in before.items() if not name.startswith("head."))
    material = Material(small_store, torch.device("cpu"), Shares(**config.shares))
    glance.train(net, config, material, tmp_path / "glance.pt")
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert {"head.weight", "up4.1.0.weight", "encoder._blocks.15._expand_conv.weight"} <= moved
    assert not any(name.startswith(("encoder._conv_stem", "encoder._blocks.4.")) for name in moved)
    state = torch.load(tmp_path / "glance.pt", weights_only=True)
    torch.save({"average": {name: value + 0.5 for name, value in state["average"].items()}}, tmp_path / "b.pt")
    glance.average([tmp_path / "glance.pt", tmp_path / "b.pt"], tmp_path / "mean")
    mean = torch.load(tmp_path / "mean" / "glance.pt", weights_only=True)["average"]
    assert all(torch.allclose(value, state["average"][name].float() + 0.25) for name, value in mean.items())
    glance.finish(drawn_store(), table, tmp_path, MODELS, pictures=2)
    models = tmp_path / "models"
    models.mkdir()
    (models / "manifest.toml").write_text((MODELS / "manifest.toml").read_text())
    for _ in range(2):  # the second time, the block is replaced
        glance.publish(table, tmp_path, models)
    manifest = load_manifest(models)
    assert [entry.name for entry in manifest].count("portrait-glance") == 1
    matte = load_matte(manifest, "portrait-glance", "cpu", 1)
    picture = np.random.default_rng(0).integers(0, 255, (96, 64, 3)).astype(np.uint8)
    with torch.no_grad():
        trained = glance.PublishedGlance(glance.averaged_net(tmp_path / "glance.pt", MODELS))
        expected = trained(joint.normalised(torch.from_numpy(picture)[None]))[0, 0].numpy()
    assert np.abs(matte(picture) - expected).mean() < 0.05


def test_a_checkpoint_of_two_steps_is_refused(tmp_path: Path) -> None:
    net = torch.nn.Linear(2, 1)
    average, optimizer = averages.Average(net, 0.5), torch.optim.AdamW(net.parameters())
    loop.save_checkpoint(tmp_path / "a.pt", net, average, optimizer, loop.Progress(step=4))
    kept = (tmp_path / "a.net.pt").read_bytes()
    assert loop.load_checkpoint(tmp_path / "a.pt", net, average, optimizer).step == 4
    loop.save_checkpoint(tmp_path / "a.pt", net, average, optimizer, loop.Progress(step=6))
    (tmp_path / "a.net.pt").write_bytes(kept)
    with pytest.raises(ValueError, match=r"\[4, 6\]"):
        loop.load_checkpoint(tmp_path / "a.pt", net, average, optimizer)


def test_a_training_that_diverges_goes_back_to_its_last_good_weights() -> None:
    net = torch.nn.Linear(1, 1)
    average = averages.Average(net, 0.5)
    guard = stability.Guard(net, average)
    assert not any(guard.diverged(loss) for loss in (0.4, 0.3, 0.3, 0.3, 0.3))
    good = net.weight.detach().clone()
    with torch.no_grad():
        net.weight += 100.0
    average.update(net, 1000)
    assert not guard.diverged(0.4)
    assert guard.diverged(0.6)
    assert torch.equal(net.weight, good)
    assert torch.equal(average.state["weight"], good)
    assert guard.factor == 0.5
    assert guard.diverged(float("nan"))
    assert guard.factor == 0.25


def test_the_loop_goes_on_after_a_divergence(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 1)
    schedule = table(steps=20, average=0.9)
    seen: list[float] = []

    def loss_of(batch: Any) -> Any:
        seen.append(float(net.weight.detach().abs().sum()))
        return net(torch.ones(1, 2)).square().sum() + (100.0 if len(seen) == 12 else 1.0)

    groups = [{"params": list(net.parameters()), "peak": 1e-3}]
    lesson = loop.Lesson(lambda step: [0] * 1000, loss_of, log_every=1)  # type: ignore[arg-type,return-value]
    log = loop.fit(net, groups, schedule, tmp_path / "a.pt", lesson)
    assert len(log) == 20
    assert log[11]["loss"] > 50.0
    assert log[-1]["loss"] < 2.0
    assert log[12]["rate"] == pytest.approx(log[11]["rate"] / 2, rel=0.2)
