"""Takes good portraits and makes each break one rule, which the checks must notice.

Every function takes a portrait with a known face and returns pixels and matte with one realistic fault: the head turned
(the face mesh is rotated in 3-D and the pixels are warped with it), closed eyelids, a lamp's reflection in the glasses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from idseg.check.face import FACE_EYES_PX
from idseg.check.measures import eyes_apart_px
from idseg.photo.turn import shoulder_slope
from idseg.types import Alpha, Person, Points, Rgb, Window

_EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
)  # upper and lower lid of the picture's left and right eye, outer to inner corner
_INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
_JAW = (17, 18, 200, 199, 175, 152, 148, 176, 377, 400, 14, 87, 317, 178, 402, 84, 314, 83, 313, 82, 312)
_LOWER = frozenset(_JAW) - {82, 312, 83, 313}


@dataclass(frozen=True, slots=True)
class Portrait:
    """A portrait with known matte and face."""

    rgb: Rgb
    alpha: Alpha
    person: Person

    @property
    def points(self) -> Points:
        """The face mesh, (468, 3), px."""
        assert self.person.mesh is not None
        return self.person.mesh.points

    @property
    def unit(self) -> float:
        """Distance between the eyes, px."""
        assert self.person.mesh is not None
        return eyes_apart_px(self.person.mesh)


Spoiled: TypeAlias = tuple[Rgb, Alpha]


def rolled(portrait: Portrait) -> Spoiled:
    """Turn the photo by 14 degrees about the face."""
    x, y = portrait.person.face_box.center
    return _warped(portrait, np.asarray(cv2.getRotationMatrix2D((x, y), -14, 1.0), dtype=np.float64))


def looking_aside(portrait: Portrait) -> Spoiled:
    """Turn the head by 20 degrees to the picture's right."""
    return _turned(portrait, yaw_deg=20 if portrait.person.head.yaw_deg >= 0 else -20)


def looking_up_or_down(portrait: Portrait) -> Spoiled:
    """Turn the head up or down by 20 degrees."""
    return _turned(portrait, pitch_deg=20 if portrait.person.head.pitch_deg >= 0 else -20)


def crooked(portrait: Portrait) -> Spoiled:
    """Shear everything below the mouth by 14 degrees, in the direction in which the shoulders already slope."""
    mouth, chin = portrait.points[14], portrait.points[152]
    whole = Window(0, 0, portrait.rgb.shape[1], portrait.rgb.shape[0])
    slope = shoulder_slope(portrait.alpha, whole, portrait.person.face_box)
    way = -1.0 if slope is not None and slope.deg < 0 else 1.0
    rows, columns = np.indices(portrait.alpha.shape, dtype=np.float32)
    share = np.clip((rows - float(mouth[1])) / (0.6 * portrait.unit), 0, 1)
    shift = way * share * math.tan(math.radians(14)) * (columns - float(chin[0]))
    return _sampled(portrait, np.asarray(columns), np.asarray(rows - shift, dtype=np.float32))


def without_shoulders(portrait: Portrait) -> Spoiled:
    """Crop a little below the chin and beside the face."""
    box = portrait.person.face_box
    margin = 0.12 * box.width
    left, right = max(0, int(box.left - margin)), min(portrait.rgb.shape[1], int(box.right + margin))
    bottom = min(portrait.rgb.shape[0], int(box.bottom + 0.15 * box.height))
    return _part(portrait, slice(0, bottom), slice(left, right))


def without_crown(portrait: Portrait) -> Spoiled:
    """Crop through the forehead."""
    top = int(portrait.person.face_box.top + 0.05 * portrait.person.face_box.height)
    return _part(portrait, slice(max(0, top), None), slice(None))


def head_cut(side: str, share: float) -> Callable[[Portrait], Spoiled]:
    """Return a spoiler that crops ``share`` of the head's height or width (hair included) at one side."""

    def cut(portrait: Portrait) -> Spoiled:
        person = portrait.alpha >= 0.5
        chin, mouth = round(float(portrait.points[152, 1])), round(float(portrait.points[14, 1]))
        top = int(np.flatnonzero(person.sum(axis=1) >= _HEAD_PX)[0])
        columns = np.flatnonzero(person[:mouth].sum(axis=0) >= _HEAD_PX)
        left, right = int(columns[0]), int(columns[-1]) + 1
        high, wide = round(share * (chin - top)), round(share * (right - left))
        rows, across = slice(None), slice(None)
        if side == "top":
            rows = slice(top + high, None)
        elif side == "bottom":
            rows = slice(None, chin - high)
        elif side == "left":
            across = slice(left + wide, None)
        else:
            across = slice(None, right - wide)
        return _part(portrait, rows, across)

    return cut


