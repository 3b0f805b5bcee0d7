"""The web page: what it is made of, who may call it, and a person's way through it in a real browser."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from idseg import __version__
from idseg.server.routes import page
from idseg.server.settings import Settings
from tests.server.fakes import TWO_PEOPLE, fake_result, picture
from tests.server.live import API_KEY, FAKE_APP, SECRET_KEY, Live, running
from tests.server.page.browser import walk, workplace

STATIC = page.STATIC
MINE = {"x-idseg-page": __version__}


@pytest.fixture(scope="module")
def open_live() -> Iterator[Live]:
    """A server without keys."""
    with running(Settings(app=FAKE_APP, auth=False)) as server:
        yield server


# --- what it is made of -----------------------------------------------------------------------------------------------


def test_every_file_is_served_with_a_strict_policy(http: httpx.Client) -> None:
    for file in STATIC.iterdir():
        answer = http.get("/" if file.name == "index.html" else f"/static/{file.name}")
        assert answer.status_code == 200
        assert answer.content == file.read_bytes()
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_comes_from_elsewhere() -> None:
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text
        assert "style=" not in text, "the policy forbids inline styles"


@pytest.mark.parametrize(
    "name", ["..%2fapp.py", "../app.py", "absent.js", "index.html%00", "page.py", "%2e%2e/page.py"]
)
def test_no_other_file_is_served(http: httpx.Client, name: str) -> None:
    assert http.get(f"/static/{name}").status_code == 404


def test_both_languages_have_every_word() -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not here")
    script = """
      globalThis.localStorage = { getItem: () => null };
      const { TEXT } = await import(process.argv[1]);
      const folder = (value) => value && typeof value === "object" && !Array.isArray(value);
      const keys = (part, at = "") => Object.entries(part).flatMap(([key, value]) =>
        folder(value) ? keys(value, at + key + ".") : [at + key + ":" + (value.length ?? "f")]);
      const lean = (list) => list.map((key) => key.startsWith("problems.") ? key : key.split(":")[0]).sort();
      console.log(JSON.stringify([lean(keys(TEXT.en)), lean(keys(TEXT.zh))]));
    """
    copy = STATIC / "text.js"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, str(copy)], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    english, chinese = json.loads(done.stdout)
    assert english == chinese
    used = set()
    for name in ("index.html", "app.js"):
        used |= {part.split('"')[0] for part in (STATIC / name).read_text(encoding="utf-8").split('data-text="')[1:]}
    assert used <= {key.split(":")[0] for key in english}


# --- who may call it --------------------------------------------------------------------------------------------------


def test_a_photo_is_answered(open_live: Live) -> None:
    reply = httpx.post(f"{open_live.url}/page/photo", content=picture(), headers=MINE).json()
    assert reply["photo"] == {"width": 120, "height": 160}
    assert reply["log_id"].isdigit()
    assert set(reply["angles"]) == {"yaw_deg", "pitch_deg", "roll_deg", "shoulder_tilt_deg", "shoulder_turn"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-idseg-page": "0.0.0"},
        {**MINE, "sec-fetch-site": "cross-site"},
        {**MINE, "sec-fetch-site": "same-site"},
        {**MINE, "host": "evil.example"},
        {**MINE, "host": "127.0.0.1.evil.example:80"},
    ],
)
def test_another_site_gets_nothing(open_live: Live, headers: dict[str, str]) -> None:
    reply = httpx.post(f"{open_live.url}/page/photo", content=picture(), headers=headers).json()
    assert (reply["error_code"], reply["error_detail"]["reason"]) == (6, "foreign_site")


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080"])
def test_this_machine_has_three_names(open_live: Live, host: str) -> None:
    assert (
        "seg_info"
        in httpx.post(f"{open_live.url}/page/photo", content=picture(), headers={**MINE, "host": host}).json()
    )


def test_with_keys_the_page_needs_a_token(live: Live, token: str) -> None:
    url = f"{live.url}/page/photo"
    reasons = [
        httpx.post(url, content=picture(), headers={**MINE, **headers}).json()["error_detail"]["reason"]
        for headers in (
            {},
            {"authorization": "Bearer"},
            {"authorization": "Basic abc"},
            {"authorization": "Bearer nonsense"},
        )
    ]
    assert reasons == ["no_credential"] * 3 + ["unknown_token"]
    assert "seg_info" in httpx.post(url, content=picture(), headers={**MINE, "authorization": f"Bearer {token}"}).json()
    assert httpx.post(f"{url}?access_token={token}", content=picture(), headers=MINE).json()["error_code"] == 100


def test_every_refusal_has_words(open_live: Live) -> None:
    text = (STATIC / "text.js").read_text(encoding="utf-8")
    for content, reason in (
        (b"", "empty_photo"),
        (b"GIF89a", "photo_format"),
        (picture(TWO_PEOPLE), "multiple_persons"),
        (picture(size=(20, 20)), "photo_size"),
        (bytes(page.MAX_FILE + 1), "photo_size"),
    ):
        reply = httpx.post(f"{open_live.url}/page/photo", content=content, headers=MINE).json()
        assert reply["error_detail"]["reason"] == reason
        assert text.count(f"      {reason}: [") == 2


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(open_live: Live, live: Live, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What a person sees: one walk through the page, and the folder of downloads and screenshots."""
    folder = workplace(tmp_path_factory)
    (folder / "photo.png").write_bytes(photo_file())
    (folder / "two.png").write_bytes(picture(TWO_PEOPLE, (320, 400)))
    (folder / "large.png").write_bytes(picture((200, 180, 160), (4300, 900)))
    (folder / "photo.gif").write_bytes(picture(kind="GIF"))
    result = walk("page.mjs", folder, open_live.url, live.url, API_KEY, SECRET_KEY)
    return result, folder


