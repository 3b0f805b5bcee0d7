"""``/v1/…``: what a query may ask for, what comes back, every status, and any bytes as a request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from idseg import errors
from idseg.cloud import wire
from idseg.errors import EmptyPhotoError, IdsegError, ModelDamagedError, NoPersonError, OptionError, PhotoFormatError
from idseg.photo.size import Band
from idseg.photo.sizes import load_sizes
from idseg.server.routes import photo_api
from idseg.server.routes.wanted import PHOTO_FIELDS, SHEET_FIELDS, Wanted, read_query, read_wanted
from idseg.server.settings import Settings
from tests.server.fakes import A_BUG, NO_WEIGHTS, NOBODY, TWO_PEOPLE, WAITS, FakeSegmenter, picture
from tests.server.live import API_KEY, SECRET_KEY, Live, hosted, until_accepted

SEGMENT = FakeSegmenter()
PHOTO = picture(size=(400, 500))
CHECK = "/v1/check?size=cn-1inch"
ALL_FIELDS = (*PHOTO_FIELDS, *SHEET_FIELDS)
REFUSED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def wanted(query: str) -> Wanted:
    return read_wanted(read_query(query, ALL_FIELDS))


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


# --- what a query may ask for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "needs a size"),
        ("size=", "needs a size"),
        ("size=no-such-size", "no size 'no-such-size'"),
        ("size=cn-1inch&size=cn-2inch", "came twice"),
        ("size=cn-1inch&colour=red", "no parameter 'colour'"),
        ("size=cn-1inch&background=" + "a" * 101, "longer than 100"),
        ("&".join(["access_token=x"] * 31), "more than 30"),
        ("size=cn-1inch&background=mauve", "not a colour"),
        ("size=cn-1inch&background=@/etc/passwd", "no file"),
        ("size=cn-1inch&background=%20@wall.jpg", "no file"),
        ("size=cn-1inch&format=gif", "not a supported output format"),
        ("size=cn-1inch&kb=many", "MOST or LEAST-MOST"),
        ("size=cn-1inch&kb=80-20", "below the most"),
        ("size=cn-1inch&kb=nan", "below the most"),
        ("size=cn-1inch&kb=inf", "below the most"),
        ("size=cn-1inch&copies=4", "without a paper"),
        ("size=cn-1inch&paper=6inch&copies=0", "whole number"),
        ("size=cn-1inch&paper=6inch&copies=1e2", "whole number"),
        ("size=cn-1inch&paper=6inch&copies=201", "more than 200"),
        ("size=cn-1inch&paper=6inch&margin=nan", "is not a number"),
        ("size=cn-1inch&paper=6inch&gap=-1", "outside 0 .. 50"),
        ("size=cn-1inch&paper=6inch&marks=stars", "corners, lines or none"),
        ("size=cn-1inch&paper=6inch&sheet_format=doc", "not a supported output format"),
        ("size=cn-1inch&paper=1000x1000mm", "at most 420 mm"),
        ("size=2x2mm@300&paper=a4", "more than 200"),
        ("size=us-visa&px=2000x2000&paper=a4&sheet_format=png", "97 million pixels; at most 36"),
        ("size=6000x6000px", "at most 4000000"),
        ("size=" + "9" * 90 + "x1mm", "there is no size|can be 16 to 6000"),
        ("size=1000x100px", "times as wide as high"),
        ("size=100x1000px", "times as wide as high"),
        ("size=35x45mm@1", "30 to 2400"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(query: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        wanted(query)


def test_a_query_says_it_all() -> None:
    found = wanted(
        "size=35x45mm@600&background=vertical:blue,white&format=png&kb=20-900&paper=A4&copies=3&sheet_format=jpeg"
        "&margin=5&gap=0&marks=lines&access_token=abc"
    )
    assert found.size.px == (827, 1063)
    assert found.background is not None
    assert found.background.kind == "vertical"
    assert found.format == "PNG"
    assert found.kb == Band(20, 900)
    assert found.sheet is not None
    assert (found.sheet.copies, found.sheet.format, found.sheet.options.margin_mm) == (3, "JPEG", 5)


def test_every_size_that_we_know_can_be_asked_for() -> None:
    for size in load_sizes():
        assert wanted(f"size={size.name}&paper=a4").size == size


_VALUES = st.one_of(
    st.text(max_size=120),
    st.from_regex(r"[-0-9.x@ ]{0,12}(mm|px|in)?", fullmatch=True),
    st.sampled_from(
        ["cn-1inch", "us-visa", "1e308x1mm", "@x", "transparent", "a4", "1e400", "-0", "１寸", "\x00", "\ud800"]
    ),
)


@REFUSED
@given(st.lists(st.tuples(st.sampled_from([*ALL_FIELDS, "", "access_token", "size[]"]), _VALUES), max_size=8))
@example([("size", "9" * 99 + "x")])
def test_any_query_is_understood_or_refused(pairs: list[tuple[str, str]]) -> None:
    refused = refusal("&".join(f"{name}={value}" for name, value in pairs))
    if refused is not None:
        assert photo_api.status_of(refused) == 400
        json.loads(photo_api.dumps(photo_api.error_reply(refused, 1)))


def refusal(query: str) -> OptionError | None:
    try:
        wanted(query)
    except OptionError as error:
        return error
    return None


# --- what comes back, without HTTP ------------------------------------------------------------------------------------


def test_one_call_makes_photo_sheet_and_report() -> None:
    reply, _ = photo_api.photo(SEGMENT, PHOTO, "size=us-visa&paper=6inch&copies=2&background=white")
    file = reply["photo"]["file"]
    content = base64.b64decode(file["base64"])
    made = opened(content)
    assert (made.size, made.format, made.info["dpi"]) == ((600, 600), "JPEG", (300, 300))
    assert (file["name"], file["media_type"]) == ("us-visa.jpg", "image/jpeg")
    assert len(content) <= 240_000
    assert reply["photo"]["unretouched"] is True
    assert reply["photo"]["head_mm"]["head"] > 0
    assert reply["sheet"]["photos"] == 2
    assert base64.b64decode(reply["sheet"]["file"]["base64"]).startswith(b"%PDF-")
    rules = {rule["rule"]: rule["status"] for rule in reply["check"]["rules"]}
    assert rules["one_person"] == "met"
    assert rules["file_size"] == rules["pixels"] == rules["dpi"] == "met"


def test_without_a_paper_there_is_no_sheet_and_a_pdf_has_no_file_rules() -> None:
    reply, _ = photo_api.photo(SEGMENT, PHOTO, "size=cn-1inch&format=pdf")
    assert reply["sheet"] is None
    assert "dpi" not in {rule["rule"] for rule in reply["check"]["rules"]}


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "pdf"])
def test_a_file_has_its_format_and_its_facts(format: str) -> None:
    file, _ = photo_api.only_photo(SEGMENT, PHOTO, f"size=35x45mm&format={format}")
    assert file.facts["format"] == format.upper()
    if format == "pdf":
        assert file.content.startswith(b"%PDF-")
    else:
        assert opened(file.content).size == (413, 531)
    assert file.facts["px"] == [413, 531]


@pytest.mark.parametrize("query", ["format=png", "format=webp&kb=900", "format=tiff", "format=jpeg&kb=900"])
def test_the_largest_photos_cost_little(query: str) -> None:
    """In CPU seconds; a PNG of this size once cost nine."""
    noisy = np.random.default_rng(1).integers(0, 64, (900, 900, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, "JPEG", quality=95)
    started = time.process_time()
    file, _ = photo_api.only_photo(SEGMENT, stream.getvalue(), f"size=51x51mm&px=2000x2000&{query}")
    assert len(file.content) > 100_000
    assert time.process_time() - started < 4.0


def test_a_file_that_would_be_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_api, "_MOST_MADE_BYTES", 20_000)
    with pytest.raises(OptionError, match="ask for a JPEG or a PDF"):
        photo_api.only_photo(SEGMENT, PHOTO, "size=35x45mm@600&format=tiff")


def test_the_largest_sheet_costs_little() -> None:
    started = time.process_time()
    for format in ("png", "webp", "jpeg", "tiff"):
        photo_api.only_sheet(SEGMENT, PHOTO, f"size=cn-1inch&paper=297x420mm&sheet_format={format}")
    assert time.process_time() - started < 4 * 4.0


def test_the_background_is_the_one_asked_for() -> None:
    file, _ = photo_api.only_photo(SEGMENT, PHOTO, "size=cn-1inch&background=%23438edb&format=png")
    assert opened(file.content).getpixel((0, 0)) == (67, 142, 219)
    file, _ = photo_api.only_photo(SEGMENT, PHOTO, "size=cn-1inch&background=transparent")
    assert file.media_type == "image/png"
    assert opened(file.content).getpixel((0, 0)) == (0, 0, 0, 0)
    with pytest.raises(OptionError, match="needs a background"):
        photo_api.only_sheet(SEGMENT, PHOTO, "size=cn-1inch&background=transparent")


def test_a_photo_without_exactly_one_person_is_refused_but_reported() -> None:
    with pytest.raises(NoPersonError):
        photo_api.photo(SEGMENT, picture(NOBODY), "size=cn-1inch")
    report, _ = photo_api.checked(SEGMENT, picture(NOBODY), "size=cn-1inch")
    assert report["verdict"] == "not met"
    assert report["unretouched"] is True
    assert report["rules"][0]["status"] == "not met"


def test_a_finished_photo_is_judged_with_its_file() -> None:
    made, _ = photo_api.only_photo(SEGMENT, PHOTO, "size=us-visa")
    found, _ = photo_api.checked(SEGMENT, made.content, "size=us-visa&finished=1")
    assert found["finished"] is True
    assert {rule["rule"] for rule in found["rules"]} >= {"pixels", "dpi", "file_size", "format"}
    with pytest.raises(OptionError, match="write 1 or 0"):
        photo_api.checked(SEGMENT, made.content, "size=us-visa&finished=yes")


def test_sizes_are_found_in_both_languages() -> None:
    everything = photo_api.sizes("")
    assert len(everything["sizes"]) == len(load_sizes())
    assert everything["papers"]["a4"] == [210, 297]
    for word, name in (("us-visa", "us-visa"), ("%E4%B8%80%E5%AF%B8", "cn-1inch"), ("CH", "ch-passport")):
        assert name in {size["name"] for size in photo_api.sizes(f"q={word}")["sizes"]}
    assert photo_api.sizes("q=zzzz")["sizes"] == []
    assert all(color.startswith("#") for size in everything["sizes"] for color in size["background_hex"])


# --- errors -----------------------------------------------------------------------------------------------------------


def _below(kind: type[IdsegError]) -> Iterator[type[IdsegError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)


def test_every_error_has_a_status() -> None:
    here = ("idseg.errors", "idseg.cloud.errors", "idseg.photo")  # the client's and the batch's are raised elsewhere
    kinds = {kind for kind in _below(IdsegError) if kind.__module__.startswith(here)}
    assert len(kinds) > 25
    for kind in kinds:
        status = photo_api.status_of(kind("a message"))
        assert 400 <= status <= 503, kind
        assert (status == 500) == (kind in (IdsegError, errors.ProviderError, errors.DependencyError)), kind


def test_a_fault_of_ours_says_no_more_than_that() -> None:
    for error, reason in (
        (ModelDamagedError("/secret/path", path="/secret/path"), "unavailable"),
        (ValueError("secret"), "internal"),
    ):
        reply = json.loads(photo_api.dumps(photo_api.error_reply(error, 2**60)))
        assert reply["error"]["reason"] == reason
        assert "secret" not in json.dumps(reply)
        assert reply["log_id"] == str(2**60)


def test_what_is_no_number_is_null() -> None:
    assert (
        photo_api.dumps({"a": [float("nan"), (float("inf"), 1.5)], "b": "\ud800"}) == b'{"a":[null,[null,1.5]],"b":"?"}'
    )


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", "MULTIPART/mixed"])
def test_a_form_is_told_how_to_send(kind: str) -> None:
    with pytest.raises(PhotoFormatError, match="--data-binary"):
        photo_api.refuse_form(kind)


def test_an_empty_body_is_told_how_to_send() -> None:
    with pytest.raises(EmptyPhotoError, match="--data-binary"):
        photo_api.only_photo(SEGMENT, b"", "size=cn-1inch")


# --- over HTTP --------------------------------------------------------------------------------------------------------


def error_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"].startswith("application/json")
    reply = answer.json()
    assert set(reply) == {"error", "log_id"}
    assert reply["error"]["message"]
    return answer.status_code, reply["error"]["reason"]


def post(live: Live, path: str, content: bytes = PHOTO, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.post(live.url + path, content=content, headers=headers, timeout=60, trust_env=False)


@pytest.mark.parametrize(
    ("path", "content", "status", "reason"),
    [
        ("/v1/photo?size=cn-1inch", b"", 400, "empty_photo"),
        ("/v1/photo", PHOTO, 400, "option"),
        ("/v1/photo/file?size=cn-1inch&kb=1", PHOTO, 400, "option"),
        ("/v1/photo/file?size=cn-1inch&paper=a4", PHOTO, 400, "option"),
        ("/v1/check?size=cn-1inch&background=red", PHOTO, 400, "option"),
        ("/v1/check?size=cn-1inch", b"no picture", 415, "photo_format"),
        ("/v1/check?size=cn-1inch", PHOTO[:200], 422, "photo_damaged"),
        ("/v1/photo?size=cn-1inch", picture(size=(20, 20)), 422, "photo_size"),
        ("/v1/photo?size=cn-1inch", picture(NOBODY), 422, "no_person"),
        ("/v1/photo?size=cn-1inch", picture(TWO_PEOPLE), 422, "multiple_persons"),
        ("/v1/photo?size=cn-1inch", bytes(25 * 2**20), 413, "photo_size"),
        ("/v1/photo?size=cn-1inch", picture(NO_WEIGHTS), 503, "unavailable"),
        ("/v1/photo?size=cn-1inch", picture(A_BUG), 500, "internal"),
        ("/v1/nothing", PHOTO, 404, "method"),
        ("/v1/sizes", PHOTO, 405, "method"),
    ],
)
def test_every_refusal_has_its_status(open_live: Live, path: str, content: bytes, status: int, reason: str) -> None:
    assert error_of(post(open_live, path, content)) == (status, reason)


def test_files_come_as_they_are(open_live: Live) -> None:
    answer = post(open_live, "/v1/photo/file?size=cn-2inch")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert opened(answer.content).size == (413, 579)
    assert json.loads(answer.headers["x-idseg-facts"])["unretouched"] is True
    assert answer.headers["content-disposition"] == 'attachment; filename="cn-2inch.jpg"'
    answer = post(open_live, "/v1/photo/sheet?size=cn-1inch")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert json.loads(answer.headers["x-idseg-facts"])["photos"] >= 8
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_form_over_http_is_415(open_live: Live) -> None:
    answer = httpx.post(open_live.url + "/v1/check?size=cn-1inch", files={"image": PHOTO}, trust_env=False)
    assert error_of(answer) == (415, "photo_format")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
    ],
)
def test_without_keys_another_site_gets_nothing(open_live: Live, headers: dict[str, str]) -> None:
    assert error_of(post(open_live, "/v1/check?size=cn-1inch", headers=headers)) == (403, "foreign_site")


def test_with_keys_a_token_is_needed(live: Live, token: str) -> None:
    path = "/v1/check?size=cn-1inch"
    for headers, reason in (
        ({}, "no_credential"),
        ({"authorization": "Basic abc"}, "no_credential"),
        ({"authorization": "Bearer nonsense"}, "unknown_token"),
        ({"authorization": "bce-auth-v1/nobody/2026-01-01T00:00:00Z/1800/host/00"}, "signature"),
    ):
        answer = post(live, path, headers=headers)
        assert error_of(answer) == (401, reason)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert error_of(post(live, f"{path}&access_token=nonsense")) == (401, "unknown_token")
    assert post(live, f"{path}&access_token={token}").status_code == 200
    assert post(live, path, headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert httpx.get(live.url + "/v1/sizes", trust_env=False).status_code == 200
    assert token not in live.log_text()


def signed(query: str) -> dict[str, str]:
    """Headers of a bce-auth-v1 signature over the host and the date."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    scope = f"bce-auth-v1/{API_KEY}/{stamp}/1800"
    pairs = "&".join(sorted(query.split("&")))
    text = f"POST\n/v1/check\n{pairs}\nhost:localhost\nx-bce-date:{stamp.replace(':', '%3A')}"
    signing_key = hmac.new(SECRET_KEY.encode(), scope.encode(), hashlib.sha256).hexdigest()
    signature = hmac.new(signing_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"authorization": f"{scope}/host;x-bce-date/{signature}", "x-bce-date": stamp, "host": "localhost"}


