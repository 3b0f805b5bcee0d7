"""Composed training pictures and packs: exact alpha, trust, and everything from one file on any device."""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch (pip install idseg[train])")
pytest.importorskip("numba", reason="drawn hair needs numba")

import torch
from numpy.typing import NDArray
from PIL import Image

from scripts.train import build_pack, pack
from scripts.train.scene import carve, degrade, gaps, neighbours, place, recolour, shapes, store, warp, worn
from scripts.train.scene.batches import PackBatches
from scripts.train.scene.compose import Composer, Sample, Shares
from scripts.train.scene.store import Layer, Person, Store
from scripts.train.split import held_out

CPU = torch.device("cpu")
SIZE = (96, 128)


def chance(seed: int = 0) -> torch.Generator:
    generator = torch.Generator(CPU)
    generator.manual_seed(seed)
    return generator


def drawn_person(kind: str, shade: int) -> Person:
    """An ellipse on shoulders, one colour, its edge two pixels soft; a photo's stands before green."""
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(128.0), indexing="ij")
    head = 36 - torch.hypot(y - 62, (x - 64) * 1.2)
    body = 58 - torch.hypot((y - 165) * 0.8, x - 64)
    alpha = (torch.maximum(head, body) / 2 + 0.5).clamp(0, 1)
    colour = torch.tensor((shade, 0.7 * shade, 0.55 * shade)).view(3, 1, 1).expand(3, 160, 128)
    figure = torch.cat((colour, 255 * alpha[None])).to(torch.uint8)
    photo = trust = None
    if kind != "studio":
        green = torch.tensor((0.0, 200.0, 0.0)).view(3, 1, 1)
        photo = (colour * alpha + green * (1 - alpha)).to(torch.uint8)
        trust = torch.full((1, 40, 32), 255, dtype=torch.uint8)
        trust[:, :10] = 0
    return Person("drawn", kind, figure, photo, trust, (34.0, 40.0, 60.0, 60.0), 0.16, 0.7, (60.0, 50.0, 40.0))


def drawn_store(kinds: tuple[str, ...] = ("studio", "faker"), layers: int = 2) -> Store:
    hairs = []
    for seed in range(layers):
        rng = np.random.default_rng(seed)
        front, back = (np.zeros((200, 160, 4), np.uint8) for _ in range(2))
        front[40:60, 40:120] = (*rng.integers(0, 255, 3), 255)
        back[60:150, 20:50] = (*rng.integers(0, 255, 3), 200)
        hairs.append(pack.make_layer(front, back, CPU))
    scenes = [torch.randint(0, 255, (3, 80, 120), dtype=torch.uint8, generator=chance(7))]
    people = [drawn_person(kind, shade) for kind in kinds for shade in (230, 140, 60)]
    return Store(people, scenes, hairs, dict.fromkeys(kinds, 1.0))


def test_a_map_of_whole_pixels_resamples_nothing() -> None:
    picture = torch.randint(0, 255, (3, 20, 30), dtype=torch.uint8, generator=chance())
    moved = warp.warp(picture, np.array(((1.0, 0, 3), (0, 1.0, -2))), (30, 20), "zeros")
    assert torch.allclose(moved[:, :18, 3:], picture[:, 2:, :27].float(), atol=0.05)
    mirrored = warp.warp(picture, np.array(((-1.0, 0, 30), (0, 1.0, 0))), (30, 20), "zeros")
    assert torch.allclose(mirrored, picture.flip(2).float(), atol=0.05)


def test_a_reduced_picture_is_averaged() -> None:
    board = torch.zeros(1, 120, 120)
    board[:, ::2, ::2] = board[:, 1::2, 1::2] = 255
    small = warp.warp(board, np.array(((0.25, 0, 0), (0, 0.25, 0))), (30, 30), "border")
    assert (small - 127.5).abs().max() < 15


def test_shapes_cover_the_area_they_should() -> None:
    frame = shapes.make_frame((60, 50), chance())
    assert float(shapes.box(frame, (30, 25), (10, 5), 0.4).sum()) == pytest.approx(200, rel=0.02)
    assert float(shapes.ellipse(frame, (30, 25), (12, 7), 0.3).sum()) == pytest.approx(np.pi * 84, rel=0.03)
    assert float(shapes.ring(frame, (30, 25), (15, 15), 0.5).sum()) == pytest.approx(np.pi * 15, rel=0.05)
    assert float(shapes.capsule(frame, (10, 10), (50, 40), 0.3).sum()) == pytest.approx(15, rel=0.06)


