"""The web page in a real browser: a parent on a phone, a clerk with a batch, a developer; by hand; and what goes wrong.

The server has the fake models: what is tested is the page. Nothing outside the loopback can be reached.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idseg.photo.size import MM_PER_INCH
from tests.server.fakes import ON_THE_SIDE, TWO_PEOPLE, picture
from tests.server.live import API_KEY, ROOT, SECRET_KEY, Live, links_of
from tests.server.page.browser import Browser

DATA = Path(__file__).parent.parent.parent / "data"
WRONG_KEY = "Failed to load resource: the server responded with a status of 401 (Unauthorized)"


@pytest.fixture(scope="module")
def folder(browser: Browser) -> Path:
    """The browser's folder with the photos that are sent."""
    folder = browser.folder
    photo = noisy((640, 800))
    photo.save(folder / "photo.jpg", quality=92)
    for name in ("one.jpg", "two.jpg", "three.jpg"):
        noisy((480, 600), seed=ord(name[0])).save(folder / name, quality=92)
    (folder / "batch.json").write_text(json.dumps(["one.jpg", "two.jpg", "three.jpg"]))
    noisy((4000, 3000)).save(folder / "large.jpg", quality=90)
    photo.save(folder / "photo.gif")
    photo.save(folder / "photo.webp")
    (folder / "photo.heic").write_bytes((DATA / "scene.heic").read_bytes())
    pair = Image.new("RGB", (320, 400), (90, 120, 150))
    pair.paste(TWO_PEOPLE, (0, 0, 120, 400))
    pair.save(folder / "two.png")
    (folder / "side.png").write_bytes(picture(ON_THE_SIDE, (400, 320)))
    (folder / "text.txt").write_text("no picture")
    return folder


def noisy(size: tuple[int, int], seed: int = 1) -> Image.Image:
    """A soft picture with noise, so that a JPEG of it has many kilobytes."""
    noise = np.random.default_rng(seed).integers(-12, 13, (size[1], size[0], 3))
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    soft = np.dstack([60 + x * 100 / size[0], 80 + y * 90 / size[1], 150 - x * 60 / size[0]])
    return Image.fromarray((soft + noise).clip(0, 255).astype(np.uint8))


