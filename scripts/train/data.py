"""Training pictures: read once into memory, composed and augmented with OpenCV on uint8.

There are three kinds of material (the README of the data folder gives their sources):

* *studio*: exact foreground colours and alpha; on any backdrop, the composite's true alpha is exact.
* *photo*: labelled photographs. A teacher net made the labels, so their uncertain areas have no weight. The foreground
  colours are estimated before the person is put in front of another backdrop.
* *background*: pictures without people. Plain and gradient backdrops are drawn here.
"""

# torch and onnx are not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from idseg.stages.foreground import estimate_foreground
from scripts.train.split import body_rows as body_rows
from scripts.train.split import held_out as held_out
from scripts.train.strands import add_strands

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

# ImageNet statistics in 0..255, as in the pretraining of the encoder.
MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)


@dataclass(frozen=True)
class Person:
    """One person in memory: RGB foreground colours, alpha, the original photo and some facts."""

    name: str
    kind: str  # "studio" or the photo set's name
    foreground: U8
    alpha: U8
    photo: U8 | None  # None for studio people, whose photos have no backdrop
    weight: U8 | None  # 255 where the label can be trusted; None: trusted everywhere
    top: float  # first row of the person, 0..1 of the height
    shoulders: float  # row where the body gets wider than the head, 0..1 of the height


def read_rgb(path: Path) -> U8:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(path)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def read_alpha(path: Path) -> U8:
    alpha = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if alpha is None:
        raise FileNotFoundError(path)
    return (alpha if alpha.ndim == 2 else alpha[..., -1]).astype(np.uint8, copy=False)


def trust(alpha: U8) -> U8:
    """Weight of a teacher's label: 0 inside broad half-transparent areas, where the teacher was uncertain."""
    unsure = ((alpha > 25) & (alpha < 230)).astype(np.float32)
    side = max(alpha.shape) // 40 * 2 + 1
    broad = cv2.blur(unsure, (side, side)) > 0.55
    grown = cv2.dilate(broad.astype(np.uint8), np.ones((side, side), np.uint8))
    return ((1 - grown) * 255).astype(np.uint8)


