"""Fixtures of the commands' tests."""

from __future__ import annotations

import pytest

from idseg.segmenter import Options, Segmenter


@pytest.fixture
def one_set_of_models(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command's Segmenter has its own options and the session's models."""

    def sharing(options: Options) -> Segmenter:
        made = Segmenter(options)
        with segmenter._person_models() as finding:
            made._finding, made._matting_models = finding, segmenter._matting()
        monkeypatch.setattr(made, "close", lambda: None)  # the models are the session's
        return made

    monkeypatch.setattr("idseg.segmenter.Segmenter", sharing)