def test_a_signature_holds_for_its_own_query(live: Live) -> None:
    assert post(live, CHECK, headers=signed("size=cn-1inch")).status_code == 200
    assert error_of(post(live, CHECK, headers=signed("size=cn-2inch"))) == (401, "signature")
    many = "&".join(["x=1"] * 101)
    assert error_of(post(live, f"/v1/check?{many}", headers=signed(many))) == (401, "signature")


SITE = "https://photos.example"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that photos of the colour WAITS wait for."""
    return tmp_path_factory.mktemp("gate") / "file"


@pytest.fixture(scope="module")
def tight(gate: Path) -> Iterator[Live]:
    """A server without keys that has little room and no patience, and knows one other site."""
    wanted = Settings(auth=False, workers=1, queue=1, body_timeout_s=0.5, cors_origins=(SITE,))
    with hosted(wanted, partial(FakeSegmenter, gate=str(gate))) as live:
        yield live


def test_without_keys_a_named_site_may_call(tight: Live) -> None:
    headers = {"origin": SITE, "sec-fetch-site": "cross-site"}
    answer = post(tight, CHECK, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SITE
    headers["origin"] = "https://other.example"
    assert error_of(post(tight, CHECK, headers=headers)) == (403, "foreign_site")


def test_a_full_queue_is_503_and_says_when_to_come_again(tight: Live, gate: Path) -> None:
    with ThreadPoolExecutor(2) as calling:
        waiting = [calling.submit(post, tight, CHECK, picture(WAITS)) for _ in range(2)]
        until_accepted(tight, 2)
        answer = post(tight, CHECK)
        assert error_of(answer) == (503, "busy")
        assert answer.headers["retry-after"] == "1"
        assert httpx.get(tight.url + "/v1/sizes?q=visa", timeout=60, trust_env=False).status_code == 200
        gate.touch()
        assert [one.result().status_code for one in waiting] == [200, 200]


def test_a_slow_body_is_408(tight: Live) -> None:
    head = f"POST {CHECK} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nabc"
    with socket.create_connection(("127.0.0.1", tight.settings.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert b" 408 " in connection.recv(4096).partition(b"\r\n")[0]


def test_rate_and_quota_are_429() -> None:
    fast, daily = Settings(auth=False, rate_per_s=0.01), Settings(auth=False, daily_quota=1)
    for wanted, reason in ((fast, "rate"), (daily, "daily_quota")):
        with hosted(wanted) as live:
            assert post(live, CHECK).status_code == 200
            refused = post(live, CHECK)
            assert error_of(refused) == (429, reason)
            assert int(refused.headers["retry-after"]) >= 1


@pytest.fixture(scope="module")
def client(open_live: Live) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=open_live.url, timeout=30, trust_env=False) as made:
        yield made


_JPEG = picture(size=(200, 240), kind="JPEG")
_BODIES = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([PHOTO, _JPEG, picture(kind="BMP"), picture(NOBODY)]),
    st.tuples(st.integers(0, len(_JPEG) - 1), st.binary(min_size=1, max_size=4)).map(
        lambda hit: _JPEG[: hit[0]] + hit[1] + _JPEG[hit[0] + len(hit[1]) :]
    ),
)
_PATHS = st.sampled_from(["/v1/photo", "/v1/photo/file", "/v1/photo/sheet", "/v1/check"])
_QUERIES = st.one_of(
    st.sampled_from(["size=us-visa", "size=cn-1inch&finished=1", "size=35x45mm&paper=a4&sheet_format=png"]),
    st.dictionaries(st.sampled_from([*ALL_FIELDS, "finished", "x"]), _VALUES, max_size=4),
)


@settings(REFUSED, max_examples=120)
@given(_PATHS, _QUERIES, _BODIES, st.sampled_from(["image/jpeg", "", "application/x-www-form-urlencoded", "\x7f"]))
def test_any_bytes_are_answered(
    client: httpx.Client, path: str, query: str | dict[str, str], content: bytes, kind: str
) -> None:
    params: Any = query
    if isinstance(query, dict):
        params = {name: value.encode(errors="replace").decode() for name, value in query.items()}
    answer = client.post(path, params=params, content=content, headers={"content-type": kind} if kind != "\x7f" else {})
    assert answer.status_code < 500, answer.text
    if answer.status_code != 200:
        error_of(answer)
    elif answer.headers["content-type"].startswith("application/json"):
        assert answer.json()["log_id"]


def test_the_documentation_names_every_parameter(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    names = {one["name"] for one in paths["/v1/photo"]["post"]["parameters"]}
    assert names == {*ALL_FIELDS, "layers", "check", "handle", "access_token"}
    assert set(paths["/v1/photo"]["post"]["responses"]) >= {
        "200",
        "400",
        "401",
        "403",
        "408",
        "413",
        "415",
        "422",
        "429",
        "503",
    }
    assert wire.PATH in paths
