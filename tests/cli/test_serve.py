"""``idseg serve`` and ``idseg keys`` as a person types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from idseg.cli.main import main
from idseg.cloud.client import Client
from idseg.server.auth.keys import read_keys
from tests.server.live import ROOT, free_port


def idseg(*arguments: str, state: Path) -> Result:
    return CliRunner().invoke(main, [*arguments], env={"IDSEG_STATE": str(state), "COLUMNS": "110"})


def test_keys_are_added_listed_and_removed(tmp_path: Path) -> None:
    added = json.loads(idseg("keys", "add", "--note", "shop", "--json", state=tmp_path).output)
    (key,) = read_keys(tmp_path / "keys.json")
    assert (key.api_key, key.app_id) == (added["api_key"], added["app_id"])
    assert key.has_secret(added["secret_key"])
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600

    shown = idseg("keys", "add", "--token-only", state=tmp_path)
    assert "Secret key" in shown.output
    secret_key = shown.output.split("Secret key")[1].split()[0]
    assert secret_key not in (tmp_path / "keys.json").read_text()
    listed = idseg("keys", "list", state=tmp_path).output.splitlines()
    assert len(listed) == 2
    assert "shop" in listed[0]
    assert "signatures" in listed[0]
    assert "signatures" not in listed[1]

    assert idseg("keys", "remove", added["api_key"], state=tmp_path).exit_code == 0
    assert len(read_keys(tmp_path / "keys.json")) == 1
    again = idseg("keys", "remove", added["api_key"], state=tmp_path)
    assert again.exit_code == 2
    assert "has no key" in again.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve"], "idseg keys add"),
        (["serve", "--no-auth", "--host", "0.0.0.0"], "may only listen on this machine"),  # noqa: S104
        (["serve", "--no-auth", "--tls-cert", "a.pem"], "TLS needs both files"),
        (["serve", "--no-auth", "--tls-cert", "a.pem", "--tls-key", "b.pem"], "a.pem cannot be read"),
        (["serve", "--no-auth", "--port", "70000"], "port is 70000"),
    ],
)
def test_a_server_that_must_not_start_says_why(tmp_path: Path, arguments: list[str], says: str) -> None:
    result = idseg(*arguments, state=tmp_path)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


def test_help_names_what_a_person_needs(tmp_path: Path) -> None:
    text = " ".join(idseg("serve", "--help", state=tmp_path).output.split())
    for needed in ("--no-auth", "--workers", "code 4", "code 18", "code 17", "aip.baidubce.com", "idseg keys add"):
        assert needed in text


def test_a_damaged_key_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    result = idseg("keys", "list", state=tmp_path)
    assert result.exit_code == 2
    assert "damaged" in result.output


@pytest.mark.weights
def test_serve_with_the_models_that_ship(tmp_path: Path, astronaut_file: Path) -> None:
    """The whole way, as a person would: make keys, serve, call, stop."""
    added = json.loads(idseg("keys", "add", "--json", state=tmp_path).output)
    port = free_port()
    environment = {**os.environ, "IDSEG_STATE": str(tmp_path)}
    command = [sys.executable, "-m", "idseg", "serve", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/readyz", process, tmp_path / "log")
        client = Client(f"127.0.0.1:{port}", added["api_key"], added["secret_key"])
        reply = client.body_seg_photo(astronaut_file)
        assert reply["face_location"]["score"] > 0.5
        assert reply["pose_info"]["facepose"] in (1, 2)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, -signal.SIGINT)
    assert "Traceback" not in (tmp_path / "log").read_text()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(log.read_text()[-3000:])
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])