_HEAD_PX = 4
"""Fewer person pixels in a row or column do not count as head: they are single hairs."""
_CUTS = tuple(head_cut(side, share) for side in ("top", "bottom", "left", "right") for share in (0.02, 0.05, 0.1, 0.2))


def smiling(portrait: Portrait) -> Spoiled:
    """Draw the corners of the mouth outwards and upwards by a sixth of its width, lips and cheeks along with them; the
    lips stay closed."""
    points = portrait.points[:, :2]
    wide = float(np.linalg.norm(points[61] - points[291]))
    target = points.copy()
    for corner, way in ((61, -1), (291, 1)):
        apart = np.linalg.norm(points - points[corner], axis=1) / (0.4 * wide)
        target += np.exp(-(apart**2))[:, None] * np.array([way, -1]) * wide / 6
    return _drawn_along(portrait, points[::2], target[::2])


def eyes_shut(portrait: Portrait) -> Spoiled:
    """Cover each eye with the skin below it, and draw a line of lashes."""
    rgb = portrait.rgb.copy()
    for upper, lower in _EYES:
        top, bottom = portrait.points[list(upper), :2], portrait.points[list(lower), :2]
        high = float(np.linalg.norm(top - bottom, axis=1).max())
        lid = 0.95 * _patch(portrait.rgb, _lower(bottom, 1.2 * high + 3).mean(axis=0))  # the skin below the eye
        opening = np.concatenate((_lower(top, -0.25 * high), _lower(bottom[::-1], 0.15 * high)))
        mask = np.zeros(portrait.alpha.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(opening).astype(np.int32)], 255)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.8, 0.12 * high)).astype(np.float32)[..., None] / 255
        rgb = _mixed(rgb, lid, soft)
        line = np.zeros(portrait.alpha.shape, np.uint8)
        lashes = [np.rint(_lower(bottom, 0.1 * high)).astype(np.int32)]
        cv2.polylines(line, lashes, False, 255, max(1, round(0.035 * portrait.unit)), cv2.LINE_AA)
        rgb = _mixed(
            rgb, np.array([35.0, 25, 22]), cv2.GaussianBlur(line, (0, 0), 0.7).astype(np.float32)[..., None] / 255
        )
    return rgb, portrait.alpha


def mouth_agape(portrait: Portrait) -> Spoiled:
    """Lower the jaw by a third of the mouth's width and darken the space between the lips."""
    points = portrait.points[:, :2]
    drop = np.linalg.norm(points[61] - points[291]) * 0.36
    target = points.copy()
    for index in _LOWER:
        target[index, 1] += drop
    anchors = [index for index in range(0, 468, 3) if index not in _JAW]
    chosen = [*anchors, *_JAW]
    rgb, alpha = _drawn_along(portrait, points[chosen], target[chosen])
    dark = np.zeros(alpha.shape, np.uint8)
    cv2.fillPoly(dark, [np.rint(target[list(_INNER_LIPS)]).astype(np.int32)], 255)
    soft = cv2.GaussianBlur(dark, (0, 0), 1.2).astype(np.float32)[..., None] / 255
    return _mixed(rgb, np.array([40.0, 15, 18]), soft), alpha


def dark_glasses(portrait: Portrait) -> Spoiled:
    """Draw black glasses over both eyes."""
    return _painted(portrait, 0.33, 0.26, (22, 22, 26)), portrait.alpha


def hair_across(portrait: Portrait) -> Spoiled:
    """Draw a dark strand of hair over one eye."""
    rgb = portrait.rgb.copy()
    eye = portrait.points[[33, 133], :2].mean(axis=0)
    unit = portrait.unit
    ends = eye + unit * np.array([[-0.25, -0.9], [0.18, 0.9]])
    first, second = ((round(float(x)), round(float(y))) for x, y in ends)
    cv2.line(rgb, first, second, (38, 28, 24), max(2, round(0.5 * unit)), cv2.LINE_AA)
    return rgb, portrait.alpha


