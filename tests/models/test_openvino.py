"""The provider openvino: an optional package, whose absence is a clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from idseg.errors import ModelDamagedError, ModelMissingError, ProviderError
from idseg.models import onnx, openvino
from idseg.models.manifest import load_manifest
from idseg.segmenter import Options, Segmenter
from idseg.stages.matte import load_matte
from idseg.types import Rgb

needs_openvino = pytest.mark.skipif(not openvino.installed(), reason="pip install 'idseg[openvino]'")


def test_without_the_package_it_is_not_available(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(openvino, "installed", lambda: False)
    monkeypatch.setattr(onnx, "_present", lambda: {"CPUExecutionProvider"})
    assert onnx.available_providers() == ("cpu",)
    path = tmp_path / "any.onnx"
    path.touch()
    with pytest.raises(ProviderError, match=r"openvino.*there are cpu"):
        onnx.load_net(path, provider="openvino")


def test_installed_it_is_never_chosen_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "installed", lambda: True)
    monkeypatch.setattr(onnx, "_present", lambda: {"CPUExecutionProvider"})
    assert onnx.available_providers() == ("openvino", "cpu")
    assert onnx.first_provider("auto") == "cpu"
    assert onnx.first_provider("openvino") == "openvino"


@needs_openvino
@pytest.mark.weights
def test_it_gives_nearly_the_same_matte_and_says_its_name(astronaut: Rgb) -> None:
    with Segmenter(Options(provider="openvino", threads=1)) as segmenter:
        result = segmenter(astronaut)
    assert result.provider == "openvino"
    expected = load_matte(load_manifest(), "portrait-coarse", "cpu", 1)(astronaut)
    found = load_matte(load_manifest(), "portrait-coarse", "openvino", 1)(astronaut)
    assert np.abs(found - expected).mean() < 2e-3  # bfloat16, where the processor has it


@needs_openvino
def test_files_that_it_cannot_load(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        openvino.OpenVinoNet(tmp_path / "no.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no net")
    with pytest.raises(ModelDamagedError):
        openvino.OpenVinoNet(tmp_path / "bad.onnx")
