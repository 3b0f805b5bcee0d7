"""Asking the API over HTTP, for the tests beside this file."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import httpx
import pytest

from idseg.cloud import wire
from tests.cloud.test_wire import check
from tests.server.live import API_KEY, SECRET_KEY, Live

FORM = {"content-type": "application/x-www-form-urlencoded"}


def encoded(photo: bytes) -> dict[str, str]:
    return {"image": base64.b64encode(photo).decode()}


def post(http: httpx.Client, token: str, photo: bytes) -> httpx.Response:
    return http.post(wire.PATH, params={"access_token": token}, data=encoded(photo))


BARE = {
    3: b'{"error_code":3,"error_msg":"Unsupported openapi method"}',
    100: b'{"error_code":100,"error_msg":"Invalid parameter"}',
    110: b'{"error_code":110,"error_msg":"Access token invalid or no longer valid"}',
    111: b'{"error_code":111,"error_msg":"Access token expired"}',
    14: b'{"error_code":14,"error_msg":"IAM Certification failed"}',
    2: b'{"error_code":2,"error_msg":"Service temporarily unavailable"}',
    4: b'{"error_code":4,"error_msg":"Open api request limit reached"}',
    17: b'{"error_code":17,"error_msg":"Open api daily request limit reached"}',
    18: b'{"error_code":18,"error_msg":"Open api qps request limit reached"}',
}


def assert_bare(answer: httpx.Response, code: int) -> None:
    assert answer.status_code == 200
    assert answer.content == BARE[code]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    check(answer.json())


def client_of(live: Live) -> httpx.Client:
    return httpx.Client(base_url=live.url, timeout=120, trust_env=False)


LOGIN = {"grant_type": "client_credentials", "client_id": API_KEY, "client_secret": SECRET_KEY}


def login(http: httpx.Client, shape: str, fields: dict[str, str]) -> httpx.Response:
    if shape == "GET query":
        return http.get(wire.TOKEN_PATH, params=fields)
    if shape == "POST query":
        return http.post(wire.TOKEN_PATH, params=fields)
    return http.post(wire.TOKEN_PATH, data=fields)


SHAPES = ["GET query", "POST query", "POST form"]


def counted(http: httpx.Client, name: str) -> float:
    lines = [line for line in http.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].split()[-1]) if lines else 0.0


def make_certificate(certificate: Path, key: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run([*command, *names], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