def lamp_in_glasses(portrait: Portrait) -> Spoiled:
    """Draw a white spot beside each pupil."""
    rgb = portrait.rgb.copy()
    for corners in ((33, 133), (362, 263)):
        eye = portrait.points[list(corners), :2].mean(axis=0)
        at = round(float(eye[0] + 0.09 * portrait.unit)), round(float(eye[1] + 0.07 * portrait.unit))
        cv2.ellipse(
            rgb,
            at,
            (round(0.1 * portrait.unit), round(0.07 * portrait.unit)),
            20,
            0,
            360,
            (252, 252, 250),
            -1,
            cv2.LINE_AA,
        )
    return rgb, portrait.alpha


def blurred(portrait: Portrait) -> Spoiled:
    """Blur with 2.5 px where the eyes are 90 px apart."""
    return np.asarray(
        cv2.GaussianBlur(portrait.rgb, (0, 0), 2.5 * portrait.unit / FACE_EYES_PX), dtype=np.uint8
    ), portrait.alpha


def flat(portrait: Portrait) -> Spoiled:
    """Reduce the contrast to a quarter."""
    return _toned(portrait, lambda values: 110 + 0.28 * (values - 110))


def burnt(portrait: Portrait) -> Spoiled:
    """Overexpose by two and a half stops."""
    return _toned(portrait, lambda values: values * 2.6 + 30)


def drowned(portrait: Portrait) -> Spoiled:
    """Make the photo nearly black."""
    return _toned(portrait, lambda values: values * 0.06)


def lit_from_one_side(portrait: Portrait) -> Spoiled:
    """Keep the light on the left cheek and reduce it to a fifth on the right one."""
    box = portrait.person.face_box
    columns = np.arange(portrait.rgb.shape[1], dtype=np.float32)
    share = np.clip((columns - box.left - 0.2 * box.width) / (0.6 * box.width), 0, 1)
    return _toned(portrait, lambda values: values * (1 - 0.8 * share)[None, :, None])