@pytest.mark.parametrize("kind", range(len(neighbours.KINDS)))
def test_every_neighbour_changes_the_scene_and_stays_in_range(kind: int) -> None:
    frame = shapes.make_frame(SIZE, chance())
    scene = shapes.solid(frame, np.array((0.5, 0.5, 0.5)))
    rng = np.random.default_rng(kind)
    changed = [neighbours.KINDS[kind](scene, frame, (50.0, 60.0), np.array((0.9, 0.2, 0.1)), rng) for _ in range(4)]
    assert max(float((c - scene).abs().max()) for c in changed) > 0.1
    for c in changed:
        assert c.shape == scene.shape
        assert float(c.min()) >= -1e-5
        assert float(c.max()) <= 1 + 1e-5


@pytest.mark.parametrize("kind", range(len(worn.KINDS)))
def test_worn_things_add_to_the_person_and_take_nothing_away(kind: int) -> None:
    frame = shapes.make_frame(SIZE, chance())
    face = worn.Face((48.0, 60.0), 40.0)
    bare = worn.Figure(torch.full((3, 128, 96), 0.5), shapes.ellipse(frame, (48, 60), (20, 26)))
    dressed = worn.KINDS[kind](bare, frame, face, np.random.default_rng(3))
    assert float((dressed.alpha - bare.alpha).min()) > -1e-5
    assert float(dressed.alpha.max()) <= 1 + 1e-5
    assert float((dressed.colour - bare.colour).abs().max()) > 0.05


def test_the_foreground_of_a_composite_is_found_again() -> None:
    person = drawn_person("faker", 200)
    assert person.photo is not None
    found = store.foreground(person.photo, person.figure[3]).float()
    soft = (person.figure[3] > 60) & (person.figure[3] < 200)
    assert float((found - person.figure[:3].float()).abs()[:, soft].mean()) < 12
    assert float((person.photo.float() - person.figure[:3].float()).abs()[:, soft].mean()) > 40


def test_samples_have_exact_alpha() -> None:
    """Without hair, things and changes of colour a sample is F a + B (1 - a) of one person and one backdrop."""
    shares = Shares(hair=0.0, worn=0.0, gaps=0.0, shine=0.0, neighbours=0.0, bystander=0.0, pale=0.0, sharp=1.0)
    composer = Composer(drawn_store(("studio",)), shares, np.random.default_rng(0), chance())
    sample = composer.sample(SIZE)
    alphas = {int(v) for v in (sample.alpha * 255 + 0.5).flatten().tolist()}
    own = set(composer.store.people[0].figure[3].flatten().tolist())
    assert len(alphas) > 3
    assert sum(any(abs(v - o) <= 1 for o in own) for v in alphas) == len(alphas)
    assert float(sample.trust.min()) == 1.0


def test_hair_adds_alpha_before_and_behind_and_doubt_has_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    at_one_place = np.array(((0.75, 0.0, 0.0), (0.0, 0.75, 8.0)))
    monkeypatch.setattr(place, "person_map", lambda *given, **named: at_one_place)
    bare = Shares(hair=0.0, worn=0.0, gaps=0.0, neighbours=0.0)
    full = Shares(hair=1.0, worn=0.0, gaps=0.0, neighbours=0.0)
    covers = []
    for shares in (bare, full):
        composer = Composer(drawn_store(("studio",)), shares, np.random.default_rng(5), chance())
        covers.append(np.mean([float(composer.sample(SIZE).alpha.mean()) for _ in range(8)]))
    assert covers[1] > covers[0] + 0.02
    kept = Composer(drawn_store(("faker",)), Shares(photo=1.0, hair=0.0), np.random.default_rng(1), chance())
    assert 0.02 < np.mean([float(1 - kept.sample(SIZE).trust.mean()) for _ in range(8)]) < 0.5


def test_batches_repeat_by_their_seed_and_have_the_trainers_form() -> None:
    def first(seed: int) -> list[torch.Tensor]:
        return list(next(iter(PackBatches(drawn_store(), [SIZE, (128, 96)], 3, seed, Shares()))))

    one, again, other = first(1), first(1), first(2)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert one[0].shape != other[0].shape or not torch.equal(one[0], other[0])
    rgb, alpha, trust = one
    assert rgb.dtype == alpha.dtype == trust.dtype == torch.uint8
    assert rgb.shape[0] == 3
    assert rgb.shape[:3] == alpha.shape == trust.shape
    assert int(rgb.float().std()) > 5


