"""The edge net: starts from the published refiner, learns from stored pictures, out as an ONNX file."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch (pip install idseg[train])")
pytest.importorskip("onnx", reason="export needs onnx (pip install idseg[train])")
pytest.importorskip("numba", reason="drawn hair needs numba")

import onnxruntime
import torch

from scripts.train import bank, edge, export, joint
from scripts.train.nets import FEATURES
from scripts.train.scene.compose import PackBatches, Shares
from tests.train.test_scene import drawn_store

REFINER = Path(__file__).parents[2] / "models" / "portrait-refine.onnx"


def drawn_record(seed: int) -> bank.Record:
    """A light disc on a dark wall; the coarse alpha is 3 px too small."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:128, 0:96]
    reach = np.hypot(rows - 64, columns - 48)
    alpha, coarse = (np.asarray(np.clip(radius - reach, 0, 1) * 255, np.uint8) for radius in (34.0, 31.0))
    rgb = np.asarray(40 + (alpha[..., None] / 255.0) * 150 + rng.uniform(0, 20, (128, 96, 3)), np.uint8)
    features = np.zeros((FEATURES, 64, 48), np.float16)
    return bank.Record(rgb, alpha, np.full_like(alpha, 255), coarse, features)


def inputs(height: int = 64, width: int = 96) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(1)
    return (
        torch.randn(1, 3, height, width, generator=chance),
        torch.rand(1, 1, height, width, generator=chance),
        torch.randn(1, FEATURES, height // 2, width // 2, generator=chance),
    )


def test_an_untrained_edge_net_gives_the_coarse_matte_back() -> None:
    rgb, coarse, features = inputs()
    with torch.no_grad():
        assert torch.equal(edge.from_refiner(REFINER)(rgb, coarse, features), coarse)


def test_the_edge_net_contains_the_published_refiner() -> None:
    rgb, coarse, features = inputs()
    net = edge.from_refiner(REFINER)
    with torch.no_grad():
        torch.nn.init.constant_(net.choice.bias[:4], 1.0 / edge.STEP)  # type: ignore[index]  # uses the refined alpha everywhere
        found = net(rgb, coarse, features).clamp(0, 1).numpy()
    session = onnxruntime.InferenceSession(str(REFINER), providers=["CPUExecutionProvider"])
    expected = session.run(["alpha"], {"rgba": torch.cat((rgb, coarse), dim=1).numpy()})[0]
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-4


def test_a_training_learns_from_records_and_continues(tmp_path: Path) -> None:
    for seed in range(2):
        drawn_record(seed).save(tmp_path / f"{seed}.npz")
    config = edge.EdgeConfig(steps=6, batch=2, crop=64, average=0.0, rate=3e-3, body_rate=3e-3)
    net, checkpoint = edge.from_refiner(REFINER), tmp_path / "edge.pt"
    held = next(iter(edge.BankBatches(tmp_path, config, 99)))
    with torch.no_grad():
        before = float(edge.batch_loss(net, held))
    edge.train(net, tmp_path, config, checkpoint, log_every=4)
    trained = edge.averaged_edge(checkpoint)
    with torch.no_grad():
        assert float(edge.batch_loss(trained, held)) < before
    more = edge.EdgeConfig(steps=7, batch=2, crop=64)
    edge.train(edge.from_refiner(REFINER), tmp_path, more, checkpoint)
    assert torch.load(checkpoint, weights_only=True)["step"] == 7


def test_an_exported_edge_net_is_the_trained_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = edge.from_refiner(REFINER)
    torch.nn.init.normal_(net.choice.weight, std=0.1)
    path = tmp_path / "edge.onnx"
    assert export.export_detail(net, path, "test") < 1e-3
    assert path.stat().st_size < 2**20
    rgb, coarse, features = inputs(32, 48)  # another size than the export's example
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {"rgb": rgb.numpy(), "coarse": coarse.numpy(), "features": features.numpy()}
    found = session.run(["alpha"], feeds)[0]
    with torch.no_grad():
        assert np.abs(found - net(rgb, coarse, features).clamp(0, 1).numpy()).max() < 2e-3


def test_an_empty_bank_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no record"):
        next(iter(edge.BankBatches(tmp_path, edge.EdgeConfig(), 0)))


def test_a_record_has_what_the_coarse_net_sees_of_the_composed_picture(tmp_path: Path) -> None:
    bank.write_coarse(tmp_path / "coarse.onnx")
    coarse = bank.load_coarse(tmp_path / "coarse.onnx")
    batch = next(iter(PackBatches(drawn_store(layers=0), [(96, 128)], 1, 5, Shares(photo=0.0))))
    made = bank.record(batch, coarse, np.random.default_rng(0))
    assert made is not None
    height, width = made.alpha.shape
    assert height % 4 == width % 4 == 0
    assert made.features.shape == (FEATURES, height // 2, width // 2)
    assert np.count_nonzero(bank.hard(made.alpha, made.coarse, made.trust)) > 50
    path = tmp_path / "record.npz"
    made.save(path)
    again = bank.Record.load(path)
    assert all(np.array_equal(getattr(again, name), getattr(made, name)) for name in made.__dataclass_fields__)


def test_a_larger_picture_is_shrunk_for_the_coarse_net() -> None:
    assert joint.coarse_size(1280, 1024, bank.LARGEST_INPUT) == (800, 640)