def few_pixels(portrait: Portrait) -> Spoiled:
    """Shrink the photo until the eyes are 45 px apart."""
    factor = 45 / portrait.unit
    rgb = cv2.resize(portrait.rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(portrait.alpha, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(rgb, dtype=np.uint8), np.asarray(alpha, dtype=np.float32)


def busy_wall(portrait: Portrait) -> Spoiled:
    """Put a tiled wall with a shadow behind the person."""
    rows, columns = np.indices(portrait.alpha.shape)
    side = max(8, round(0.6 * portrait.unit))
    tiles = np.where((rows // side + columns // side) % 2 == 0, 215.0, 165.0)[..., None] * np.array([1.0, 0.97, 0.9])
    return _mixed(portrait.rgb, tiles, 1 - portrait.alpha[..., None]), portrait.alpha


def hat(portrait: Portrait) -> Spoiled:
    """Draw a knitted cap down to the forehead."""
    box = portrait.person.face_box
    rgb, mask = portrait.rgb.copy(), np.zeros(portrait.alpha.shape, np.uint8)
    at = round(box.center[0]), round(box.top + 0.1 * box.height)
    cv2.ellipse(mask, at, (round(0.62 * box.width), round(0.5 * box.height)), 0, 180, 360, 255, -1)
    rgb[mask > 0] = (70, 75, 80)
    return rgb, np.maximum(portrait.alpha, mask.astype(np.float32) / 255)


SPOILERS: Mapping[str, tuple[Callable[[Portrait], Spoiled], ...]] = {
    "roll": (rolled,),
    "yaw": (looking_aside,),
    "pitch": (looking_up_or_down,),
    "shoulders_level": (crooked,),
    "shoulders_inside": (without_shoulders,),
    "head_inside": (without_crown, *_CUTS),
    "eyes_open": (eyes_shut,),
    "mouth_closed": (mouth_agape,),
    "no_smile": (smiling,),
    "eyes_clear": (dark_glasses, hair_across),
    "no_glare": (lamp_in_glasses,),
    "sharp": (blurred,),
    "contrast": (flat,),
    "not_burnt": (burnt,),
    "not_dark": (drowned,),
    "even_light": (lit_from_one_side,),
    "resolution": (few_pixels,),
    "enough_pixels": (few_pixels,),
    "background_even": (busy_wall,),
    "head_uncovered": (hat,),
}
"""The spoilers that break each rule."""


def _turned(portrait: Portrait, yaw_deg: float = 0.0, pitch_deg: float = 0.0) -> Spoiled:
    """Rotate the mesh about the centre of the head (one face width behind the nose) and warp the pixels with it."""
    points = portrait.points
    center = points.mean(axis=0) + np.array([0, 0, 0.5 * portrait.unit])
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    about_y = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
    target = (points - center) @ (about_y @ about_x).T + center
    return _drawn_along(portrait, points[::3, :2], target[::3, :2])


def _drawn_along(portrait: Portrait, source: Points, target: Points) -> Spoiled:
    """Warp the picture smoothly so that ``source`` moves to ``target``; pixels far from the face do not move."""
    from scipy.interpolate import RBFInterpolator

    height, width = portrait.alpha.shape
    box = portrait.person.face_box
    around = [
        (box.center[0] + 1.3 * box.width * math.cos(angle), box.center[1] + 1.1 * box.height * math.sin(angle))
        for angle in np.linspace(0, 2 * math.pi, 24, endpoint=False)
    ]
    edge = [
        (x, y)
        for x in np.linspace(0, width, 6)
        for y in np.linspace(0, height, 6)
        if x in (0, width) or y in (0, height)
    ]
    fixed = np.array([*around, *edge])
    known = np.concatenate((target, fixed))
    shift = np.concatenate((source - target, np.zeros_like(fixed)))
    bend = RBFInterpolator(known, shift, smoothing=2.0, kernel="thin_plate_spline", neighbors=80)
    rows, columns = np.mgrid[0:height:72j, 0:width:72j]
    grid = bend(np.stack((columns.ravel(), rows.ravel()), axis=1)).reshape(*columns.shape, 2)
    full = cv2.resize(grid.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    ys, xs = np.indices((height, width), dtype=np.float32)
    return _sampled(portrait, xs + full[..., 0], ys + full[..., 1])


def _sampled(portrait: Portrait, columns: npt.NDArray[np.float32], rows: npt.NDArray[np.float32]) -> Spoiled:
    columns, rows = np.asarray(columns, dtype=np.float32), np.asarray(rows, dtype=np.float32)
    rgb = cv2.remap(portrait.rgb, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.remap(portrait.alpha, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(rgb, dtype=np.uint8), np.asarray(alpha, dtype=np.float32)


def _warped(portrait: Portrait, matrix: npt.NDArray[np.float64]) -> Spoiled:
    size = portrait.rgb.shape[1], portrait.rgb.shape[0]
    rgb = cv2.warpAffine(portrait.rgb, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(portrait.alpha, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(rgb, dtype=np.uint8), np.asarray(alpha, dtype=np.float32)


def _part(portrait: Portrait, rows: slice, columns: slice) -> Spoiled:
    return np.ascontiguousarray(portrait.rgb[rows, columns]), np.ascontiguousarray(portrait.alpha[rows, columns])


def _painted(portrait: Portrait, across: float, down: float, color: tuple[int, int, int]) -> Rgb:
    """Draw an ellipse over each eye and a bridge between them; half axes in units of the eyes' distance."""
    rgb = portrait.rgb.copy()
    middles = [portrait.points[list(corners), :2].mean(axis=0) for corners in ((33, 133), (362, 263))]
    for middle in middles:
        at = round(float(middle[0])), round(float(middle[1]) + round(0.06 * portrait.unit))
        cv2.ellipse(
            rgb, at, (round(across * portrait.unit), round(down * portrait.unit)), 0, 0, 360, color, -1, cv2.LINE_AA
        )
    first, second = ((round(float(x)), round(float(y))) for x, y in middles)
    cv2.line(rgb, first, second, color, max(2, round(0.06 * portrait.unit)), cv2.LINE_AA)
    return rgb


def _lower(points: Points, by: float) -> Points:
    """The points moved down by ``by`` pixels."""
    moved: Points = points + np.array([0.0, by])
    return moved


def _patch(rgb: Rgb, at: Points) -> npt.NDArray[np.float64]:
    """Median colour of a small patch."""
    x, y = (int(value) for value in at)
    return np.asarray(np.median(rgb[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].reshape(-1, 3), axis=0))


def _mixed(rgb: Rgb, color: npt.NDArray[np.float64], share: npt.NDArray[np.floating]) -> Rgb:
    return np.asarray(np.clip(rgb * (1 - share) + color * share, 0, 255), dtype=np.uint8)


def _toned(portrait: Portrait, tone: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]) -> Spoiled:
    return np.asarray(np.clip(tone(portrait.rgb.astype(np.float32)), 0, 255), dtype=np.uint8), portrait.alpha
