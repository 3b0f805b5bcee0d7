"""The ID photo panel of the web page: its words, and a person's way through it in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idseg.check import check, check_file
from idseg.check.rules import RULES
from idseg.photo.sizes import load_sizes
from idseg.server.routes.page import STATIC
from idseg.server.settings import Settings
from tests.server.fakes import FakeSegmenter
from tests.server.live import API_KEY, FAKE_APP, SECRET_KEY, Live, running
from tests.server.page.browser import walk, workplace
from tests.server.page.test_page import photo_file


def words() -> dict[str, Any]:
    """Both languages of ``photo_text.js``; functions are ``"f"``."""
    if shutil.which("node") is None:
        pytest.skip("node is not here")
    script = """
      const { PHOTO_TEXT } = await import(process.argv[1]);
      console.log(JSON.stringify(PHOTO_TEXT, (_, value) => (typeof value === "function" ? "f" : value)));
    """
    command = ["node", "--input-type=module", "-e", script, str(STATIC / "photo_text.js")]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_both_languages_have_every_word() -> None:
    def keys(part: dict[str, Any]) -> set[str]:
        inner = {f"{name}.{key}" for name, value in part.items() if isinstance(value, dict) for key in value}
        return set(part) | inner

    text = words()
    chinese = {key for key in keys(text["zh"]) if not key.startswith("advice")}
    assert keys(text["en"]) == chinese
    used: set[str] = set()
    for part in (STATIC / "index.html").read_text(encoding="utf-8").split('data-photo="')[1:]:
        used.add(part.split('"')[0])
    assert used
    assert used <= chinese


def test_every_rule_basis_and_paper_has_words() -> None:
    rules = set(RULES) | {"head_height", "eye_line", "gap_above", "gap_below", "face_width", "head_width"}
    result = FakeSegmenter()(photo_file())
    for size in load_sizes():
        rules |= {rule.rule for rule in check(result, size).rules}
        rules |= {rule.rule for rule in check_file(photo_file(), size)}
    text = words()
    for language in ("en", "zh"):
        assert rules <= set(text[language]["rules"]), rules - set(text[language]["rules"])
        assert {size.basis for size in load_sizes()} <= set(text[language]["bases"])
    assert rules <= set(text["zh"]["advice"])


@pytest.fixture(scope="module")
def seen(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Path]]:
    """What a person sees, and the folder of downloads and screenshots."""
    folder = workplace(tmp_path_factory)
    (folder / "photo.png").write_bytes(photo_file())
    with running(Settings(app=FAKE_APP, auth=False)) as own:
        yield walk("page_photo.mjs", folder, own.url, live.url, API_KEY, SECRET_KEY), folder


def test_the_browser_has_nothing_to_complain_about(seen: tuple[dict[str, Any], Path]) -> None:
    the_size_that_cannot_be = "Failed to load resource: the server responded with a status of 400 (Bad Request)"
    assert seen[0]["complaints"] == [the_size_that_cannot_be]
    assert seen[0]["foreign"] == []
    assert seen[0]["overflow"] == 0


def test_sizes_are_searched_in_both_languages(seen: tuple[dict[str, Any], Path]) -> None:
    result = seen[0]
    assert result["sizes"] == len(load_sizes())
    assert "Japan passport" in result["japan"]
    assert "日本护照" in result["japanChinese"]
    assert len(result["japan"]) == len(result["japanChinese"])
    assert "35x45mm" in result["none"]
    assert "Choose a size" in result["empty"]


def test_the_checks_and_the_guides_follow_the_size(seen: tuple[dict[str, Any], Path]) -> None:
    visa = seen[0]["visa"]
    statuses = {rule: status for rule, status, _ in visa["rules"]}
    assert statuses["one_person"] == statuses["file_size"] == "pass"
    assert statuses["head_uncovered"] == "unknown"
    assert statuses["enough_pixels"] == "fail"
    for rule, status, advice in visa["rules"]:
        assert bool(advice) == (status != "pass"), rule
    order = ["fail", "unknown", "done", "pass"]
    assert [order.index(status) for _, status, _ in visa["rules"]] == sorted(order.index(s) for s in statuses.values())
    assert visa["verdict"] == visa["status"]
    assert (visa["guides"], visa["bands"], seen[0]["guidesOff"]) == (4, 2, 0)
    assert visa["figures"][0].startswith("head ")
    assert visa["backs"] == 2
    assert "allows no other" in visa["back"]
    assert seen[0]["keyed"]
    assert seen[0]["again"] is True


def test_what_is_saved_is_what_was_chosen(seen: tuple[dict[str, Any], Path]) -> None:
    result, folder = seen
    assert (result["visa"]["saved"], result["inch"], result["sheet"]) == (
        "us-visa.jpg",
        "cn-1inch.jpg",
        "cn-1inch-sheet-a4.pdf",
    )
    with Image.open(folder / "visa.jpg") as saved:
        assert (saved.size, saved.info["dpi"]) == ((600, 600), (300, 300))
    assert result["backs"] == ["White", "Blue", "Red", "Grey"]
    with Image.open(folder / "inch.jpg") as saved:
        assert saved.size == (295, 413)
        assert np.abs(np.asarray(saved)[0, 0].astype(int) - (67, 142, 219)).max() <= 3
    assert (folder / "sheet.pdf").read_bytes().startswith(b"%PDF-")
    assert "210 × 297" in result["sheetNote"]


def test_only_the_newest_answer_is_shown(seen: tuple[dict[str, Any], Path]) -> None:
    assert seen[0]["stale"] == ["ID photo for United Kingdom passport"] * 2
    keyboard = seen[0]["keyboard"]
    assert keyboard["focused"] == keyboard["before"][3] == "cn-2inch"
    assert keyboard["asked"][0] == "cn-2inch", "the sizes passed on the way are not asked for"


def test_what_cannot_be_made_is_said(seen: tuple[dict[str, Any], Path]) -> None:
    assert "cannot be made" in seen[0]["problem"]
    assert "16 to 6000 px" in seen[0]["problem"]
    assert seen[0]["number"] == {"problem": False, "basis": "By number: no document's rules."}


def test_the_panel_speaks_chinese(seen: tuple[dict[str, Any], Path]) -> None:
    chinese = seen[0]["chinese"]
    for text in (chinese["title"], chinese["save"], *chinese["rules"], *chinese["advice"]):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text), text