def test_jpeg_loses_more_at_lower_quality_and_little_at_high() -> None:
    picture = torch.rand(3, 3, 40, 56, generator=chance()) * 100 + 60
    picture = warp.gaussian(picture, 1.0)
    coded = degrade.jpeg(picture, np.array((98.0, 60.0, 15.0)))
    errors = (coded - picture).abs().mean(dim=(1, 2, 3)).tolist()
    assert errors[0] < errors[1] < errors[2]
    assert errors[0] < 6
    grey = torch.full((1, 3, 16, 16), 77.0)
    assert torch.allclose(degrade.jpeg(grey, np.array((50.0,))), grey, atol=2.5)


def test_hair_is_laid_on_the_face(tmp_path: Path) -> None:
    face = (100.0, 200.0, 142.0, 142.0)
    view = (4.0, -0.35, 1.42, -0.28)
    maps = [place.hair_map((640, 800), face, view, np.random.default_rng(seed)) for seed in range(30)]
    unit = 640 / 4.0
    points = np.array([place.mapped(m, 320.0, 400 - 0.07 * unit) for m in maps])
    assert np.abs(points.mean(axis=0) - (171, 271)).max() < 6
    assert np.median([warp.scale_of(m) for m in maps]) == pytest.approx(100 / unit, rel=0.08)


