"""The official SDKs and curl, against a real server: they cannot tell the difference."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from idseg.cloud import wire
from idseg.server.auth import tokens
from idseg.server.auth.keys import Key, write_keys
from tests.cloud.test_wire import check
from tests.server.fakes import NOBODY, TWO_PEOPLE, picture
from tests.server.live import API_KEY, SECRET_KEY, Live, hosted

HERE = Path(__file__).parent


# --- Python: baidu-aip ------------------------------------------------------------------------------------------------


class PythonSdk:
    """``baidu-aip`` as CONTRACT.md says: its generic ``post``, pointed at a local server."""

    def __init__(self, live: Live, api_key: str = API_KEY, secret_key: str = SECRET_KEY) -> None:
        pytest.importorskip("aip", reason="baidu-aip is not installed")
        from aip import AipImageClassify
        from aip.base import AipBase

        AipBase._AipBase__accessTokenUrl = live.url + wire.TOKEN_PATH
        self.client = AipImageClassify("app", api_key, secret_key)
        self.client.s.trust_env = False
        self._url = live.url + wire.PATH

    def call(self, photo: bytes) -> Any:
        try:
            return self.client.post(self._url, {"image": base64.b64encode(photo).decode()})
        finally:
            self.client.s.close()

    @property
    def token(self) -> str:
        held: str = self.client._authObj["access_token"]
        return held

    @token.setter
    def token(self, token: str) -> None:
        self.client._authObj["access_token"] = token


def test_python_logs_in_calls_and_keeps_its_token(live: Live) -> None:
    sdk = PythonSdk(live)
    for photo in (picture(), picture(kind="JPEG"), picture(kind="BMP")):
        reply = sdk.call(photo)
        check(reply)
        assert "seg_info" in reply
    assert "aipSdk" not in live.log_text(), "the query is not for the log"
    first = sdk.token
    sdk.call(picture())
    assert sdk.token == first


@pytest.mark.parametrize(("api_key", "secret_key"), [("unknown", SECRET_KEY), (API_KEY, "wrong-secret")])
def test_python_with_a_wrong_key_gets_14(live: Live, api_key: str, secret_key: str) -> None:
    """A refused login does not raise in the SDK: it signs with bce-auth instead."""
    reply = PythonSdk(live, api_key, secret_key).call(picture())
    assert reply == {"error_code": 14, "error_msg": "IAM Certification failed"}


def test_python_with_an_expired_token_gets_111(live: Live) -> None:
    sdk = PythonSdk(live)
    sdk.call(picture())
    sdk.token = tokens.issue(live.token_secret(), 12345678, int(time.time()) - 100, 50)["access_token"]
    assert sdk.call(picture()) == {"error_code": 111, "error_msg": "Access token expired"}


def test_python_with_a_lost_token_gets_110_and_logs_in_again_itself(live: Live) -> None:
    sdk = PythonSdk(live)
    sdk.call(picture())
    lost = "24." + "0" * 32 + ".2592000.1900000000.282335-12345678"
    assert live_code(live, lost) == 110
    sdk.token = lost
    assert "seg_info" in sdk.call(picture())
    assert sdk.token != lost


def live_code(live: Live, token: str) -> int:
    code: int = live.call(token, picture())["error_code"]
    return code


def test_python_signs_with_bce_auth(live: Live) -> None:
    sdk = PythonSdk(live)
    sdk.client._isCloudUser = True
    reply = sdk.call(picture())
    check(reply)
    assert "seg_info" in reply


def test_python_signs_in_vain_with_a_token_only_key(tmp_path: Path) -> None:
    state = tmp_path / "state"
    write_keys(state / "keys.json", [Key.of(API_KEY, SECRET_KEY, may_sign=False)])
    with hosted(state=state) as live:
        sdk = PythonSdk(live)
        assert "seg_info" in sdk.call(picture())
        sdk.client._isCloudUser = True
        assert sdk.call(picture())["error_code"] == 14


@pytest.mark.parametrize(("color", "code"), [(NOBODY, 216634), (TWO_PEOPLE, 216634)])
def test_python_passes_our_extra_keys_through(live: Live, color: tuple[int, int, int], code: int) -> None:
    reply = PythonSdk(live).call(picture(color))
    check(reply)
    assert reply["error_code"] == code
    assert reply["error_detail"]["reason"] in ("no_person", "multiple_persons")


def test_a_token_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with hosted(state=state) as live:
        sdk = PythonSdk(live)
        sdk.call(picture())
        token = sdk.token
    with hosted(state=state) as live:
        sdk = PythonSdk(live)
        sdk.client._authObj = {"access_token": token, "expires_in": 2592000, "time": int(time.time())}
        sdk.client._isCloudUser = False
        assert "seg_info" in sdk.call(picture())
        assert sdk.token == token


# --- Node: baidu-aip-sdk ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node_sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``baidu-aip-sdk`` in it, installed by npm for these tests."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here")
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", "baidu-aip-sdk@4.16.16"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm took longer than 90 s")
    if done.returncode:
        pytest.skip(f"npm could not install baidu-aip-sdk: {done.stderr.decode()[-200:]}")
    shutil.copy(HERE / "sdk.js", folder / "sdk.js")
    return folder


def node(folder: Path, live: Live, photo: bytes, mode: str = "call", secret_key: str = SECRET_KEY) -> list[Any]:
    (folder / "photo").write_bytes(photo)
    done = subprocess.run(
        ["node", "sdk.js", live.url, API_KEY, secret_key, "photo", mode],
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_node_logs_in_and_calls(node_sdk: Path, live: Live) -> None:
    replies = node(node_sdk, live, picture(), "twice")
    assert [set(reply) for reply in replies] == [
        {"log_id", "seg_info", "face_location", "pose_info", "cut_location"}
    ] * 2
    assert replies[0]["pose_info"]["body_parts"][9]["neck"]["x"] > 0


def test_node_gets_the_errors(node_sdk: Path, live: Live) -> None:
    (reply,) = node(node_sdk, live, picture(TWO_PEOPLE))
    assert (reply["error_code"], reply["error_detail"]["persons"]) == (216634, 2)


def test_node_signs_with_bce_auth(node_sdk: Path, live: Live) -> None:
    (reply,) = node(node_sdk, live, picture(), "bce")
    assert "seg_info" in reply


def test_node_with_a_wrong_secret_gets_14(node_sdk: Path, live: Live) -> None:
    (reply,) = node(node_sdk, live, picture(), secret_key="wrong-secret")
    assert reply == {"error_code": 14, "error_msg": "IAM Certification failed"}


# --- curl -------------------------------------------------------------------------------------------------------------


def curl(live: Live, token: str, *arguments: str) -> Any:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    url = f"{live.url}{wire.PATH}?access_token={token}"
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", url, *arguments], capture_output=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture
def base64_file(tmp_path: Path) -> Path:
    """Base64 with ``+`` in it, and lines wrapped as ``base64 photo.jpg`` wraps them."""
    photo = picture(size=(320, 240), kind="JPEG")
    while b"+" not in (text := base64.encodebytes(photo)):
        photo += b"\x00\xfb\xef\xbe"
    file = tmp_path / "photo.b64"
    file.write_bytes(text)
    return file


def test_curl_with_urlencode(live: Live, token: str, base64_file: Path) -> None:
    reply = curl(live, token, "--data-urlencode", f"image@{base64_file}")
    check(reply)
    assert "seg_info" in reply


def test_curl_without_urlencode(live: Live, token: str, base64_file: Path) -> None:
    """The published shell example: ``--data 'image=…'``; ``+`` arrives as a space."""
    body = base64_file.with_name("body")
    body.write_bytes(b"image=" + base64_file.read_bytes().replace(b"\n", b""))
    assert "seg_info" in curl(live, token, "--data", f"@{body}")
    assert "seg_info" in curl(live, token, "--data-binary", f"@{body}", "-H", "Content-Type: application/octet-stream")


def test_curl_logs_in_with_a_post_and_a_query(live: Live) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    query = f"grant_type=client_credentials&client_id={API_KEY}&client_secret={SECRET_KEY}"
    command = ["curl", "-sS", "--noproxy", "*", "-X", "POST", f"{live.url}{wire.TOKEN_PATH}?{query}"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert "seg_info" in live.call(json.loads(done.stdout)["access_token"], picture())


def test_curl_with_a_body_over_the_limit_sees_why(live: Live, token: str, tmp_path: Path) -> None:
    """curl asks first (Expect: 100-continue) for a body this large."""
    body = tmp_path / "body"
    body.write_bytes(b"image=" + b"A" * (15 * 2**20))
    reply = curl(live, token, "--data", f"@{body}")
    assert reply["error_code"] == 216202
