"""``idseg serve --lan``: a one-time link, its QR code, sessions, and on wish a certificate of its own."""

from __future__ import annotations

import re
import ssl
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from idseg import __version__
from idseg.cloud import wire
from idseg.errors import OptionError
from idseg.server import lan
from idseg.server.settings import Settings
from tests.server.fakes import picture
from tests.server.live import FAKE_APP, Live, links_of, running

MINE = {"x-idseg-page": __version__}


def join(live: Live, secret: str) -> Any:
    return httpx.post(f"{live.url}/page/join", content=secret, headers=MINE, trust_env=False).json()


def test_a_phone_comes_in_by_the_link_once(home: Live) -> None:
    text = home.log_text()
    assert "works once and for 10 minutes" in text
    assert "Risk: whoever opens it first" in text
    assert "\u2580" in text or "\u2588" in text, "a QR code of half blocks"
    secret = links_of(home)[-1]
    token = join(home, secret)["token"]
    assert links_of(home)[-1] != secret, "the next device has a link of its own"
    assert join(home, secret)["error_detail"]["reason"] == "unknown_token"

    bearer = {**MINE, "authorization": f"Bearer {token}", "host": "192.168.1.20:8080"}
    with httpx.Client(base_url=home.url, headers=bearer, trust_env=False) as phone:
        handle = phone.post("/v1/photos", content=picture(size=(300, 400))).json()["handle"]
        assert phone.post(f"/v1/photo?size=cn-1inch&handle={handle}").status_code == 200
        assert "seg_info" in phone.post(f"/page/photo?handle={handle}").json()
    other = join(home, links_of(home)[-1])["token"]
    asked = httpx.post(
        f"{home.url}/v1/photo?size=cn-1inch&handle={handle}", headers={"authorization": f"Bearer {other}"}
    )
    assert asked.status_code == 410, "another device does not see the photo"


def test_without_the_link_nothing_is_answered(home: Live) -> None:
    with httpx.Client(base_url=home.url, headers=MINE, trust_env=False) as http:
        assert http.get("/page/settings").json()["link"] is True
        assert http.post("/v1/photos", content=picture()).status_code == 401
        assert http.post("/v1/photos", content=picture(), headers={"authorization": "Bearer x"}).status_code == 401
        assert http.post("/page/photo", content=picture()).json()["error_detail"]["reason"] == "no_credential"
        assert http.post(wire.PATH, data={"image": "aaaa"}).json()["error_code"] != 0
        login = {"grant_type": "client_credentials", "client_id": "whoever", "client_secret": "x"}
        assert http.get(wire.TOKEN_PATH, params=login).status_code == 401
        secret = links_of(home)[-1]
        elsewhere = {"sec-fetch-site": "cross-site"}
        assert (
            http.post("/page/join", content=secret, headers=elsewhere).json()["error_detail"]["reason"]
            == "foreign_site"
        )
        assert http.post("/page/join", content=bytes(1000)).json()["error_code"] != 0
        assert "token" in join(home, secret), "a refused call does not use the link up"


def test_the_secret_is_in_no_log_line(home: Live) -> None:
    for line in home.log_text().splitlines():
        if line.startswith("{"):
            assert not any(secret in line for secret in links_of(home))


def test_a_certificate_of_its_own(tmp_path: Path) -> None:
    from idseg.server.auth.certificate import self_signed

    certificate, key, fingerprint = self_signed(tmp_path, "127.0.0.1")
    assert key.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", fingerprint)
    assert self_signed(tmp_path, "127.0.0.1")[2] == fingerprint, "a phone trusts it once"
    assert self_signed(tmp_path, "192.168.1.20")[2] != fingerprint
    certificate, key, _ = self_signed(tmp_path, "127.0.0.1")
    settings = Settings(
        app=FAKE_APP, auth=False, lan_address="127.0.0.1", tls_cert=str(certificate), tls_key=str(key), workers=1
    )
    with running(settings) as live:
        verify = ssl.create_default_context(cafile=str(certificate))
        secret = links_of(live)[-1]
        answer = httpx.post(f"{live.url}/page/join", content=secret, headers=MINE, verify=verify, trust_env=False)
        assert "token" in answer.json()
        assert "https://" in live.log_text()


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from idseg.cli.main import main
    from idseg.server import run

    served: list[Settings] = []
    monkeypatch.setattr(run, "serve", lambda settings, *_: served.append(settings))
    monkeypatch.setattr(lan, "own_address", lambda: "192.168.1.20")
    runner, state = CliRunner(), ["--state", str(tmp_path)]
    assert runner.invoke(main, ["serve", "--lan", *state]).exit_code == 0
    told = runner.invoke(main, ["serve", "--lan", "--https", "--port", "9000", *state])
    assert "fingerprint" in told.output
    plain, https = served
    assert (plain.host, plain.lan_address, plain.auth, plain.tls_cert) == (lan.EVERYWHERE[0], "192.168.1.20", False, "")
    assert https.tls_cert.startswith(str(tmp_path))
    assert lan.link(https, "s") == "https://192.168.1.20:9000/#link=s"
    assert "--lan" in runner.invoke(main, ["serve", "--https", *state]).output
    assert runner.invoke(main, ["serve", "--lan", "--host", "192.168.7.7", *state]).exit_code == 0
    assert (served[-1].host, served[-1].lan_address) == ("192.168.7.7", "192.168.7.7")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    refused = runner.invoke(main, ["serve", "--lan", "--https", *state])
    assert refused.exit_code != 0
    assert "idseg[https]" in refused.output


def test_keys_and_links_exclude_each_other() -> None:
    with pytest.raises(OptionError):
        Settings(lan_address="192.168.1.20")
    with pytest.raises(OptionError, match="--lan"):
        Settings(auth=False, host=lan.EVERYWHERE[0])
