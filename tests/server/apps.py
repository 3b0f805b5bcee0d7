"""The factories that uvicorn calls in the tests' servers. Their workers need no FastAPI, and so do not import this."""

from __future__ import annotations

import os

from fastapi import FastAPI

from idseg.server.app import create_app
from idseg.server.settings import SETTINGS_VARIABLE, Settings
from tests.server import fakes


def fake() -> FastAPI:
    """Answers by the stand-in for the models."""
    return create_app(_settings(), fakes.load_fake, (fakes.__name__,))


def cold() -> FastAPI:
    """A server whose models are not there."""
    return create_app(_settings(), fakes.load_nothing, (fakes.__name__,))


def _settings() -> Settings:
    return Settings.from_json(os.environ[SETTINGS_VARIABLE])
