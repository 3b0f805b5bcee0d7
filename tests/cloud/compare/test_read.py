"""Saved replies as people and clients write them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idseg.cloud import wire
from idseg.cloud.compare import Refusal, SavedResult, parse, read_file
from idseg.cloud.compare.relaxed import loads
from idseg.cloud.errors import render_error
from idseg.errors import InputError, NoPersonError
from idseg.imaging import encode
from idseg.types import Box, Point, Rgb, Window
from tests.cloud.compare.scene import result

PAGE = """{
log_id: 123,
seg_info:{
cut:"xxxx"
scoremap:"xxxx"
demo:"xxxx"
},
face_location:{
score:0.9999945,
top:116,
left:80,
width:173,
height:226
},
pose_info:{
body_parts:[
{
left_ear:{
score:0.8760631,
x:80,
y:202
}
},
{
neck:{
score:0.7303297,
x:173,
y:369
}
}
],
facepose:1,
bodypose:2
}
}log_id: 123,
seg_info:{
"""
"""The page's own example, shortened: no quotes, commas missing, printed twice."""


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_the_pages_own_example_is_read() -> None:
    answer = parse(PAGE)
    assert isinstance(answer, SavedResult)
    assert answer.face_box == Box(80, 116, 173, 226)
    assert answer.face_score == 0.9999945
    assert answer.parts["left_ear"] == Point(80, 202, 0.8760631)
    assert answer.parts["neck"] == Point(173, 369, 0.7303297)
    assert (answer.facepose, answer.bodypose) == (1, 2)
    assert answer.cut is None
    assert answer.window is None
    assert any("cut" in note for note in answer.notes)
    assert any("left_eye" in note for note in answer.notes)


def test_our_own_reply_is_read_whole(astronaut: Rgb) -> None:
    made = result(astronaut)
    answer = parse(json.loads(wire.dumps(wire.render(made, 7))))
    assert isinstance(answer, SavedResult)
    assert answer.notes == ()
    assert answer.window == made.window
    assert answer.scoremap is not None
    assert np.array_equal(answer.scoremap, made.scoremap)
    assert answer.cut is not None
    assert answer.cut.shape == made.cut.shape
    assert len(answer.parts) == 10


@pytest.mark.parametrize(
    "written",
    [
        lambda text: "\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
        lambda text: "\r\n".join(text[at : at + 64] for at in range(0, len(text), 64)) + "\r\n",
        lambda text: "data:image/png;base64," + text,
        lambda text: text.rstrip("="),
        lambda text: text.replace("+", "-").replace("/", "_"),
    ],
    ids=["mime lines", "pem lines", "data header", "no padding", "url-safe"],
)
def test_base64_as_clients_write_it(written, astronaut: Rgb) -> None:  # type: ignore[no-untyped-def]
    grey = np.ascontiguousarray(astronaut[:50, :61, 0])
    answer = parse({"seg_info": {"scoremap": written(base64_of(encode.png(grey)))}})
    assert isinstance(answer, SavedResult)
    assert answer.scoremap is not None
    assert np.array_equal(answer.scoremap, grey)


def test_numbers_as_strings_and_extra_keys() -> None:
    answer = parse(
        {
            "face_location": {"left": "80", "top": "116.0", "width": 173, "height": "226", "score": "0.5", "more": 1},
            "pose_info": {
                "facepose": "1",
                "bodypose": "-1",
                "body_parts": {"nose_tip": {"x": "1", "y": "2"}, "tail": {"x": 1, "y": 1}},
            },
            "cut_location": {"left": "-3", "top": 4, "width": 5, "height": 6},
            "elapsed": "0.2s",
        }
    )
    assert isinstance(answer, SavedResult)
    assert answer.face_box == Box(80, 116, 173, 226)
    assert (answer.facepose, answer.bodypose) == (1, -1)
    assert answer.parts == {"nose_tip": Point(1, 2, 0)}
    assert answer.window == Window(-3, 4, 5, 6)


def test_envelopes_and_text_in_text() -> None:
    inner = {"error_code": "216634", "error_msg": "detect error", "error_detail": {"reason": "no_person"}}
    wanted = Refusal(216634, "detect error", "no_person")
    assert parse(inner) == wanted
    assert parse({"status": 200, "data": inner}) == wanted
    assert parse(json.dumps(inner)) == wanted
    assert parse(json.dumps({"result": inner})) == wanted


def test_our_refusal_is_read() -> None:
    refusal = parse(render_error(NoPersonError("nobody", persons=0), 5))
    assert refusal == Refusal(216634, "detect error", "no_person")


@pytest.mark.parametrize("reply", [{}, [], 5, "hello", {"a": {"b": 1}}, None, {"error_code": "no number"}])
def test_what_is_no_reply_is_said(reply: object) -> None:
    with pytest.raises(InputError):
        parse(reply)


def test_files_say_their_path(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe\x00", b"{", b"[1, 2]", b'{"a": 1}', b"{" * 500):
        path = tmp_path / "reply.json"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"reply\.json"):
            read_file(path)
    with pytest.raises(InputError, match="cannot read"):
        read_file(tmp_path / "absent.json")


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "reply.json"
    path.write_bytes(b'\xef\xbb\xbf{"error_code": 17, "error_msg": "x"}')
    assert read_file(path) == Refusal(17, "x")


def test_a_picture_that_is_none_is_a_note() -> None:
    answer = parse({"seg_info": {"cut": base64_of(b"no picture"), "scoremap": "§§§"}})
    assert isinstance(answer, SavedResult)
    assert answer.cut is None
    assert answer.scoremap is None
    assert len(answer.notes) == 3  # cut, scoremap, points


def test_a_scoremap_in_the_alpha_channel(astronaut: Rgb) -> None:
    rgba = np.dstack([astronaut[:40, :40], astronaut[:40, :40, :1]])
    answer = parse({"seg_info": {"scoremap": base64_of(encode.png(rgba))}})
    assert isinstance(answer, SavedResult)
    assert answer.scoremap is not None
    assert np.array_equal(answer.scoremap, astronaut[:40, :40, 0])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_valid_json_is_read_as_json(value: object) -> None:
    assert loads(json.dumps(value)) == value


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), json_values, min_size=1))
def test_bare_keys_and_missing_commas_are_mended(value: dict[str, object]) -> None:
    """The form of the page's example: any value, but keys without quotes and one entry a line without commas."""
    entries = "\n".join(f"{key}: {json.dumps(entry)}" for key, entry in value.items())
    assert loads("{\n" + entries + "\n}log_id: 123,") == value


@pytest.mark.parametrize(
    "text", ["", "{", "{a:}", "{a b}", "[1 2", "nonsense", "{'a': 1}", "[" * 100_000, "{a:" * 100_000]
)
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|deep"):
        loads(text)


@given(st.text())
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    try:
        loads(text)
    except ValueError:
        return
