"""Which photos a batch finds, in which order, under which names."""

from __future__ import annotations

import glob
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idseg.batch import inputs
from idseg.batch.items import Item, Trouble
from idseg.batch.walk import Skip
from idseg.errors import OptionError

JPEG = b"\xff\xd8\xff\xe0 not much of a photo"


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)


def keys(*sources: Path | str, out: str = "/nowhere") -> list[str]:
    return [found.key for found in inputs.find([str(source) for source in sources], out) if isinstance(found, Item)]


def skips(*sources: Path, out: str = "/nowhere") -> Counter[Skip]:
    return Counter(found for found in inputs.find([str(s) for s in sources], out) if isinstance(found, Skip))


def troubles(*sources: Path | str) -> list[Trouble]:
    return [
        found for found in inputs.find([str(source) for source in sources], "/nowhere") if isinstance(found, Trouble)
    ]


def test_a_folder_gives_its_tree_in_a_fixed_order(tmp_path: Path) -> None:
    put(tmp_path, "b.jpg", "a.PNG", "sub/a.jpg", "sub/deep/c.bmp", "aaa/z.jpeg")
    assert keys(tmp_path) == ["a.PNG", "b.jpg", "aaa/z.jpeg", "sub/a.jpg", "sub/deep/c.bmp"]


def test_what_is_no_photo_is_passed_over_and_counted(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "notes.txt", "Thumbs.db", ".hidden.jpg", "._a.jpg", ".git/x.jpg", "no_suffix")
    (tmp_path / "README").write_text("no photo")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert keys(tmp_path) == ["a.jpg", "no_suffix"]  # the latter's bytes are a JPEG's
    assert skips(tmp_path) == {Skip.OTHER: 4, Skip.HIDDEN: 3}


def test_a_photo_of_another_format_is_taken_so_that_the_report_names_it(tmp_path: Path) -> None:
    put(tmp_path, "a.heic", "b.webp", "c.CR2")
    assert keys(tmp_path) == ["a.heic", "b.webp", "c.CR2"]


def test_the_version_changes_with_the_file(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")

    def version() -> str:
        (found,) = inputs.find([str(tmp_path)], "/nowhere")
        assert isinstance(found, Item)
        return found.version

    first = version()
    assert version() == first
    os.utime(tmp_path / "a.jpg", ns=(1, 1))
    touched = version()
    (tmp_path / "a.jpg").write_bytes(JPEG + b"!")
    os.utime(tmp_path / "a.jpg", ns=(1, 1))
    assert len({first, touched, version()}) == 3


def test_loops_of_links_end_and_each_folder_is_read_once_under_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, "in/a/1.jpg", "in/b/2.jpg", "elsewhere/3.jpg")
    (tmp_path / "in/a/up").symlink_to(tmp_path / "in")
    (tmp_path / "in/a/b_too").symlink_to(tmp_path / "in/b")
    (tmp_path / "in/a/self").symlink_to("self")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "in")
    (tmp_path / "in/linked.jpg").symlink_to(tmp_path / "elsewhere/3.jpg")
    assert keys(tmp_path / "in") == ["linked.jpg", "a/1.jpg", "b/2.jpg", "linked/3.jpg"]
    assert skips(tmp_path / "in") == {Skip.LINK_LOOP: 3, Skip.OTHER: 1}


def test_a_link_to_nothing_is_told(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "me.jpg").symlink_to("me.jpg")
    assert [(trouble.key, trouble.reason) for trouble in troubles(tmp_path)] == [
        ("gone.jpg", "photo_read"),
        ("me.jpg", "photo_read"),
    ]


def test_a_folder_that_cannot_be_read_is_told_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a/1.jpg", "closed/2.jpg", "z/3.jpg")
    scandir = os.scandir

    def refuse(path: str) -> os._ScandirIterator[str]:  # root may read everything: chmod would not do
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert keys(tmp_path) == ["a/1.jpg", "z/3.jpg"]
    assert troubles(tmp_path) == [Trouble("closed/", "folder_unreadable", "Cannot read the folder: Permission denied.")]


