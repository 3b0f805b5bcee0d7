"""The web page in a real browser: a parent, a clerk with a batch, a developer; by hand; arrivals; faults.

The three people walk on a phone and on a desktop, in both languages, light and dark: in four combinations that hold
every pair of these, or with ``IDSEG_EVERY_WALK=1`` in all eight. The server has the fake models: what is tested is the
page. Nothing outside the loopback can be reached, and with the photo finished, the server cannot be reached either.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from idseg.photo.size import MM_PER_INCH
from tests.server.fakes import ON_THE_SIDE, TWO_PEOPLE, picture
from tests.server.live import API_KEY, ROOT, SECRET_KEY, Live, links_of
from tests.server.page.browser import Browser

DATA = Path(__file__).parent.parent.parent / "data"
LOST = re.compile(r"Failed to load resource: net::ERR_(INTERNET_DISCONNECTED|CONNECTION_RESET|EMPTY_RESPONSE)")
WRONG_KEY = "Failed to load resource: the server responded with a status of 401 (Unauthorized)"
RED = (217, 0, 27)


class Place(NamedTuple):
    """Where a person walks."""

    device: str
    language: str
    colours: str


EVERY = [Place(*names) for names in itertools.product(("phone", "desktop"), ("en", "zh"), ("light", "dark"))]
PAIRS = [
    Place("phone", "en", "light"),
    Place("phone", "zh", "dark"),
    Place("desktop", "en", "dark"),
    Place("desktop", "zh", "light"),
]
"""The fewest places that hold every pair."""


@pytest.fixture(params=EVERY if os.environ.get("IDSEG_EVERY_WALK") else PAIRS, ids="-".join)
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.param
    return found


def test_the_places_hold_every_pair() -> None:
    for one, other in itertools.combinations(range(3), 2):
        wanted = {(place[one], place[other]) for place in EVERY}
        assert {(place[one], place[other]) for place in PAIRS} == wanted


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


def test_a_parent_prints_two_photos(browser: Browser, open_live: Live, folder: Path, place: Place) -> None:
    seen = browser.walk("people.mjs", "parent", open=open_live.url, **place._asdict())
    assert seen["scrolled"] == 0, "the page's head stays in sight"
    assert len(seen["papers"]) == len(set(seen["papers"])) == 6, "each paper once"
    assert (seen["jpeg"], seen["pdf"]) == ("us-passport-sheet-6inch.jpg", "us-passport-sheet-6inch.pdf")
    with Image.open(folder / "sheet.jpg") as sheet:
        assert sorted(sheet.size) == [1200, 1800]
        assert sheet.info["dpi"] == (300, 300)
        assert photos_on(np.asarray(sheet)) == pytest.approx(2, abs=0.05)
    pdf = (folder / "sheet.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert sorted(media_box(pdf)) == pytest.approx([4 * MM_PER_INCH, 6 * MM_PER_INCH], abs=0.1)
    note, kept, face = {
        "en": ("2 photos on 4 × 6 in", "background kept", "Face not retouched."),
        "zh": ("6 寸（4 × 6 英寸），共 2 张", "保留原背景", "面部未修饰。"),
    }[place.language]
    assert seen["note"].startswith(note)
    assert kept in seen["done"]
    assert seen["done"].endswith(face)
    assert saved_with_the_server_away(seen, folder, "us-passport", (600, 600)) == "PNG"
    assert ("may be refused" in seen["away"]["note"]) or ("可能被拒" in seen["away"]["note"])


def saved_with_the_server_away(seen: dict[str, Any], folder: Path, size: str, px: tuple[int, int]) -> str:
    """Check what the browser itself saved, red as it was shown; the format of the second file."""
    assert [text for text in seen["complaints"] if not LOST.match(text)] == []
    assert seen["away"]["title"] in ("No answer from the server", "服务器没有响应")
    assert seen["away"]["jpeg"] == f"{size}.jpg"
    formats = []
    for name in ("away.jpg", "back.jpg", "away.other"):
        with Image.open(folder / name) as photo:
            assert photo.size == px
            corner = np.asarray(photo.convert("RGB"))[2, 2].astype(int)
            assert np.abs(corner - RED).max() <= 4, name
            if photo.format != "WEBP":
                assert photo.info["dpi"] == pytest.approx((300, 300), abs=0.01)
            formats.append(str(photo.format))
    assert formats[:2] == ["JPEG", "JPEG"]
    assert seen["away"]["other"] == f"{size}.{formats[2].lower()}"
    return formats[2]


def photos_on(sheet: Any) -> float:
    """The area that is not paper, in photos of 600 x 600 px."""
    return float((sheet.min(axis=2) < 200).sum()) / 600**2


def media_box(pdf: bytes) -> list[float]:
    """Width and height of the page, mm."""
    numbers = pdf.split(b"/MediaBox", 1)[1].split(b"[", 1)[1].split(b"]", 1)[0].split()
    return [float(number) / 72 * MM_PER_INCH for number in numbers[2:]]


def test_a_clerk_makes_a_batch_in_kilobytes(browser: Browser, open_live: Live, folder: Path, place: Place) -> None:
    seen = browser.walk("people.mjs", "clerk", open=open_live.url, **place._asdict())
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
    number, best, read, light, background, face = {
        "en": ("Photo", "", "295 × 413 read as pixels", "brightened by 0.3 stops", "replaced (blue)", "not retouched."),
        "zh": ("第", "一寸", "295 × 413 按像素理解", "调亮 0.3\xa0档", "换底色（蓝色）", "面部未修饰"),
    }[place.language]
    assert len(seen["verdicts"]) == 3
    assert all(text.startswith(number) for text in seen["verdicts"])
    assert seen["strange"] == [], "the page speaks its own language"
    assert set(seen["strangeNames"]) <= {"English"}
    assert read in seen["read"]
    assert seen["best"].startswith(best)
    assert light in seen["edited"], "a change of the light is marked as an edit"
    assert background in seen["edited"], "and a replaced background as well"
    assert face not in seen["edited"]
    assert seen["notApplicable"] > 5, "a studio's size has no ISO rules"
    assert saved_with_the_server_away(seen, folder, "cn-1inch", (295, 413)) == "WEBP"
    for name in ("away.jpg", "away.other"):
        assert 20 * 1024 <= (folder / name).stat().st_size <= 50 * 1000, "the range of kilobytes holds"


def test_a_developer_copies_a_line_that_answers(browser: Browser, open_live: Live, folder: Path, place: Place) -> None:
    python = sys.executable if place == PAIRS[-1] else ""  # the lines for Python are the same everywhere
    seen = browser.walk("people.mjs", "developer", open=open_live.url, python=python, root=str(ROOT), **place._asdict())
    with Image.open(folder / "by-curl.jpg") as photo:
        assert photo.size == (600, 600)
    assert not python or "facepose" in seen["python"]
    assert seen["labels"] == 0, "no label lies on another"
    pose, title = {"en": ("level, frontal", "API"), "zh": ("端正，正脸", "接口")}[place.language]
    assert pose in seen["facts"]
    assert "-0°" not in seen["facts"]
    assert "−0°" not in seen["facts"]
    docs = seen["docs"]
    assert title in docs["title"]
    assert "base64 -w0" not in docs["example"], "macOS has no -w"
    assert "/v1/photos/{handle}" in docs["operations"]
    if place.language == "zh":
        silent = [text for text in docs["said"] if text and not re.search("[\u4e00-\u9fff]", text)]
        assert set(silent) <= {'"client_credentials"', "string"}, "the Chinese page speaks Chinese"
    assert saved_with_the_server_away(seen, folder, "us-visa", (600, 600)) == "WEBP"


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
    assert seen["offline"] == "No answer from the server"


def test_what_goes_wrong_is_told_and_mended(browser: Browser, open_live: Live, folder: Path) -> None:
    seen = browser.walk("faults.mjs", "photos", open=open_live.url)
    assert all(text.startswith("Failed to load resource") for text in seen["complaints"]), seen["complaints"]
    assert seen["two"] == {"title": "More than one person", "save": False}
    assert seen["side"] == "Turn right"
    assert seen["sent"]["bytes"] < (folder / "large.jpg").stat().st_size / 4
    assert max(seen["sent"]["width"], seen["sent"]["height"]) <= 2560


def test_a_picture_is_pasted(browser: Browser, open_live: Live) -> None:
    seen = browser.walk("arrive.mjs", "paste", open=open_live.url)
    assert seen["complaints"] == []
    assert seen["photos"] == ["image.png"], "the text that was pasted into the search is no photo"


def test_a_camera_is_switched_and_counts_down(browser: Browser, open_live: Live) -> None:
    seen = browser.walk("arrive.mjs", "camera", open=open_live.url)
    assert seen["complaints"] == []
    assert seen["counted"] == ["3", "2", "1", ""]
    assert seen["open"] is None, "the camera is switched off"
    assert seen["photos"] == ["camera.jpg"]


def test_a_connection_dies_halfway(browser: Browser, open_live: Live, folder: Path) -> None:
    seen = browser.walk("arrive.mjs", "cut", open=open_live.url)
    assert [text for text in seen["complaints"] if not LOST.match(text)] == []
    for part in ("upload", "answer"):
        assert seen[part]["title"] == "No answer from the server"
    assert 1 <= seen["upload"]["cuts"] < seen["answer"]["cuts"]
    assert 140_000 < (folder / "photo.jpg").stat().st_size < 200_000, "70,000 bytes are about half of it"


def test_doors_that_are_shut(browser: Browser, open_live: Live, live: Live, home: Live, folder: Path) -> None:
    servers = {"open": open_live.url, "keyed": live.url, "home": home.url}
    secrets = {"apiKey": API_KEY, "secretKey": SECRET_KEY, "secret": links_of(home)[-1]}
    seen = browser.walk("faults.mjs", "doors", **servers, **secrets)
    assert all(text.startswith("Failed to load resource") for text in seen["complaints"]), seen["complaints"]
    assert WRONG_KEY in seen["complaints"]
    assert (seen["keyed"], seen["atHome"]) == ("一寸", "一寸")
    assert "link" not in seen["address"], "the secret does not stay in the address"
    assert seen["late"].startswith("链接已被使用")
    with Image.open(folder / "by-keys.jpg") as photo:
        assert photo.size == (295, 413)
    for secret in (API_KEY, SECRET_KEY):
        assert secret not in seen["stored"]
    assert not re.search(r"24\.[0-9a-f]{32}", seen["stored"]), "no access token"