def photo_pixels() -> Any:
    """A soft gradient, (400, 320, 3)."""
    y, x = np.mgrid[0:400, 0:320]
    return np.dstack([60 + x * 0.5, 80 + y * 0.3, 150 - x * 0.2]).astype(np.uint8)


def photo_file() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo_pixels()).save(stream, "PNG")
    return stream.getvalue()


def test_the_browser_has_nothing_to_complain_about(seen: tuple[dict[str, Any], Path]) -> None:
    the_wrong_key = "Failed to load resource: the server responded with a status of 401 (Unauthorized)"
    assert seen[0]["complaints"] == [the_wrong_key]
    assert seen[0]["foreign"] == []


def test_a_result_is_drawn_over_the_photo(seen: tuple[dict[str, Any], Path]) -> None:
    result = seen[0]
    assert "level, frontal" in result["facts"]
    assert "240 × 400" in result["facts"]
    assert result["points"] == 10
    assert result["drawn"]["same"], "the drawing lies exactly on the photo"
    nose = next(circle for circle in result["drawn"]["circles"] if circle[0].startswith("nose"))
    assert nose[1:] == [160.5, 192.5]


def test_the_background_changes_and_the_download_has_those_pixels(seen: tuple[dict[str, Any], Path]) -> None:
    result, folder = seen
    assert result["afterPixel"] == [67, 142, 219, 255]
    assert result["saved"] == "id-photo-blue.png"
    expected = fake_result(photo_pixels())
    with Image.open(folder / "blue.png") as saved:
        assert saved.mode in ("RGB", "RGBA")
        found = np.asarray(saved.convert("RGB"), np.int16)
    assert np.abs(found - expected.on((67, 142, 219))).max() <= 2
    with Image.open(folder / "transparent.png") as saved:
        found = np.asarray(saved)
    assert np.abs(found[..., 3].astype(np.int16) - expected.scoremap).max() == 0
    opaque = expected.alpha > 0.9
    assert np.abs(found[opaque][:, :3].astype(np.int16) - expected.foreground[opaque]).max() <= 2
    with Image.open(folder / "mask.png") as saved:
        assert np.array_equal(np.asarray(saved), expected.scoremap)
    reply = json.loads((folder / "reply.json").read_text(encoding="utf-8"))
    assert list(reply) == ["log_id", "seg_info", "face_location", "pose_info", "cut_location"]
    assert isinstance(reply["log_id"], int)
    assert reply["log_id"] > 2**53


def test_two_people_are_told_why_and_what_to_do(seen: tuple[dict[str, Any], Path]) -> None:
    problem = seen[0]["problem"]
    assert problem["title"] == "More than one person"
    assert "we see 2 here" in problem["why"]
    assert "Crop the photo" in problem["todo"]
    assert "216634" in problem["code"]
    assert seen[0]["focused"] == "problem"
    assert seen[0]["problemChinese"] == "不止一个人"
    assert seen[0]["gif"] == "Not a format we take"


def test_large_photos_drops_and_the_camera(seen: tuple[dict[str, Any], Path]) -> None:
    assert "scaled to 2560 × 536" in seen[0]["scaled"]
    assert seen[0]["cameraWorked"] is True
    assert seen[0]["cameraSize"] in seen[0]["camera"]


def test_the_keyboard_reaches_everything(seen: tuple[dict[str, Any], Path]) -> None:
    order = seen[0]["tabOrder"]
    assert order[:7] == ["skip", "brand", "quiet", "theme", "language", "file", "camera-open"]
    assert seen[0]["split"] == "49.9%"
    assert seen[0]["tab"] == "view-points"


def test_a_phone_sees_chinese_and_no_sideways_scroll(seen: tuple[dict[str, Any], Path]) -> None:
    narrow = seen[0]["narrow"]
    assert (narrow["lang"], narrow["title"]) == ("zh-CN", "一张自拍，变成证件照")
    assert "2 个" in narrow["problem"]
    assert narrow["overflow"] == [0, 0, 0]


def test_keys_are_asked_for_and_not_stored(seen: tuple[dict[str, Any], Path]) -> None:
    result = seen[0]
    assert result["login"] is True
    assert "does not know" in result["loginProblem"]
    for secret in (API_KEY, SECRET_KEY, "24."):
        assert secret not in result["loginStored"]


def test_the_documentation_is_there_without_a_network(seen: tuple[dict[str, Any], Path]) -> None:
    assert "/rest/2.0/image-classify/v1/body_seg_photo" in seen[0]["operations"]
    assert len(seen[0]["operations"]) == 11