def test_the_output_folder_in_the_input_folder_is_left_alone_and_so_are_those_of_other_batches(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "out/a.jpg.cut.png", "older/a.jpg.cut.png", "older/sub/b.png")
    (tmp_path / "older/.idseg-batch").mkdir()
    out = str(tmp_path / "out")
    assert keys(tmp_path, out=out) == ["a.jpg"]
    assert skips(tmp_path, out=out) == {Skip.ANSWERS: 2}


@pytest.mark.parametrize("out", ["in", ".", "in/../in/", "link"])
def test_an_output_folder_that_is_or_holds_the_input_is_refused(tmp_path: Path, out: str) -> None:
    put(tmp_path, "in/a.jpg")
    (tmp_path / "link").symlink_to("in")
    with pytest.raises(OptionError, match="is or contains the input"):
        inputs.check([str(tmp_path / "in")], str(tmp_path / out))


def test_several_sources_keep_what_they_have_in_common_out_of_the_names(tmp_path: Path) -> None:
    put(tmp_path, "x/a/1.jpg", "x/b/1.jpg", "x/c/2.jpg")
    assert keys(tmp_path / "x/a", tmp_path / "x/b", tmp_path / "x/c/2.jpg") == ["a/1.jpg", "b/1.jpg", "c/2.jpg"]
    assert keys(tmp_path / "x/a/1.jpg", tmp_path / "x/a/1.jpg") == ["1.jpg"]
    assert keys(tmp_path / "x/c/2.jpg") == ["2.jpg"]


def test_a_photo_named_twice_is_done_once(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "a/2.jpg")
    assert keys(tmp_path / "a", tmp_path / "a/1.jpg", tmp_path / "a/*.jpg") == ["1.jpg", "2.jpg"]
    assert skips(tmp_path / "a", tmp_path / "a/1.jpg", tmp_path / "a/*.jpg") == {Skip.TWICE: 3}


def test_an_input_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="does not exist"):
        inputs.check([str(tmp_path / "in")], str(tmp_path / "out"))


NAMES = st.sampled_from(["a", "b", "ab", "x1", "[z]", "a b"])
FILES = st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=8)
PATTERNS = [
    "*.jpg",
    "**/*.jpg",
    "a/*",
    "a/**",
    "**/a/*.jpg",
    "?.jpg",
    "[ab]*.jpg",
    "*/*/*.jpg",
    "**/[!a].jpg",
    "a*b.jpg",
]


@settings(max_examples=40, deadline=None)
@given(FILES, st.sampled_from(PATTERNS))
def test_globs_mean_what_pythons_mean(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[str]], pattern: str
) -> None:
    top = tmp_path_factory.mktemp("glob")
    put(top, *("/".join(parts) + ".jpg" for parts in files))
    tree = top / "a" if pattern.startswith("a/") else top  # names begin where the pattern does
    theirs = {
        os.path.relpath(path, tree)
        for path in glob.glob(str(top) + "/" + pattern, recursive=True)
        if os.path.isfile(path)
    }
    assert set(keys(f"{top}/{pattern}")) == theirs


