"""Behind nginx at a sub-path: the page, the API, tokens and signatures, whether the proxy takes the path off or not.

Skips where there is no nginx (``apt-get install nginx-light``).
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import pytest
from aip import AipBodyAnalysis

from idseg.cloud import wire
from idseg.cloud.client import Client
from idseg.errors import OptionError
from idseg.server.settings import Settings
from tests.server.fakes import picture
from tests.server.live import API_KEY, SECRET_KEY, Live, free_port, hosted
from tests.server.page.browser import Browser

ROOT_PATH = "/tools/idseg"

CONFIG = """
{user} daemon off; worker_processes 1; pid nginx.pid; error_log error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    proxy_set_header Host $http_host;
    client_max_body_size 25m;
    server {{ listen 127.0.0.1:{whole}; location {path}/ {{ proxy_pass http://127.0.0.1:{server}; }} }}
    server {{ listen 127.0.0.1:{taken_off}; location {path}/ {{ proxy_pass http://127.0.0.1:{server}/; }} }}
}}
"""
"""Two proxies: the second one's ``proxy_pass`` ends with a slash, which takes the location's path off."""


@pytest.fixture(scope="module")
def keyed() -> Iterator[Live]:
    with hosted(Settings(root_path=ROOT_PATH)) as server:
        yield server


@pytest.fixture(scope="module")
def proxies(keyed: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The server's two addresses behind nginx."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    folder, server = tmp_path_factory.mktemp("nginx"), keyed.settings.port
    ports = free_port(), free_port()
    user = (
        "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    )  # else its own, for which our folder is shut
    text = CONFIG.format(user=user, whole=ports[0], taken_off=ports[1], server=server, path=ROOT_PATH)
    (folder / "nginx.conf").write_text(text, encoding="ascii")
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        for port in ports:
            _wait(f"http://127.0.0.1:{port}{ROOT_PATH}/healthz", process)
        yield f"http://127.0.0.1:{ports[0]}{ROOT_PATH}", f"http://127.0.0.1:{ports[1]}{ROOT_PATH}"
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        assert process.poll() is None, process.communicate()[1]
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def test_every_address_of_the_page_is_relative_to_it(proxies: tuple[str, str]) -> None:
    for base in proxies:
        with httpx.Client(trust_env=False, follow_redirects=True) as http:
            assert str(http.get(base).url) == f"{base}/", "without its slash, relative addresses would miss"
            for page in (f"{base}/", f"{base}/docs"):
                text = http.get(page).text
                found = re.findall(r'(?:href|src)="([^"#][^"]*)"', text)
                assert len(found) >= 5
                for address in found:
                    assert http.get(urljoin(page, address)).status_code == 200, address
            assert http.get(f"{base}/openapi.json").json()["servers"] == [{"url": ROOT_PATH}]
            assert http.get(f"{base}/nothing").status_code == 404


def test_tokens_signatures_and_large_photos_pass(proxies: tuple[str, str]) -> None:
    large = picture(size=(1500, 1400), kind="BMP")
    for base in proxies:
        client = Client(base, API_KEY, SECRET_KEY)
        token = client._current_token()
        assert "seg_info" in client.body_seg_photo(picture())
        answer = httpx.post(f"{base}/v1/check?size=35x45mm&access_token={token}", content=large, trust_env=False)
        assert answer.status_code == 200, answer.text
        assert "seg_info" in _signed(base)


def _signed(base: str) -> dict[str, object]:
    """The official SDK's signed request."""
    sdk = AipBodyAnalysis("1", API_KEY, SECRET_KEY)
    sdk._isCloudUser = True
    url = f"{base}{wire.PATH}?aipSdk=python"
    headers = sdk._getAuthHeaders("POST", url, None, {})
    image = base64.b64encode(picture()).decode()
    found: dict[str, object] = httpx.post(url, data={"image": image}, headers=headers, trust_env=False).json()
    return found


def test_the_page_works_in_a_browser(proxies: tuple[str, str], browser: Browser) -> None:
    (browser.folder / "proxied.jpg").write_bytes(picture(size=(300, 400), kind="JPEG"))
    for base in proxies:
        seen = browser.walk("proxied.mjs", "underPath", url=base, apiKey=API_KEY, secretKey=SECRET_KEY)
        assert (seen["bad"], seen["complaints"]) == ([], [])
        assert all(path.startswith(ROOT_PATH) for path in seen["paths"])
        assert {f"{ROOT_PATH}/v1/photos", f"{ROOT_PATH}/v1/photo"} <= set(seen["paths"])
        assert (seen["home"], seen["docs"], seen["back"]) == (f"{ROOT_PATH}/", f"{ROOT_PATH}/docs", f"{ROOT_PATH}/")
        assert f"{base}/v1/photo/file" in seen["example"]


@pytest.mark.parametrize("wrong", ["idseg", "/idseg/", "/", "//idseg", "/a b", "/a?b", "http://x/idseg"])
def test_a_root_path_that_is_none_is_told(wrong: str) -> None:
    with pytest.raises(OptionError, match="root path"):
        Settings(root_path=wrong)
