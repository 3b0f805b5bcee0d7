"""Manifests as Excel and other programs write them: every encoding, delimiter and spelling of the columns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idseg.batch import inputs
from idseg.batch.items import Item, Trouble
from idseg.errors import OptionError

NAME = "张三 李.jpg"


def listed(folder: Path, content: bytes, name: str = "list.csv") -> list[str]:
    """Keys of the photos that a manifest in ``folder`` lists."""
    (folder / name).write_bytes(content)
    return [found.key for found in inputs.find([str(folder / name)], "/nowhere") if isinstance(found, Item)]


def troubles(folder: Path, content: bytes) -> list[Trouble]:
    (folder / "list.csv").write_bytes(content)
    return [found for found in inputs.find([str(folder / "list.csv")], "/nowhere") if isinstance(found, Trouble)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (NAME, "sub/a.jpg", "b.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8\xff")
    return tmp_path


@pytest.mark.parametrize(
    "encoding", ["gbk", "gb18030", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "big5"]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings(folder: Path, encoding: str, newline: str) -> None:
    name = "張三.jpg" if encoding == "big5" else NAME
    (folder / "photos" / name).write_bytes(b"\xff\xd8\xff")
    text = newline.join(["photo,name", f"photos/{name},", ""])
    assert listed(folder, text.encode(encoding)) == [f"photos/{name}"]


def test_a_western_code_page_is_told_from_a_chinese_one_by_the_files_that_are_there(folder: Path) -> None:
    for name in ("Müller Straße.jpg", "Noël.jpg"):
        (folder / name).write_bytes(b"\xff\xd8\xff")
    content = "photo;name\nMüller Straße.jpg;\nNoël.jpg;\n".encode("cp1252")
    assert listed(folder, content) == ["Müller Straße.jpg", "Noël.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
def test_names_that_are_no_text_keep_their_bytes(folder: Path) -> None:
    raw = os.path.join(os.fsencode(folder), b"\xff\xfe_\x81.jpg")
    with open(raw, "wb") as file:
        file.write(b"\xff\xd8\xff")
    assert listed(folder, b"photo\n\xff\xfe_\x81.jpg\n") == [os.fsdecode(b"\xff\xfe_\x81.jpg")]


@pytest.mark.parametrize(
    "lines",
    [
        ["photo;name", f"photos/{NAME};A"],
        ["photo\tname", f"photos/{NAME}\tA"],
        ["photo|name", f"photos/{NAME}|A"],
        ["sep=;", "photo;name", f"photos/{NAME};A"],
        ['"sep=,"', "photo,name", f"photos/{NAME},A"],
        ["sep=\t", "photo\tname", f"photos/{NAME}\tA"],
        ["Photo,NAME", f"photos/{NAME},A"],
        ["照片,姓名", f"photos/{NAME},A"],
        ["photo, name", f"photos/{NAME} , A"],
        [" photo ,name", f'"photos/{NAME}" , "A"'],
        ["id,photo,name,remark", f'7,photos/{NAME},A,"with, comma"'],
        ["photo,name", f"photos\\{NAME},A"],
        ["photo,name", f"photos/{NAME},A", ",", ",,,", ""],
        ["name,photo,", f"A,photos/{NAME},,,"],
        ["remark,photo,name", f'"two\nlines, as ""Excel"" has them",photos/{NAME},A'],
    ],
)
def test_spellings(folder: Path, lines: list[str]) -> None:
    for end in ("\n", "\r\n"):
        assert listed(folder, end.join(lines).encode()) == ["A"]
        assert not troubles(folder, end.join(lines).encode())


def test_a_path_of_windows_names_the_same_photo_and_the_same_answer(folder: Path) -> None:
    assert listed(folder, b"photo\nphotos\\sub\\a.jpg\n") == ["photos/sub/a.jpg"]
    assert listed(folder, b"photo,name\nphotos\\sub\\a.jpg,class\\5\n") == ["class/5"]


def test_a_name_of_windows_does_not_leave_the_output_folder(folder: Path) -> None:
    (trouble,) = troubles(folder, b"photo,name\nphotos\\b.jpg,..\\..\\up\n")
    assert trouble.reason == "manifest_line"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'photo,name\nphotos/b.jpg,"not closed\n' + b"x" * 200_000, "line 2: field larger than field limit"),
        (b"photo,name\nphotos/b.jpg," + b"x" * 200_000 + b"\n", "line 2: field larger than field limit"),
        (b'photo,name\nphotos/b.jpg,\nphotos/b.jpg,"A\nphotos/b.jpg,\nphotos/b.jpg,\n', "line 3: unexpected end"),
        (b"a,b\n1,2\n", "has no column"),
        (b"", "has no column"),
        (b"photos/b.jpg\n", "has no column"),
        ("photo\nphotos/b.jpg\n".encode("utf-16")[:-1], "save it as UTF-8"),
        (b"photo\n\xff\xff\xff\n" * 9, None),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(folder: Path, content: bytes, says: str | None) -> None:
    if says is None:
        assert troubles(folder, content)
        return
    with pytest.raises(OptionError, match=says) as caught:
        listed(folder, content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_jsonl_in_utf16_and_lines_that_are_too_deep(folder: Path) -> None:
    content = f'"photos/{NAME}"\n{{"photo": "photos/b.jpg"}}\n'
    assert listed(folder, content.encode("utf-16"), "list.jsonl") == [f"photos/{NAME}", "photos/b.jpg"]
    assert listed(folder, b"[" * 100_000 + b'\n"photos/b.jpg"\n', "list.jsonl") == ["photos/b.jpg"]