def shrink(picture: U8, long_side: int | None) -> U8:
    height, width = picture.shape[:2]
    if long_side is None or max(height, width) <= long_side:
        return picture
    scale = long_side / max(height, width)
    size = (round(width * scale), round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def load_people(
    root: Path, sets: list[str], exclude: set[str], long_side: int | None, limit: int | None
) -> list[Person]:
    """Read the training share of ``sets`` ("studio", "faker", ...); at most ``limit`` people of each."""
    people: list[Person] = []
    for kind in sets:
        folder = root / ("studio" if kind == "studio" else f"photos/{kind}")
        count = 0
        for path in sorted(folder.glob("*.png")):
            if limit is not None and count >= limit:
                break
            if path.stem in exclude or (kind != "studio" and held_out(path.stem)):
                continue
            rgb = shrink(read_rgb(path.with_suffix(".jpg")), long_side)
            alpha = shrink(read_alpha(path), long_side)
            top, shoulders = body_rows(alpha)
            if kind == "studio":
                person = Person(path.stem, kind, rgb, alpha, None, None, top, shoulders)
            else:
                colours = estimate_foreground(rgb, alpha.astype(np.float32) / 255.0)
                person = Person(path.stem, kind, colours, alpha, rgb, trust(alpha), top, shoulders)
            people.append(person)
            count += 1
    return people


def load_backgrounds(root: Path, long_side: int | None, limit: int | None) -> list[U8]:
    paths = sorted((root / "backgrounds").glob("*.jpg"))[:limit]
    return [shrink(read_rgb(path), long_side) for path in paths]


# ------------------------------------------------------------------------------------ colour


def tone(rgb: U8, rng: np.random.Generator, strength: float) -> U8:
    """Random exposure, gamma, white balance and saturation."""
    gain = np.exp(rng.normal(0.0, 0.18 * strength)) * np.exp(rng.normal(0.0, 0.07 * strength, 3))
    gamma = np.exp(rng.normal(0.0, 0.2 * strength))
    offset = rng.normal(0.0, 8.0 * strength)
    levels = np.arange(256, dtype=np.float64) / 255.0
    table = np.stack([np.power(levels, gamma) * g * 255.0 + offset for g in gain], axis=-1)
    lut = np.clip(table, 0, 255).astype(np.uint8)
    toned = cv2.LUT(rgb, lut[:, None, :])
    saturation = float(np.exp(rng.normal(0.0, 0.25 * strength)))
    if abs(saturation - 1.0) > 0.05:
        grey = cv2.cvtColor(cv2.cvtColor(toned, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        toned = cv2.addWeighted(toned, saturation, grey, 1.0 - saturation, 0.0)
    return np.asarray(toned, np.uint8)


def recolour_clothes(foreground: U8, shoulders: float, colour: NDArray[np.float64], rng: np.random.Generator) -> U8:
    """Paint everything below the shoulders in ``colour``, keeping folds and skin."""
    height = foreground.shape[0]
    start = shoulders * height - 0.03 * height
    rows = np.clip((np.arange(height) - start) / (0.05 * height), 0.0, 1.0).astype(np.float32)
    ycrcb = cv2.cvtColor(foreground, cv2.COLOR_RGB2YCrCb)
    red, blue = ycrcb[..., 1].astype(np.int16), ycrcb[..., 2].astype(np.int16)
    skin = ((red > 138) & (red < 180) & (blue > 85) & (blue < 125)).astype(np.float32)
    keep = cv2.blur(skin, (9, 9))
    mask = rows[:, None] * np.clip(1.0 - 2.0 * keep, 0.0, 1.0)
    light = ycrcb[..., 0].astype(np.float32) / 255.0
    folds = 1.0 + rng.uniform(0.25, 0.7) * (light - float(light[int(height * 0.8) :].mean()))
    painted = folds[..., None] * colour.astype(np.float32)
    mixed = foreground * (1.0 - mask[..., None]) + painted * mask[..., None]
    return np.clip(mixed, 0, 255).astype(np.uint8)


# ---------------------------------------------------------------------------------- geometry


def place_person(person: Person, width: int, height: int, rng: np.random.Generator, wide: bool) -> NDArray[np.float64]:
    """Affine map from the person's picture into the frame.

    The straight cut at the bottom of the source stays at or below the bottom of the frame, so it is never visible.
    ``wide`` allows small persons, whose cut sides may be visible.
    """
    source_height, source_width = person.alpha.shape
    base = width / source_width
    usual = float(np.clip(np.exp(rng.normal(0.02, 0.16)), 0.72, 1.6))
    scale = base * (rng.uniform(0.45, 0.95) if wide else usual)
    angle = float(rng.normal(0.0, 6.0))
    if rng.random() < 0.05:
        angle *= 3.0
    stretch = float(np.exp(rng.normal(0.0, 0.04)))
    cut_off = rng.random() < 0.08
    top = (rng.uniform(-0.25, 0.0) if cut_off else rng.uniform(0.01, 0.28)) * height
    if person.top < 0.01:  # the source crops the head, so the frame must crop it too
        scale = max(scale, 1.02 * height / source_height)
        top = rng.uniform(-0.1, 0.0) * height
    dip = 0.4 * width * abs(np.tan(np.radians(angle)))  # rotation lifts a corner of the cut
    shift_y = max(top - scale * person.top * source_height, height + dip - scale * source_height)
    shift_x = width / 2 - scale * source_width / 2 + rng.normal(0.0, 0.09) * width
    matrix = np.array(((scale * stretch, 0.0, shift_x), (0.0, scale, shift_y)))
    if rng.random() < 0.5:  # mirror left and right
        matrix[0] = (-matrix[0, 0], 0.0, width - matrix[0, 2])
    turn = np.vstack((cv2.getRotationMatrix2D((width / 2, height * 1.0), angle, 1.0), (0, 0, 1)))
    result: NDArray[np.float64] = (turn @ np.vstack((matrix, (0, 0, 1))))[:2]
    return result


def shrunk(person: Person, width: int, rng: np.random.Generator) -> Person:
    """The person's picture shrunk with area averaging to about the frame's width, if it is wider."""
    height, source_width = person.alpha.shape
    factor = width * rng.uniform(1.0, 1.12) / source_width
    if factor > 0.95:
        return person
    size = (round(source_width * factor), round(height * factor))
    foreground, alpha = (
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        for picture in (person.foreground, person.alpha)
    )
    return replace(person, foreground=foreground, alpha=alpha)


def place_as_it_is(shape: tuple[int, ...], width: int, height: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Map without resampling: the picture at the bottom of the frame, near its middle, perhaps mirrored."""
    slack = (width - shape[1]) // 2
    shift = slack + int(rng.integers(-12, 13)) if slack < 12 else slack
    matrix = np.array(((1.0, 0.0, shift), (0.0, 1.0, height - shape[0])))
    if rng.random() < 0.5:
        matrix[0] = (-1.0, 0.0, width - 1 - matrix[0, 2])
    return matrix


def place_crop(shape: tuple[int, int], width: int, height: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Affine map of a random window of a whole photograph onto the frame."""
    source_height, source_width = shape
    cover = max(width / source_width, height / source_height)
    # The range goes from the whole photo, slightly squeezed, to an enlarged third of it.
    scale = cover * float(np.exp(abs(rng.normal(0.0, 0.18))))
    scale_x = scale_y = scale
    if rng.random() < 0.4:  # the whole photo, as in matte(rgb) of a portrait
        scale_x, scale_y = width / source_width, height / source_height
        middle = np.sqrt(scale_x * scale_y)
        scale_x = float(np.clip(scale_x, middle * 0.8, middle * 1.25))
        scale_y = float(np.clip(scale_y, middle * 0.8, middle * 1.25))
        grow = max(width / source_width / scale_x, height / source_height / scale_y)
        scale_x, scale_y = scale_x * grow, scale_y * grow
    slack_x = width - scale_x * source_width
    slack_y = height - scale_y * source_height
    shift_x = slack_x * float(np.clip(rng.normal(0.5, 0.2), 0, 1))
    shift_y = slack_y * rng.uniform(0.0, 1.0)
    matrix = np.array(((scale_x, 0.0, shift_x), (0.0, scale_y, shift_y)))
    if rng.random() < 0.5:
        matrix[0] = (-scale_x, 0.0, width - shift_x)
    angle = float(rng.normal(0.0, 4.0))
    turn = np.vstack((cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1 + abs(angle) / 90), (0, 0, 1)))
    result: NDArray[np.float64] = (turn @ np.vstack((matrix, (0, 0, 1))))[:2]
    return result


def warp(picture: U8, matrix: NDArray[np.float64], size: tuple[int, int], border: int) -> U8:
    """Resample; uses area averaging first if the picture shrinks to less than 2/3 (against aliasing)."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.67:
        factor = max(scale * 1.2, 1e-3)
        height, width = picture.shape[:2]
        smaller = (max(round(width * factor), 1), max(round(height * factor), 1))
        picture = np.asarray(cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix @ np.diag((width / smaller[0], height / smaller[1], 1.0))
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=border), np.uint8)


# --------------------------------------------------------------------------------- backdrops


def plain_backdrop(width: int, height: int, colour: NDArray[np.float64], rng: np.random.Generator) -> U8:
    """One colour with a gradient, a vignette or a stain, and grain, as in ID photos and studios."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rows, columns = rows / height - 0.5, columns / width - 0.5
    kind = rng.integers(0, 4)
    shade = np.ones((height, width), np.float32)
    if kind == 1:
        angle = rng.uniform(0, 2 * np.pi)
        shade += rng.uniform(0, 0.7) * (np.cos(angle) * columns + np.sin(angle) * rows)
    elif kind >= 2:
        middle = rng.uniform(-0.4, 0.4, 2)
        distance = (columns - middle[0]) ** 2 + (rows - middle[1]) ** 2
        shade += rng.uniform(-0.6, 0.3) * np.sqrt(distance)
    backdrop = shade[..., None] * colour.astype(np.float32)
    if kind == 3:
        stain = cv2.resize(rng.normal(0, 12, (6, 5, 3)).astype(np.float32), (width, height))
        backdrop = backdrop + stain
    backdrop += rng.normal(0, rng.uniform(0, 2.5), (height, width, 1)).astype(np.float32)
    return np.clip(backdrop, 0, 255).astype(np.uint8)


def random_crop(picture: U8, width: int, height: int, rng: np.random.Generator, zoom: tuple[float, float]) -> U8:
    """A window of the picture, mirrored half of the time; zoom 1 takes the largest possible window."""
    source_height, source_width = picture.shape[:2]
    cover = min(source_width / width, source_height / height)
    factor = cover / rng.uniform(*zoom)
    crop_width = max(int(width * factor), 8)
    crop_height = max(int(height * factor), 8)
    left = int(rng.integers(0, max(source_width - crop_width, 0) + 1))
    top = int(rng.integers(0, max(source_height - crop_height, 0) + 1))
    window = picture[top : top + crop_height, left : left + crop_width]
    how = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    window = np.asarray(cv2.resize(window, (width, height), interpolation=how), np.uint8)
    if rng.random() < 0.5:
        window = window[:, ::-1]
    return np.ascontiguousarray(window, np.uint8)


def blend(foreground: U8, alpha: U8, background: U8) -> U8:
    weight = alpha.astype(np.float32)[..., None] * (1.0 / 255.0)
    mixed = foreground * weight + background * (1.0 - weight)
    return np.asarray(mixed + 0.5, np.uint8)


def spoil(rgb: U8, rng: np.random.Generator) -> U8:
    """Degrade a picture as cameras and web sites do: blur, noise, JPEG, grey."""
    if rng.random() < 0.12:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.1)), np.uint8)
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(1, 9), rgb.shape).astype(np.float32)
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.04:
        rgb = np.asarray(cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    if rng.random() < 0.3:
        quality = [int(cv2.IMWRITE_JPEG_QUALITY), int(rng.integers(35, 96))]
        coded = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), quality)[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded is not None  # imencode wrote it just above
        rgb = np.asarray(decoded[..., ::-1], np.uint8)
    return np.ascontiguousarray(rgb)


# ----------------------------------------------------------------------------------- samples


@dataclass(frozen=True)
class Material:
    """All material that samples are drawn from."""

    people: list[Person]
    backgrounds: list[U8]
    shares: NDArray[np.float64]  # probability of each person


def make_pool(people: list[Person], backgrounds: list[U8], shares: dict[str, float]) -> Material:
    """``shares``: probability of each set. Within a set all persons have the same probability."""
    counts: dict[str, int] = {}
    for person in people:
        counts[person.kind] = counts.get(person.kind, 0) + 1
    weights = np.array([shares[person.kind] / counts[person.kind] for person in people])
    return Material(people, backgrounds, weights / weights.sum())


def clothes_colour(foreground: U8, alpha: U8) -> NDArray[np.float64]:
    """Mean colour of the lowest quarter of the person; grey if it is empty."""
    quarter = foreground.shape[0] * 3 // 4
    inside = alpha[quarter:] > 200
    if not inside.any():
        return np.full(3, 128.0)
    return np.asarray(foreground[quarter:][inside].mean(axis=0), np.float64)


def backdrop(pool: Material, foreground: U8, alpha: U8, rng: np.random.Generator, strength: float = 1.0) -> U8:
    """Draw a backdrop for a person who is already placed in the frame."""
    height, width = alpha.shape
    if rng.random() < 0.38:
        draw = rng.random()
        if draw < 0.35:  # nearly the clothes' colour
            colour = clothes_colour(foreground, alpha) + rng.normal(0, 14, 3)
        elif draw < 0.6:  # ID photos: light, white, grey, blue, red
            choices = ((245, 245, 245), (225, 225, 228), (90, 140, 210), (200, 40, 40), (60, 90, 160))
            colour = np.array(choices[int(rng.integers(0, 5))], np.float64) + rng.normal(0, 8, 3)
        else:
            colour = rng.uniform(0, 255, 3)
        scene = plain_backdrop(width, height, colour, rng)
    else:
        picture = pool.backgrounds[int(rng.integers(0, len(pool.backgrounds)))]
        scene = random_crop(picture, width, height, rng, (1.0, 2.5))
        scene = tone(scene, rng, strength)
        if rng.random() < 0.45:
            sigma = rng.uniform(0.6, 0.025 * width)
            scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), sigma), np.uint8)
    if rng.random() < 0.3:  # the person's shadow on the wall
        sigma = rng.uniform(0.01, 0.06) * width
        shift = np.array(((1, 0, rng.normal(0, 0.05) * width), (0, 1, rng.uniform(0, 0.04) * height)))
        shadow = cv2.warpAffine(alpha, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        shadow = cv2.GaussianBlur(shadow, (0, 0), sigma).astype(np.float32)
        factor = 1.0 - rng.uniform(0.1, 0.55) * shadow / 255.0
        scene = np.asarray(scene * factor[..., None], np.uint8)
    return scene


def like_the_edge(scene: U8, foreground: U8, alpha: U8, rng: np.random.Generator) -> U8:
    """The backdrop relit so that at one place on the person's edge it nearly matches the person's colour there: dark
    hair in front of a dark room, skin in front of a wall of that colour. Unchanged if there is no edge."""
    height, width = alpha.shape
    step = max(min(height, width) // 100, 1)
    small = alpha[::step, ::step]
    rows, columns = np.nonzero((small > 60) & (small < 250))
    if rows.size == 0:
        return scene
    index = int(rng.integers(0, rows.size))
    reach = max(int(rng.uniform(0.03, 0.12) * width / step), 2)
    top, left = max(rows[index] - reach, 0), max(columns[index] - reach, 0)
    window = np.s_[top : rows[index] + reach + 1, left : columns[index] + reach + 1]
    inside = small[window].astype(np.float64) / 255.0
    person = (foreground[::step, ::step][window] * inside[..., None]).sum(axis=(0, 1)) / inside.sum()
    behind = scene[::step, ::step][window].reshape(-1, 3).mean(axis=0)
    gain = ((person + 4.0) / (behind + 4.0)) ** rng.uniform(0.6, 1.0) * np.exp(rng.normal(0.0, 0.1, 3))
    levels = np.arange(256, dtype=np.float64)[:, None] * np.clip(gain, 0.1, 8.0)
    return np.asarray(cv2.LUT(scene, np.clip(levels, 0, 255).astype(np.uint8)[:, None, :]), np.uint8)


def add_bystander(scene: U8, pool: Material, rng: np.random.Generator) -> U8:
    """Add another person, cropped by the edge of the frame or small in the distance, as background."""
    height, width = scene.shape[:2]
    other = pool.people[int(rng.choice(len(pool.people), p=pool.shares))]
    scale = width / other.alpha.shape[1] * rng.uniform(0.35, 0.9)
    side = 1 if rng.random() < 0.5 else -1
    centre = width / 2 + side * width * rng.uniform(0.5, 0.62)
    top = rng.uniform(0.1, 0.6) * height
    top = max(top, height - scale * other.alpha.shape[0])
    matrix = np.array(((scale, 0, centre - scale * other.alpha.shape[1] / 2), (0, scale, top)))
    alpha = warp(other.alpha, matrix, (width, height), cv2.BORDER_CONSTANT)
    foreground = warp(other.foreground, matrix, (width, height), cv2.BORDER_REPLICATE)
    mixed = blend(tone(foreground, rng, 1.0), alpha, scene)
    if rng.random() < 0.6:
        mixed = np.asarray(cv2.GaussianBlur(mixed, (0, 0), rng.uniform(0.8, 4.0)), np.uint8)
    return mixed


def draw_person(pool: Material, rng: np.random.Generator) -> Person:
    return pool.people[int(rng.choice(len(pool.people), p=pool.shares))]


@dataclass(frozen=True)
class Mix:
    """Probabilities of what is drawn into training pictures."""

    photo_share: float
    """Probability that a labelled photo keeps its own backdrop."""
    strand_share: float
    """Probability that hair is drawn."""
    strength: float = 1.0
    """Strength of the random changes of light and colour."""
    as_it_is: float = 0.0
    """Probability that a studio person is not rotated, and is scaled only if shrunk as a photo is, so that resampling
    does not soften the true alpha."""
    hard_share: float = 0.0
    """Probability that a new backdrop matches the person's colour at a place on the edge."""


def compose(
    pool: Material, person: Person, size: tuple[int, int], rng: np.random.Generator, mix: Mix
) -> tuple[U8, U8, U8]:
    """One training picture of ``size`` (width, height): RGB, alpha and weight, all uint8."""
    width, height = size
    full = np.full((height, width), 255, np.uint8)
    if person.photo is not None and rng.random() < mix.photo_share:
        matrix = place_crop((person.alpha.shape[0], person.alpha.shape[1]), width, height, rng)
        rgb = warp(person.photo, matrix, size, cv2.BORDER_REFLECT_101)
        alpha = warp(person.alpha, matrix, size, cv2.BORDER_REFLECT_101)
        weight = full
        if person.weight is not None:
            weight = warp(person.weight, matrix, size, cv2.BORDER_REFLECT_101)
        return spoil(tone(rgb, rng, 0.8 * mix.strength), rng), alpha, weight
    wide = rng.random() < (0.35 if person.photo is not None else 0.12)
    if person.photo is None and rng.random() < mix.as_it_is:
        person = shrunk(person, width, rng)
        matrix = place_as_it_is(person.alpha.shape, width, height, rng)
    else:
        matrix = place_person(person, width, height, rng, wide)
    colours = person.foreground
    if person.shoulders < 0.95 and rng.random() < 0.3:
        bright = rng.random() < 0.6
        colour = rng.uniform(205, 255, 3) if bright else rng.uniform(0, 255, 3)
        if bright and rng.random() < 0.6:
            colour = np.full(3, colour[0])
        colours = recolour_clothes(colours, person.shoulders, colour, rng)
    foreground = tone(warp(colours, matrix, size, cv2.BORDER_REPLICATE), rng, mix.strength)
    alpha = warp(person.alpha, matrix, size, cv2.BORDER_CONSTANT)
    if rng.random() < mix.strand_share:
        foreground, alpha = add_strands(foreground, alpha, rng)
    weight = full
    if person.weight is not None:
        unsure = warp(255 - person.weight, matrix, size, cv2.BORDER_CONSTANT)
        weight = np.asarray(255 - unsure, np.uint8)
    scene = backdrop(pool, foreground, alpha, rng, mix.strength)
    if rng.random() < mix.hard_share:
        scene = like_the_edge(scene, foreground, alpha, rng)
    if rng.random() < 0.07:
        scene = add_bystander(scene, pool, rng)
    if rng.random() < 0.25:  # the person takes on the tint of the scene's light
        tint = scene.reshape(-1, 3).mean(axis=0) / max(float(scene.mean()), 1.0)
        foreground = np.clip(foreground * (0.6 + 0.4 * tint), 0, 255).astype(np.uint8)
    rgb = blend(foreground, alpha, scene)
    return spoil(tone(rgb, rng, 0.4 * mix.strength), rng), alpha, weight


def normalise(rgb: U8) -> F32:
    """(H, W, 3) uint8 to (3, H, W) float32 with ImageNet statistics."""
    return np.ascontiguousarray(((rgb - MEAN) / STD).transpose(2, 0, 1), np.float32)


Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class CoarseBatches(IterableDataset[Batch]):
    """Endless batches (rgb, alpha, weight). All pictures of a batch have one shape, which is chosen at random."""

    def __init__(
        self,
        pool: Material,
        shapes: list[tuple[int, int]],
        batch: int,
        seed: int,
        mix: Mix,
    ) -> None:
        self.pool, self.shapes, self.batch, self.seed, self.mix = pool, shapes, batch, seed, mix

    def sample(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[U8, U8, U8]:
        """One picture of ``size`` (width, height): RGB, alpha and weight."""
        return compose(self.pool, draw_person(self.pool, rng), size, rng, self.mix)

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, info.id if info else 0))
        while True:
            # The first shape is the published one; half of the batches have it.
            first = rng.random() < 0.5 or len(self.shapes) == 1
            index = 0 if first else int(rng.integers(1, len(self.shapes)))
            width, height = self.shapes[index]
            samples = [self.sample((width, height), rng) for _ in range(self.batch)]
            rgb = torch.from_numpy(np.stack([s[0] for s in samples]))
            alpha = torch.from_numpy(np.stack([s[1] for s in samples]))
            weight = torch.from_numpy(np.stack([s[2] for s in samples]))
            yield rgb, alpha, weight
