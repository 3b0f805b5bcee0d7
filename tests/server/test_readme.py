"""The commands of the server's README, run as they stand there (with another port)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.server.fakes import picture
from tests.server.live import API_KEY, ROOT, SECRET_KEY, Live

TEXT = (ROOT / "idseg" / "server" / "README.md").read_text(encoding="utf-8")
BASH = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs bash and curl")
def test_the_curl_lines_answer(live: Live, tmp_path: Path) -> None:
    (tmp_path / "selfie.jpg").write_bytes(picture(size=(480, 640), kind="JPEG"))
    script = "set -euo pipefail\n" + "\n".join(BASH).replace("http://127.0.0.1:8080", live.url)
    environment = {**os.environ, "API_KEY": API_KEY, "SECRET_KEY": SECRET_KEY, "no_proxy": "*"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "seg_info" in json.loads((tmp_path / "reply.json").read_text())
    for name in ("cut.jpg", "visa.jpg"):
        with Image.open(tmp_path / name) as made:
            assert made.format == "JPEG"
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF-")
    assert b'"error"' not in done.stdout
    assert done.stdout.count(b'"log_id"') == 2, "the check, and all three in one"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = re.search(r"(?m)^    \[Unit\].*?^    WantedBy=\S+$|^    \[Service\].*?^    WantedBy=\S+$", TEXT, re.DOTALL)
    assert unit is not None
    path = tmp_path / "idseg.service"
    path.write_text(re.sub(r"(?m)^    ", "", unit[0]).replace("/opt/idseg/bin/idseg", shutil.which("true") or "true"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, timeout=120, check=False)
    assert str(path.name) not in done.stderr.decode(), done.stderr.decode()