def test_a_parent_prints_two_photos_on_a_phone(browser: Browser, open_live: Live, folder: Path) -> None:
    seen = browser.walk("people.mjs", "parent", open=open_live.url)
    assert seen["complaints"] == []
    assert "sheet-320" in seen["wide"], "no sideways scroll, at 320 px neither"
    assert seen["scrolled"] == 0, "the page's head stays in sight"
    assert seen["saveInView"], "Save stays on the screen of a phone"
    assert seen["photoInView"], "the photo comes first"
    assert len(seen["papers"]) == len(set(seen["papers"])) == 6, "each paper once"
    assert (seen["jpeg"], seen["pdf"]) == ("us-passport-sheet-6inch.jpg", "us-passport-sheet-6inch.pdf")
    with Image.open(folder / "sheet.jpg") as sheet:
        assert sorted(sheet.size) == [1200, 1800]
        assert sheet.info["dpi"] == (300, 300)
        assert photos_on(np.asarray(sheet)) == pytest.approx(2, abs=0.05)
    pdf = (folder / "sheet.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert sorted(media_box(pdf)) == pytest.approx([4 * MM_PER_INCH, 6 * MM_PER_INCH], abs=0.1)
    assert seen["note"].startswith("2 photos on 4 × 6 in")


def photos_on(sheet: Any) -> float:
    """The area that is not paper, in photos of 600 x 600 px."""
    return float((sheet.min(axis=2) < 200).sum()) / 600**2


def media_box(pdf: bytes) -> list[float]:
    """Width and height of the page, mm."""
    numbers = pdf.split(b"/MediaBox", 1)[1].split(b"[", 1)[1].split(b"]", 1)[0].split()
    return [float(number) / 72 * MM_PER_INCH for number in numbers[2:]]


def test_a_clerk_makes_a_batch_in_kilobytes(browser: Browser, open_live: Live, folder: Path) -> None:
    seen = browser.walk("people.mjs", "clerk", open=open_live.url)
    assert seen["complaints"] == []
    assert seen["zip"] == "cn-1inch.zip"
    with zipfile.ZipFile(folder / "all.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{name}-cn-1inch.jpg" for name in ("one", "two", "three")]
        for name in archive.namelist():
            content = archive.read(name)
            assert 20 * 1000 <= len(content) <= 50 * 1000
            with Image.open(io.BytesIO(content)) as photo:
                assert photo.size == (295, 413)
                corner = np.asarray(photo.convert("RGB"))[2, 2].astype(int)
                assert np.abs(corner - (67, 142, 219)).max() <= 4
    assert len(seen["verdicts"]) == 3
    assert all(text.startswith("第") for text in seen["verdicts"])
    assert seen["english"] == [], "the Chinese page speaks Chinese"
    assert set(seen["englishNames"]) <= {"English"}
    assert "295 × 413 按像素理解" in seen["read"]
    assert seen["best"].startswith("一寸")
    assert "调亮 0.3 档" in seen["edited"], "a change of the light is marked as an edit"
    assert "换底色（蓝色）" in seen["edited"], "and a replaced background as well"
    assert "面部未修饰" not in seen["edited"]
    assert seen["notApplicable"] > 5, "a studio's size has no ISO rules"


def test_a_developer_copies_a_line_that_answers(browser: Browser, open_live: Live, folder: Path) -> None:
    seen = browser.walk("people.mjs", "developer", open=open_live.url, python=sys.executable, root=str(ROOT))
    assert seen["complaints"] == []
    with Image.open(folder / "by-curl.jpg") as photo:
        assert photo.size == (600, 600)
    assert "facepose" in seen["python"]
    assert seen["labels"] == 0, "no label lies on another"
    assert "level, frontal" in seen["facts"]
    assert "-0°" not in seen["facts"]
    assert "−0°" not in seen["facts"]
    for language, title in (("en-US", "API"), ("zh-CN", "接口")):
        docs = seen[f"docs-{language}"]
        assert title in docs["title"]
        assert "base64 -w0" not in docs["example"], "macOS has no -w"
        assert "/v1/photos/{handle}" in docs["operations"]
    silent = [text for text in seen["docs-zh-CN"]["said"] if text and not re.search("[\u4e00-\u9fff]", text)]
    assert set(silent) <= {'"client_credentials"', "string"}, "the Chinese page speaks Chinese"


def test_the_photo_is_moved_by_hand_and_kept(browser: Browser, open_live: Live, folder: Path) -> None:
    seen = browser.walk("hand.mjs", "hand", open=open_live.url)
    assert seen["complaints"] == ["Failed to load resource: net::ERR_INTERNET_DISCONNECTED"] * len(seen["complaints"])
    assert seen["sentOnce"] == 1
    assert seen["focused"] == ["result-title", 0], "the result has the focus, and the page's head stays in sight"
    assert seen["zoomText"] == "100 %"
    value, ring, none = seen["ring"]
    assert value == "own"
    assert ring != none, "the chosen colour has a ring"
    assert seen["bytesForSize"] == 0, "a change of size sends no photo again"
    assert seen["eyesFirst"].startswith("✓")
    assert seen["eyesMoved"].startswith("✕"), "the rules answer while the photo moves"
    assert seen["eyesReset"].startswith("✓")
    assert "turn=2.5" in seen["asked"]
    assert "flip=1" in seen["asked"]
    assert seen["firstOption"] != seen["secondOption"], "arrows move in the list"
    assert "United States visa" in seen["stillChosen"], "what is chosen stays in sight while one searches"
    assert seen["secondOption"].startswith(seen["picked"]), "Enter takes the marked one"
    assert seen["originalPixel"][3] == 255
    assert max(seen["originalPixel"][:3]) > 30, "the original, no black bar"
    assert seen["afterReload"] == seen["picked"], "Back and reload lose nothing"
    assert seen["offline"]["title"] == "No answer from the server"
    assert seen["offline"]["pixel"] == [217, 0, 27, 255], "the background changes without the server"
    assert seen["offline"]["shown"], "the last good result stays"
    assert seen["offlineSaved"].endswith(".jpg")
    assert not seen["again"], "Try again repeats it"


def test_what_goes_wrong_is_told_and_mended(browser: Browser, open_live: Live, folder: Path) -> None:
    seen = browser.walk("faults.mjs", "photos", open=open_live.url)
    assert all(text.startswith("Failed to load resource") for text in seen["complaints"]), seen["complaints"]
    assert seen["two"] == {"title": "More than one person", "save": False}
    assert seen["side"] == "Turn right"
    for name in ("photo.gif", "photo.webp", "photo.heic"):
        assert seen[name]["state"] == "done", (name, seen[name])
        assert seen[name]["shown"], name
    assert seen["picked"] == ["done", True], "the person who was pointed at"
    assert seen["over"], "a drop is answered everywhere"
    assert seen["stopped"]
    assert seen["sent"]["bytes"] < (folder / "large.jpg").stat().st_size / 4
    assert max(seen["sent"]["width"], seen["sent"]["height"]) <= 2560
    assert seen["kept"]
    assert seen["others"] == 4, "the other photos keep their results"


def test_doors_that_are_shut(browser: Browser, open_live: Live, live: Live, home: Live, folder: Path) -> None:
    servers = {"open": open_live.url, "keyed": live.url, "home": home.url}
    secrets = {"apiKey": API_KEY, "secretKey": SECRET_KEY, "secret": links_of(home)[-1]}
    seen = browser.walk("faults.mjs", "doors", **servers, **secrets)
    assert all(text.startswith("Failed to load resource") for text in seen["complaints"]), seen["complaints"]
    assert WRONG_KEY in seen["complaints"]
    assert seen["away"]
    assert seen["login"]
    assert (seen["keyed"], seen["atHome"]) == ("一寸", "一寸")
    assert "link" not in seen["address"], "the secret does not stay in the address"
    assert seen["late"].startswith("链接已被使用")
    with Image.open(folder / "by-keys.jpg") as photo:
        assert photo.size == (295, 413)
    for secret in (API_KEY, SECRET_KEY):
        assert secret not in seen["stored"]
    assert not re.search(r"24\.[0-9a-f]{32}", seen["stored"]), "no access token"
