"""The web page: what it is made of, and who may call it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import httpx
import pytest

from idseg import __version__
from idseg.server.routes import page, photo_api
from tests.server.fakes import TWO_PEOPLE, picture
from tests.server.live import Live

STATIC = page.STATIC
MINE = {"x-idseg-page": __version__}


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
      const load = async (path) => (await import(path)).default;
      const [english, chinese, rules] = await Promise.all(process.argv.slice(1).map(load));
      const folder = (value) => value && typeof value === "object" && !Array.isArray(value);
      const kind = (value) => Array.isArray(value) ? value.length : typeof value;
      const keys = (part, at = "") => Object.entries(part).filter(([key]) => key !== "shortTitles")
        .flatMap(([key, value]) => folder(value) ? keys(value, at + key + ".") : [at + key + ":" + kind(value)]).sort();
      const names = (part) => Object.keys(part).sort();
      console.log(JSON.stringify([keys(english), keys(chinese), names(rules.en), names(rules.zh), english, chinese]));
    """
    copies = [str(STATIC / name) for name in ("text_en.js", "text_zh.js", "rules_text.js")]
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, *copies], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    english, chinese, rules_en, rules_zh, words, chinese_words = json.loads(done.stdout)
    assert english == chinese
    assert rules_en == rules_zh
    used = set()
    for name in ("index.html", "docs.html"):
        text = (STATIC / name).read_text(encoding="utf-8")
        for attribute in ('data-t="', 'data-label="'):
            used |= {part.split('"')[0] for part in text.split(attribute)[1:]}
    assert {name for name in used if name not in words} == set()
    for name, value in chinese_words.items():
        if isinstance(value, str) and name not in {"comma", "otherLanguage", "apiKey", "secretKey", "curl", "python"}:
            assert any("\u4e00" <= letter <= "\u9fff" for letter in value), name


def test_every_colour_of_the_documents_has_a_name() -> None:
    text = (STATIC / "save.js").read_text(encoding="utf-8")
    named = set(re.findall(r'"(#[0-9a-f]{6})":', text.split("const NAMES", 1)[1].split("};", 1)[0]))
    asked = {colour for size in photo_api.sizes("")["sizes"] for colour in size["background_hex"]}
    assert asked <= named


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
    texts = [(STATIC / f"text_{language}.js").read_text(encoding="utf-8") for language in ("en", "zh")]
    for content, reason in (
        (b"", "empty_photo"),
        (b"no picture", "photo_format"),
        (picture(TWO_PEOPLE), "multiple_persons"),
        (picture(size=(20, 20)), "photo_size"),
        (bytes(page.MAX_FILE + 1), "photo_size"),
    ):
        reply = httpx.post(f"{open_live.url}/page/photo", content=content, headers=MINE).json()
        assert reply["error_detail"]["reason"] == reason
        assert all(f"    {reason}: [" in text for text in texts)
