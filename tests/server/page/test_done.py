"""The page says what was done to a photo, in both languages, as the library's record does. Needs node, no browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from idseg.photo.adjust import Adjustment
from idseg.photo.background import Background, parse_background
from idseg.photo.finish import finish
from idseg.photo.sizes import find_size
from idseg.server.routes.page import STATIC
from tests.photo import person as drawn

SCRIPT = """
  const load = async (path) => import(path);
  const [folder, cases] = process.argv.slice(1);
  const { stepsOf, doneText, NOTHING_BEFORE } = await load(`${folder}/done.js`);
  const texts = await Promise.all(["en", "zh"].map(async (name) => (await load(`${folder}/text_${name}.js`)).default));
  const told = (words, [photo, before]) => {
    const facts = [photo, before ?? NOTHING_BEFORE];
    return { steps: stepsOf(...facts, words.did, (text) => text), text: doneText(...facts, words, (text) => text) };
  };
  console.log(JSON.stringify(JSON.parse(cases).map((one) => texts.map((words) => told(words, one)))));
"""

WORDS = {
    "cropped": ("cropped", "裁剪"),
    "turned": ("turned", "旋转"),
    "reduced": ("reduced to", "缩小到"),
    "enlarged": ("enlarged to", "放大到"),
    "mirrored": ("mirrored", "镜像"),
    "brightened": ("brightened", "调亮"),
    "darkened": ("darkened", "调暗"),
    "background kept": ("background kept", "保留原背景"),
    "background removed": ("background removed", "去掉背景"),
    "background replaced": ("background replaced", "换底色"),
}
"""What a step of the record contains, and the page's words for it."""


def told(*cases: tuple[dict[str, Any], dict[str, Any] | None]) -> Any:
    """For each record: steps and text in English and in Chinese."""
    if shutil.which("node") is None:
        pytest.skip("node is not here")
    command = ["node", "--input-type=module", "-e", SCRIPT, STATIC.as_uri(), json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def record(
    background: Background, roll_deg: float = 0.0, by: Adjustment | None = None, stops: float = 0.0
) -> dict[str, Any]:
    return finish(drawn.result(roll_deg), find_size("cn-1inch"), background, by, stops).to_dict()


def test_each_step_of_the_record_has_its_words() -> None:
    white, keep, clear = (parse_background(text) for text in ("#ffffff", "keep", "transparent"))
    records = [
        record(white, 5.0),
        record(keep, -4.0),
        record(clear, stops=0.3),
        record(white, by=Adjustment(turn_deg=2.5, flip=True), stops=-0.25),
    ]
    for made, languages in zip(records, told(*((made, None) for made in records)), strict=True):
        for language, page in enumerate(languages):
            steps = page["steps"]
            assert len(steps) == len(made["done"]), (made["done"], steps)
            for said, step in zip(made["done"], steps, strict=True):
                words = next(words for part, words in WORDS.items() if part in said)
                assert words[language] in step, said
                numbers = [re.findall(r"(?<!#)\b\d+\.?\d*", text) for text in (said, step)]
                assert [float(number) for number in numbers[0]] == [float(number) for number in numbers[1]], said
                if language == 0 and "clockwise" in said:
                    assert ("counter" in said) == ("counter" in step)
            assert all(step.lower() in page["text"].lower() for step in steps)
    assert sorted({said.split(" ")[0] for made in records for said in made["done"]}) == [
        *("background", "brightened", "cropped", "darkened", "mirrored", "scaled", "turned")
    ]


def test_the_face_is_called_untouched_only_where_it_is() -> None:
    plain, brighter = record(parse_background("#438edb")), record(parse_background("#438edb"), stops=0.3)
    for made, (english, chinese) in zip((plain, brighter), told((plain, None), (brighter, None)), strict=True):
        assert ("Face not retouched." in english["text"]) == made["unretouched"]
        assert ("面部未修饰。" in chinese["text"]) == made["unretouched"]
        assert "background replaced (#438edb)" in english["text"]
    assert plain["unretouched"]
    assert not brighter["unretouched"]


def test_what_the_page_did_before_is_counted() -> None:
    made = record(parse_background("#ffffff"))
    cases = told(
        (made, {"quarters": 1, "scale": 0.5}), (made, {"quarters": 2, "scale": 1}), (made, {"quarters": 3, "scale": 1})
    )
    assert [languages[0]["steps"][1] for languages in cases] == [
        "turned 90° clockwise",
        "turned 180° clockwise",
        "turned 90° counter-clockwise",
    ]
    percents = [float(re.findall(r"[\d.]+", languages[0]["steps"][2])[0]) for languages in cases]
    assert percents[0] == pytest.approx(percents[1] / 2, rel=0.01)