def test_what_nas_and_macos_put_beside_photos_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "p.jpg", "@eaDir/p.jpg/SYNOPHOTO_THUMB_XL.jpg", "sub/@eaDir/q.jpg", "#recycle/old.jpg", "._p.jpg")
    put(tmp_path, ".thumbnails/normal/p.jpg", "__MACOSX/._p.jpg", "$RECYCLE.BIN/x.jpg", "sub/q.jpg", "@Recycle/y.jpg")
    assert keys(tmp_path) == ["p.jpg", "sub/q.jpg"]
    assert keys(f"{tmp_path}/**/*.jpg") == ["p.jpg", "sub/q.jpg"]
    assert skips(tmp_path) == {Skip.SYSTEM: 6, Skip.HIDDEN: 2}
    assert keys(tmp_path / "@eaDir") == ["p.jpg/SYNOPHOTO_THUMB_XL.jpg"]  # whoever names it means it


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("*_s.jpg", ["a.jpg", "b/c.jpg", "b/old/d.jpg"]),
        ("b", ["a.jpg", "a_s.jpg"]),
        ("old/", ["a.jpg", "a_s.jpg", "b/c.jpg"]),
        ("b/*.jpg", ["a.jpg", "a_s.jpg", "b/old/d.jpg"]),
        ("**/old", ["a.jpg", "a_s.jpg", "b/c.jpg"]),
        ("b/old", ["a.jpg", "a_s.jpg", "b/c.jpg"]),
        ("[]", ["a.jpg", "a_s.jpg", "b/c.jpg", "b/old/d.jpg"]),
    ],
)
def test_globs_that_exclude(tmp_path: Path, exclude: str, left: list[str]) -> None:
    put(tmp_path, "a.jpg", "a_s.jpg", "b/c.jpg", "b/old/d.jpg")
    lines = "\n".join(["photo", *(path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.jpg")))])
    for source in (tmp_path, manifest(tmp_path, "list.csv", lines)):
        found = inputs.find([str(source)], "/nowhere", (exclude,))
        assert [each.key for each in found if isinstance(each, Item)] == left


@pytest.mark.parametrize("glob", ["[z-a].jpg", "", "/"])
def test_what_is_no_glob_is_one_clear_line(tmp_path: Path, glob: str) -> None:
    put(tmp_path, "a.jpg")
    with pytest.raises(OptionError, match="is not a glob"):
        list(inputs.find([str(tmp_path)], "/nowhere", (glob,)))


def test_a_source_that_is_no_glob_or_a_spreadsheet_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is not a glob: bad character range"):
        keys(f"{tmp_path}/[z-a].jpg")
    assert keys(f"{tmp_path}/[]") == keys(f"{tmp_path}/[!]") == []
    put(tmp_path, "list.xlsx")
    with pytest.raises(OptionError, match="save its table as CSV"):
        keys(tmp_path / "list.xlsx")


def manifest(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_csv_manifest(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "sub/b.dat", "c.jpg")
    path = manifest(
        tmp_path, "list.csv", "id,photo,name\n7,a.jpg,\n8,sub/b.dat,people/08\n9,gone.jpg,\n10,c.jpg,../up\n"
    )
    assert keys(path) == ["a.jpg", "people/08"]
    assert [(trouble.key, trouble.reason) for trouble in troubles(path)] == [
        ("gone.jpg", "photo_read"),
        ("list.csv:5", "manifest_line"),
    ]


def test_a_jsonl_manifest(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    lines = ['{"path": "a.jpg"}', '"b.jpg"', "", "{not json", "17", '{"image": "c.jpg", "name": "x/y.jpg"}']
    path = manifest(tmp_path, "list.jsonl", "\n".join(lines))
    assert keys(path) == ["a.jpg", "b.jpg", "x/y.jpg"]
    assert [trouble.key for trouble in troubles(path)] == ["list.jsonl:4", "list.jsonl:5"]


def test_a_manifest_may_name_photos_outside_its_folder(tmp_path: Path) -> None:
    put(tmp_path, "far/a.jpg", "lists/b.jpg")
    path = manifest(tmp_path / "lists", "list.csv", f"photo\n../far/a.jpg\n{tmp_path}/lists/b.jpg\n")
    assert keys(path) == [str(tmp_path / "far/a.jpg").lstrip("/"), "b.jpg"]


def test_two_photos_of_one_name_are_told(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    path = manifest(tmp_path, "list.csv", "photo,name\na.jpg,x\nb.jpg,x\n")
    assert keys(path) == ["x"]
    assert [trouble.reason for trouble in troubles(path)] == ["name_clash"]


def test_a_csv_without_a_column_of_photos_is_refused(tmp_path: Path) -> None:
    path = manifest(tmp_path, "list.csv", "who,when\nx,y\n")
    with pytest.raises(OptionError, match=r"has no column .*photo"):
        keys(path)