def test_reading_a_pack_needs_no_more_than_the_lent_machine_has() -> None:
    program = (
        "import sys; import scripts.train.pack, scripts.train.scene.compose; "
        "print(sorted({'cv2', 'idseg', 'onnx', 'onnxruntime', 'mediapipe', 'pymatting'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def data(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    """A data folder with one face: as a cut-out, as photos with labels, and a backdrop."""
    root = tmp_path / "data"
    height, width = astronaut.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    mask = (np.hypot((x - 225) / 150, (y - 190) / 190) < 1) | (y > 330)
    alpha = np.where(mask, 255, 0).astype(np.uint8)
    write(root / "studio/one.jpg", astronaut)
    write(root / "studio/one.png", alpha)
    for index in range(6):
        trust = np.full_like(alpha, 255)
        trust[:100, :100] = 0
        write(root / f"photos/faker/{index}.jpg", astronaut)
        write(root / f"fused/faker/{index}.png", np.dstack((alpha, trust)))
    write(root / "backgrounds/wall.jpg", np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8))
    return root


def test_photos_whose_hair_was_keyed_are_a_kind_of_their_own(data: Path, tmp_path: Path) -> None:
    people = list(build_pack.sources(data, tmp_path, set(), None))
    faker = [person.picture.stem for person in people if person.kind == "faker"]
    (tmp_path / "keyed.txt").write_text(f"faker/{faker[0]}\nsfhq/{faker[1]}\n")
    kinds = {person.picture.stem: person.kind for person in build_pack.sources(data, tmp_path, set(), None)}
    assert [kinds[name] for name in faker[:2]] == ["keyed", "faker"]
    assert build_pack.QUALITY.keys() >= set(kinds.values())


def test_a_stopped_build_continues_with_its_finished_items(tmp_path: Path) -> None:
    parts, made = build_pack.Parts(tmp_path), []

    def make() -> build_pack.Item:
        made.append(1)
        return {"name": "one", "face": None}, {"people/0.webp": b"pixels"}

    first = parts.get(("person", 0), make)
    assert parts.get(("person", 0), make) == first == ({"name": "one", "face": None}, {"people/0.webp": b"pixels"})
    assert len(made) == 1
    parts.get(("person", 1), make)  # other input
    assert len(made) == 2


@pytest.mark.weights
@pytest.mark.slow
def test_a_pack_is_built_read_and_trained_from(data: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.pack", tmp_path / "b.pack"]
    people = list(build_pack.sources(data, tmp_path / "none", {"1"}, 4))
    material = (people, sorted((data / "backgrounds").glob("*.jpg")))
    parts = build_pack.Parts(tmp_path / "parts")
    sizes = build_pack.build(material, [build_pack.LAYER_SEED], files, parts)
    assert not parts.folder.exists()
    assert sizes == [path.stat().st_size for path in files]
    found = pack.open_pack(files, CPU)
    names = {person.name for person in found.people}
    assert "one" in names
    assert "1" not in names
    assert not any(held_out(name) for name in names if name != "one")
    for person in found.people:
        assert person.face is not None  # a face is found in the cut-out and in the photo
        assert person.figure.shape == (4, 512, 512)
        assert (person.photo is None) == (person.kind == "studio")
    labelled = next(person for person in found.people if person.kind == "faker")
    assert labelled.trust is not None
    assert int(labelled.trust[0, :20, :20].max()) == 0
    assert int(labelled.trust[0, -20:, -20:].min()) == 255
    assert len(found.layers) == len(found.backdrops) == 1
    rgb, alpha, _ = next(iter(PackBatches(found, [SIZE], 4, 3, Shares(hair=1.0))))
    assert rgb.shape == (4, 128, 96, 3)
    assert 0.05 < float(alpha.float().mean()) / 255 < 0.98
    files[1].write_bytes(files[1].read_bytes()[:1000])
    with pytest.raises(pack.PackError, match=r"b\.pack"):
        pack.open_pack(files, CPU)
    with pytest.raises(ValueError, match="no person"):
        pack.open_pack(files[:1], CPU, {"nobody": 1.0})


def test_a_pack_of_textures_is_read_beside_a_pack_of_people(tmp_path: Path) -> None:
    """Textures are repeated without a seam, and textures and other backdrops get equal shares."""
    rng = np.random.default_rng(0)
    for number in range(3):
        write(tmp_path / f"textures/{number}.png", rng.integers(0, 255, (500, 950, 3)).astype(np.uint8))
    write(tmp_path / "rooms/room.png", rng.integers(0, 255, (90, 120, 3)).astype(np.uint8))
    textures = build_pack.pictures_in([tmp_path / "textures"])
    sizes = build_pack.build_pictures(build_pack.pictures_in([tmp_path / "rooms"]), textures, tmp_path / "c.pack")
    assert sizes == (tmp_path / "c.pack").stat().st_size
    person = {"name": "one", "kind": "studio", "picture": "people/0.webp", "photo": False, "trust": None, "face": None}
    person |= {"top": 0.1, "shoulders": 0.6, "hair": [0, 0, 0]}
    picture = build_pack.webp(np.full((40, 30, 4), 255, np.uint8), 80)
    pack.write_pack(
        tmp_path / "a.pack", {"people": [person], "backdrops": [], "layers": []}, [("people/0.webp", picture)]
    )
    found = pack.open_pack([tmp_path / "a.pack", tmp_path / "c.pack"], CPU)
    sizes_read = [tuple(backdrop.shape) for backdrop in found.backdrops]
    assert sizes_read.count((3, 90, 120)) == sizes_read.count((3, 1000, 950)) == 3
    texture = next(backdrop for backdrop in found.backdrops if backdrop.shape[1] == 1000)
    assert torch.equal(texture[:, :500], texture[:, 500:].flip(1))
    assert len({backdrop.data_ptr() for backdrop in found.backdrops}) == 4  # a repeated picture is the same tensor


def test_a_pack_can_be_read_smaller(tmp_path: Path) -> None:
    """Colours count by alpha in a cut-out and equally in a photo; faces, hair and textures shrink too."""
    half = np.zeros((80, 40, 4), np.uint8)
    half[:, :18] = (200, 100, 50, 255)  # black and transparent at the right
    entry = {"name": "one", "kind": "studio", "picture": "one.webp", "photo": False, "trust": None}
    entry |= {"face": [8, 10, 20, 24], "top": 0.1, "shoulders": 0.6, "hair": [0, 0, 0]}
    photo = entry | {"name": "two", "picture": "two.webp", "photo": True, "face": None}
    pixels = {"one.webp": half, "two.webp": np.concatenate((half[..., :3], half[..., :1] // 200 * 255), axis=2)}
    pixels |= {"layer.webp": half, "wall.webp": np.full((300, 200, 3), 90, np.uint8)}
    index = {"people": [entry, photo], "backdrops": ["wall.webp"], "textures": ["wall.webp"]}
    index["layers"] = [{"front": "layer.webp", "back": "layer.webp"}]
    pictures = [(name, build_pack.webp(values, 100)) for name, values in pixels.items()]
    pack.write_pack(tmp_path / "a.pack", index, pictures)
    whole, small = (pack.open_pack([tmp_path / "a.pack"], CPU, longest=longest) for longest in (None, 16))
    cut_out, taken = small.people
    assert cut_out.figure.shape == taken.figure.shape == (4, 16, 8)
    assert cut_out.face == pytest.approx((1.6, 2.0, 4.0, 4.8))
    inside, edge = cut_out.figure[:, 8, 1].int(), cut_out.figure[:, 8, 3].int()
    assert 100 < edge[3] < 200
    assert (inside - edge)[:3].abs().max() < 20  # black would have made it 80 darker
    assert taken.figure[3, 8, 3] == edge[3]
    assert taken.photo is not None
    assert int(taken.photo[0, 8, 6]) < 20
    assert small.layers[0].front.shape == (4, 16, 8)
    assert max(small.backdrops[0].shape) == 16
    assert max(whole.people[0].figure.shape) == 80


@pytest.mark.slow
def test_hair_is_drawn_beside_the_training() -> None:
    full = drawn_store(layers=1)
    with pack.HairDresser(full, first=9, processes=1, most=2) as dresser:
        dresser._thread.join(timeout=600)
        assert len(full.layers) == 2
    added = full.layers[1]
    assert isinstance(added, Layer)
    assert added.front.shape == (4, 800, 640) or added.front.shape == (4, 1280, 1024)
    assert float(added.front[3].float().mean()) > 1


def long_hair(size: tuple[int, int] = (192, 240)) -> tuple[shapes.Frame, worn.Face, worn.Figure]:
    """A skin-coloured face in a large dark ellipse of hair."""
    frame = shapes.make_frame(size, chance())
    face = worn.Face((96.0, 110.0), 70.0)
    hair = shapes.ellipse(frame, face.middle, (85, 95))
    colour = shapes.over(
        shapes.solid(frame, np.array((0.2, 0.12, 0.08))),
        shapes.solid(frame, np.array((0.9, 0.7, 0.6))),
        shapes.ellipse(frame, (96, 112), (32, 40)),
    )
    return frame, face, worn.Figure(colour, hair)


@pytest.mark.parametrize("kind", sorted({recipe.__name__ for recipe in gaps.KINDS}))
def test_gaps_are_cut_out_of_the_hair_and_never_out_of_the_face(kind: str) -> None:
    frame, face, person = long_hair()
    ground = gaps.survey(gaps.thumbnail(person), face)
    assert ground.hair.any()
    recipe = next(recipe for recipe in gaps.KINDS if recipe.__name__ == kind)
    found: list[gaps.Gap] = []
    for seed in range(12):
        found += recipe(ground, np.random.default_rng(seed))
    assert found
    carved = carve.carve(person, frame, face, found[: gaps.MOST], np.random.default_rng(1))
    assert torch.equal(carved.figure.colour, person.colour)
    assert torch.allclose(carved.figure.alpha, person.alpha * carved.keep)
    assert float(carved.figure.alpha[carved.gap > 0.999].min()) == 0.0
    wide, high, down = gaps.HEAD[0]
    own = shapes.ellipse(frame, face.at(0.0, down), ((wide - 0.03) * face.width, (high - 0.03) * face.width))
    assert float((carved.keep[own > 0.5] - 1).abs().max()) == 0.0
    assert float((carved.keep - 1).abs()[carved.gap == 0].max()) == 0.0


def test_strands_cross_gaps_with_partial_alpha() -> None:
    frame, face, person = long_hair()
    gap = gaps.Gap(160.0, 110.0, 1.5, 50.0, 12.0, strands=0.7, fringe=0.5)
    carved = carve.carve(person, frame, face, [gap], np.random.default_rng(2))
    inner = carved.figure.alpha[carved.gap == 1.0]
    assert 0.05 < float(inner.mean()) < 0.8
    assert float(((inner > 0.1) & (inner < 0.9)).float().mean()) > 0.05
    bare = carve.carve(person, frame, face, [gaps.Gap(160.0, 110.0, 1.5, 50.0, 12.0)], np.random.default_rng(2))
    assert float(bare.gap.sum()) == pytest.approx(np.pi * 600, rel=0.05)


def test_gaps_show_the_backdrop_and_repeat_by_their_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a nearly black person the picture is the backdrop times 1 - alpha: a light wall is seen in every gap."""
    cut: list[carve.Carved] = []

    def recorded(*given: Any) -> carve.Carved:
        cut.append(original(*given))
        return cut[-1]

    original = carve.carve
    monkeypatch.setattr(carve, "carve", recorded)
    wall = torch.full((3, 80, 120), 200, dtype=torch.uint8)
    _, face, dark = long_hair()
    figure = torch.cat((dark.colour * 12.0, dark.alpha[None] * 255.0)).to(torch.uint8)
    box = (face.middle[0] - 35.0, face.middle[1] - 35.0, 70.0, 70.0)
    dark_person = replace(drawn_person("studio", 0), figure=figure, face=box)
    full = Store([dark_person], [wall], [], {"studio": 1.0})
    shares = Shares(gaps=1.0, worn=0.0, shine=0.0, neighbours=0.0, plain=0.0, bystander=0.0, pale=0.0, sharp=1.0)

    def pictures() -> list[Sample]:
        composer = Composer(full, shares, np.random.default_rng(4), chance())
        return [composer.sample(SIZE) for _ in range(8)]

    one, again = pictures(), pictures()
    assert cut
    assert any(float(c.gap.max()) > 0.99 for c in cut)
    assert all(any(torch.equal(c.figure.alpha, a.alpha) for a in one) for c in cut)
    for a, b in zip(one, again, strict=True):
        assert torch.equal(a.rgb, b.rgb)
        assert torch.equal(a.alpha, b.alpha)
        assert float(a.trust.min()) == 1.0
        assert float(a.rgb[:, a.alpha > 0.999].max()) < 40.0
        scene = (a.rgb / (1 - a.alpha))[:, a.alpha < 0.9]
        assert float(scene.min()) > 0.1 * float(scene.max())


def test_strips_on_hair_and_ornaments_are_person() -> None:
    frame, face, person = long_hair()
    strip = gaps.Gap(160.0, 110.0, 1.5, 50.0, 12.0)
    painted = carve.shine(person, frame, face, [strip], np.random.default_rng(2))
    dressed = [worn.ornaments(person, frame, face, np.random.default_rng(seed)) for seed in range(6)]
    for one in (painted, *dressed):
        assert torch.equal(one.alpha, person.alpha)
        assert float((one.colour - person.colour).abs().max()) > 0.05
        assert float(one.colour.min()) >= 0.0
        assert float(one.colour.max()) <= 1.0


def test_a_photo_shows_its_own_backdrop_in_gaps_and_they_are_trusted() -> None:
    frame, face, person = long_hair()
    shift = gaps.beside(gaps.thumbnail(person), [gaps.Gap(20.0, 60.0, 1.5, 4.0, 2.0)], np.random.default_rng(0))
    assert shift is not None
    place = (int(60 + shift[1]), int(20 + shift[0]))
    assert float(person.alpha[place]) == 0.0
    carved = carve.carve(person, frame, face, [gaps.Gap(160.0, 110.0, 1.5, 30.0, 8.0)], np.random.default_rng(2))
    trust = carve.trusted(torch.zeros_like(person.alpha), carved)
    assert float(trust[carved.gap > 0.9].min()) == 1.0
    assert float(trust[carved.gap == 0].max()) == 0.0


def test_bare_shoulders_have_the_colour_of_the_face() -> None:
    unmoved = np.array(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    placed = recolour.Placed(drawn_person("studio", 200), unmoved, shapes.make_frame(SIZE, chance()))
    colour = torch.tensor((0.8, 0.6, 0.5)).view(3, 1, 1).repeat(1, SIZE[1], SIZE[0])
    colour[:, 100:] = torch.tensor((0.1, 0.1, 0.6)).view(3, 1, 1)  # clothes; the shoulders begin in row 112
    painted = recolour.bare(colour, placed, np.random.default_rng(2))  # this seed draws no neckline
    share = painted[:, 116:118] / colour[:, 60:61]
    assert torch.equal(painted[:, :104], colour[:, :104])
    assert 0.5 < float(share.min()) <= float(share.max()) < 1.3


@pytest.mark.parametrize("seed", range(6))
def test_hard_light_lights_a_part(seed: int) -> None:
    frame = shapes.make_frame(SIZE, chance())
    lit = recolour.hard_light(torch.full((3, SIZE[1], SIZE[0]), 0.2), frame, np.random.default_rng(seed))
    assert float(lit.max()) > 1.5 * float(lit.min())
    assert float(lit.min()) > 0.05
