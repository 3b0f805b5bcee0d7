"""``/v1/photos`` and what follows: a photo sent once, moved by hand, laid on any background."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.server.fakes import picture
from tests.server.live import Live

PHOTO = picture(size=(400, 500))


@pytest.fixture(scope="module")
def client(open_live: Live) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=open_live.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def handle(client: httpx.Client) -> str:
    answer = client.post("/v1/photos", content=PHOTO)
    assert answer.status_code == 201
    return str(answer.json()["handle"])


def test_a_handle_stands_for_the_photo(client: httpx.Client, handle: str) -> None:
    for path in ("photo?size=cn-1inch", "photo/file?size=cn-1inch", "photo/sheet?size=cn-1inch", "check?size=us-visa"):
        sent, kept = client.post(f"/v1/{path}", content=PHOTO), client.post(f"/v1/{path}&handle={handle}")
        assert (sent.status_code, kept.status_code) == (200, 200)
        if sent.headers["content-type"].startswith("application/json"):
            one, two = sent.json(), kept.json()
            one.pop("log_id"), two.pop("log_id")
            assert one == two
        else:
            assert sent.content == kept.content
    assert "seg_info" in client.post(f"/page/photo?handle={handle}", headers=_page(client)).json()


def _page(client: httpx.Client) -> dict[str, str]:
    return {"x-idseg-page": client.get("/page/settings").json()["version"]}


def test_a_kept_photo_is_shown_and_forgotten(client: httpx.Client, handle: str) -> None:
    answer = client.get(f"/v1/photos/{handle}")
    assert Image.open(io.BytesIO(answer.content)).size == (400, 500)
    assert json.loads(answer.headers["x-idseg-facts"]) == {"width": 400, "height": 500}
    assert client.delete(f"/v1/photos/{handle}").json()["forgotten"]
    gone = client.post(f"/v1/photo?size=cn-1inch&handle={handle}")
    assert (gone.status_code, gone.json()["error"]["reason"]) == (410, "unknown_handle")
    assert not client.delete(f"/v1/photos/{handle}").json()["forgotten"]


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_another_site_reaches_no_kept_photo(client: httpx.Client, handle: str, headers: dict[str, str]) -> None:
    assert client.post("/v1/photos", content=PHOTO, headers=headers).status_code == 403
    assert client.get(f"/v1/photos/{handle}", headers=headers).status_code == 403
    assert client.post(f"/v1/photo?size=cn-1inch&handle={handle}", headers=headers).status_code == 403


def test_with_keys_a_handle_alone_is_nothing(live: Live, token: str) -> None:
    bearer = {"authorization": f"Bearer {token}"}
    handle = httpx.post(f"{live.url}/v1/photos", content=PHOTO, headers=bearer).json()["handle"]
    url = f"{live.url}/v1/photos/{handle}"
    assert [httpx.get(url, headers=headers).status_code for headers in ({}, bearer)] == [401, 200]
    assert httpx.delete(url).status_code == 401


def made(client: httpx.Client, handle: str, query: str) -> dict[str, object]:
    answer = client.post(f"/v1/photo?{query}&handle={handle}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_moved_by_hand_the_rules_answer(client: httpx.Client, handle: str) -> None:
    by_rules = made(client, handle, "size=us-visa")["photo"]["head_mm"]  # type: ignore[index]
    moved = made(client, handle, "size=us-visa&down=3&zoom=1.1")["photo"]["head_mm"]  # type: ignore[index]
    assert moved["head"] == pytest.approx(by_rules["head"] * 1.1, abs=0.01)
    assert moved["eyes"] == pytest.approx(by_rules["eyes"] - 3, abs=0.01)
    chin_below_eyes = by_rules["eyes"] - by_rules["chin"]
    assert moved["chin"] == pytest.approx(by_rules["eyes"] - 3 - 1.1 * chin_below_eyes, abs=0.01)
    turned = made(client, handle, "size=us-visa&turn=10")["photo"]
    assert turned["turned_deg"] == pytest.approx(  # type: ignore[index]
        made(client, handle, "size=us-visa")["photo"]["turned_deg"] + 10,  # type: ignore[index]
        abs=0.01,
    )


def test_moved_pixels_are_where_they_should_be(client: httpx.Client) -> None:
    """A red dot on the face, moved right by 5 mm, then mirrored."""
    rgb = np.full((500, 400, 3), 120, np.uint8)
    rgb[235:245, 195:205] = (255, 0, 0)
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG")

    def dot(query: str) -> float:
        answer = client.post(f"/v1/photo/file?size=us-visa&format=png{query}", content=stream.getvalue())
        pixels = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
        found = np.argwhere((pixels[..., 0] > 200) & (pixels[..., 1] < 90))
        return float(found[:, 1].mean())

    before, right, mirrored = dot(""), dot("&right=5"), dot("&right=5&flip=1")
    assert right - before == pytest.approx(5 / 50.8 * 600, abs=1)
    assert mirrored == pytest.approx(600 - right, abs=1.5)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("zoom=0.1", "zoom"),
        ("zoom=nan", "not a number"),
        ("turn=90", "turn"),
        ("right=500", "outside the photo"),
        ("flip=2", "1 or 0"),
        ("px=600x700", "another shape"),
        ("px=0x0", "not a whole number"),
        ("px=9000x9000", "at most"),
        ("dpi=5", "30 to 2400"),
    ],
)
def test_what_cannot_be_moved_or_made_is_said(client: httpx.Client, handle: str, query: str, told: str) -> None:
    answer = client.post(f"/v1/photo?size=us-visa&{query}&handle={handle}")
    assert (answer.status_code, answer.json()["error"]["reason"]) == (400, "option")
    assert told in answer.json()["error"]["message"]


def test_other_pixels_and_dpi(client: httpx.Client, handle: str) -> None:
    answer = client.post(f"/v1/photo/file?size=cn-1inch&px=590x826&dpi=600&handle={handle}")
    with Image.open(io.BytesIO(answer.content)) as file:
        assert (file.size, file.info["dpi"]) == ((590, 826), (600, 600))


def test_the_layers_laid_on_a_colour_are_the_photo(client: httpx.Client, handle: str) -> None:
    reply = made(client, handle, "size=us-visa&layers=1&background=%2300ff00&format=png")
    layers = reply["layers"]
    alpha = np.asarray(Image.open(io.BytesIO(base64.b64decode(layers["alpha"]))))  # type: ignore[index]
    colours = Image.open(io.BytesIO(base64.b64decode(layers["colours"])))  # type: ignore[index]
    assert colours.size == (alpha.shape[1], alpha.shape[0])
    photo = np.asarray(Image.open(io.BytesIO(base64.b64decode(reply["photo"]["file"]["base64"]))))  # type: ignore[index]
    a, b, c, d, e, f = layers["to_finished"]  # type: ignore[index]
    inside = np.argwhere(alpha == 255)[::997]
    assert len(inside) > 10
    for row, column in inside:
        x, y = a * (column + 0.5) + b * (row + 0.5) + c, d * (column + 0.5) + e * (row + 0.5) + f
        if 1 <= x < 599 and 1 <= y < 599:
            assert abs(int(photo[int(y), int(x)][0]) - 90) <= 3


def test_a_sheet_tells_where_its_photos_lie(client: httpx.Client, handle: str) -> None:
    sheet = made(client, handle, "size=us-visa&paper=4x6&copies=2&sheet_format=jpeg")["sheet"]
    assert sheet["photos"] == len(sheet["spots"]) == 2  # type: ignore[index]
    for left, top, width, height, _ in sheet["spots"]:  # type: ignore[index]
        assert (width, height) == (50.8, 50.8)
        assert left >= 0
        assert top >= 0


def test_light_is_an_edit_and_the_check_is_of_what_was_made(client: httpx.Client, handle: str) -> None:
    plain, brighter = (made(client, handle, f"size=cn-1inch&light={light}") for light in ("", "0.5"))
    assert (plain["photo"]["unretouched"], brighter["photo"]["unretouched"]) == (True, False)  # type: ignore[index]
    assert plain["check"]["finished"] is True  # type: ignore[index]
    names = [rule["rule"] for rule in plain["check"]["rules"]]  # type: ignore[index]
    assert {"pixels", "dpi", "enough_pixels"} <= set(names)
    assert len(names) == len(set(names))
    assert made(client, handle, "size=cn-1inch&check=0")["check"] is None
    assert client.post(f"/v1/photo?size=cn-1inch&light=3&handle={handle}").status_code == 400
