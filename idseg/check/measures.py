"""Measures eyelids, lips, light, blur, glare and cover of a face. Pure functions of pixels and the face mesh.

Geometry is measured on the mesh. Colours are measured in an upright copy of the face at a fixed size, so that a number
means the same in every photo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from idseg.check.face import LUMA, OVAL, Face, Floats, disc, disc_median, lab, luma, polygon, skin_colors, to_lab
from idseg.imaging.resize import reduced, resize
from idseg.types import Alpha, FaceMesh, Rgb, Size

# Face mesh indices (MediaPipe's canonical face model); "left" is the picture's.
_EYES = (FaceMesh.LEFT_EYE, FaceMesh.RIGHT_EYE)
_UPPER_LIP, _LOWER_LIP = (81, 13, 311), (178, 14, 402)  # inner edges of the lips
_MOUTH_CORNERS = (61, 291)
_LIPS = (13, 14)  # the midpoints of both inner edges
_LEFT_CHEEK, _RIGHT_CHEEK, _FOREHEAD, _CHIN = 50, 280, 151, 199
_LEFT_SOCKET = (226, 247, 30, 29, 27, 28, 56, 190, 245, 128, 121, 120, 119, 118, 117, 111, 143)
_RIGHT_SOCKET = (446, 467, 260, 259, 257, 258, 286, 414, 465, 357, 350, 349, 348, 347, 346, 340, 372)
_LEFT_OPENING = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
_RIGHT_OPENING = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)


def lids_below(face: Face) -> tuple[float, float]:
    """How far the dark part of the (left, right) eye lies below the line through the eye's corners, in eye widths.

    In an open eye, the iris and pupil are dark, above that line; in a closed eye, only the lashes are, below it.
    Measured in the middle third of the eye's width; 0 if nothing is dark.
    """
    left, right = (_dark_middle(_eye(face, corners)) for corners in _EYES)
    return left, right


def eyes_shut(face: Face) -> float:
    """How closed both eyes look, in eye widths: :func:`lids_below`, and more if no white is visible beside the iris."""
    white = float(np.mean([_white_beside(_eye(face, corners)) for corners in _EYES]))
    low, high = _WHITE_RANGE
    return float(np.mean(lids_below(face))) + _WHITE_WEIGHT * (_WHITE_SEEN - min(max(white, low), high))


def smile(mesh: FaceMesh, roll_deg: float) -> float:
    """Spread of the lips, height of their corners and visible teeth: the mouth's width over the distance between the
    eyes, plus the corners' height above the lips' middle and the gap between the lips, both over the mouth's width."""
    turn = math.radians(roll_deg)
    points = mesh.points[:, :2] @ np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    width = max(float(np.linalg.norm(points[_MOUTH_CORNERS[0]] - points[_MOUTH_CORNERS[1]])), 1e-6)
    raised = float(points[list(_LIPS), 1].mean() - points[list(_MOUTH_CORNERS), 1].mean()) / width
    return width / max(eyes_apart_px(mesh), 1e-6) + raised + mouth_gap(mesh)


def mouth_gap(mesh: FaceMesh) -> float:
    """Gap between the inner edges of the lips over the mouth's width; 0 for a closed mouth."""
    points = mesh.points
    gap = np.linalg.norm(points[list(_UPPER_LIP)] - points[list(_LOWER_LIP)], axis=1).mean()
    return float(gap / max(float(np.linalg.norm(points[_MOUTH_CORNERS[0]] - points[_MOUTH_CORNERS[1]])), 1e-6))


def eyes_apart_px(mesh: FaceMesh) -> float:
    """Distance between the eyes' centres in the photo, px (ISO/IEC 19794-5 inter-eye distance)."""
    points = mesh.points[:, :2]
    return float(
        np.hypot(*(points[list(FaceMesh.RIGHT_EYE)].mean(axis=0) - points[list(FaceMesh.LEFT_EYE)].mean(axis=0)))
    )


def edge_px(face: Face) -> float:
    """Blur of the sharper eye, in pixels of the copy: sigma of the Gaussian that turns a step into the eye's steepest
    edge (a step of height h blurred by s rises by at most h / (s sqrt(2 pi)) per pixel)."""
    grey = luma(face.rgb)
    rise = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8))
    widths = []
    for first, second in _EYES:
        (x, y), width = (
            (face.points[first] + face.points[second]) / 2,
            np.hypot(*(face.points[first] - face.points[second])),
        )
        rows = slice(max(0, int(y - 0.5 * width)), max(1, int(y + 0.4 * width)))
        columns = slice(max(0, int(x - 0.7 * width)), max(1, int(x + 0.7 * width)))
        part = grey[rows, columns]
        if part.size:
            low, high = np.percentile(part, (2, 98))
            steepest = max(float(np.percentile(rise[rows, columns], 99)), 0.1)
            widths.append(float(high - low) / (math.sqrt(2 * math.pi) * steepest))
    return min(widths, default=math.inf)


def tones(face: Face) -> tuple[float, float, float]:
    """(brightness levels between the 2nd and the 98th percentile, overexposed share, underexposed share) inside the
    face's outline.

    Overexposed: the brightest channel is 253 or more and the darkest 230 or more. Underexposed: the brightest channel
    is 12 or less.
    """
    inside = polygon(face, OVAL)
    pixels = face.rgb[inside].astype(np.int16)
    low, high = np.percentile(luma(face.rgb)[inside], (2, 98))
    burnt = (pixels.max(axis=1) >= 253) & (pixels.min(axis=1) >= 230)
    drowned = pixels.max(axis=1) <= 12
    return float(high - low), float(burnt.mean()), float(drowned.mean())


def light_ratio(face: Face) -> float:
    """Mean brightness of the darkest zone over that of the brightest (ICAO: both cheeks, forehead, chin), 0..1.

    A forehead under a fringe or a chin under a beard is left out: its colour differs from both cheeks, or it is not
    smooth.
    """
    cheeks = np.array([disc_median(face, index, 0.2) for index in (_LEFT_CHEEK, _RIGHT_CHEEK)])
    zones = [float(cheek @ LUMA) for cheek in cheeks]
    skin = to_lab(cheeks)
    for index, radius in ((_FOREHEAD, 0.16), (_CHIN, 0.10)):
        median = disc_median(face, index, radius)
        apart = np.hypot(*(skin[:, 1:] - to_lab(median[None])[0, 1:]).T)
        if apart.min() <= _SAME_SKIN_CHROMA and _smooth(face, index, radius):
            zones.append(float(median @ LUMA))
    return min(zones) / max(*zones, 1.0)


def glare(face: Face) -> float:
    """Share of the eye sockets covered by a white spot with an edge, which is a lamp's reflection in glasses. Bright
    skin has no edge and does not count."""
    sockets = polygon(face, _LEFT_SOCKET) | polygon(face, _RIGHT_SOCKET)
    darkest = face.rgb.min(axis=2)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_GLARE_PX, _GLARE_PX))
    stands_out = cv2.morphologyEx(darkest, cv2.MORPH_TOPHAT, kernel)
    spot = (darkest >= 215) & (stands_out >= 70) & sockets
    return float(spot.sum() / max(int(sockets.sum()), 1))


def covered_eyes(face: Face) -> tuple[float, float]:
    """Share of the surroundings of the (left, right) eye that does not have the face's skin colour, 0..1: hair, frames,
    dark glasses.

    The opening of the eye does not count.
    """
    colors = lab(face.rgb)
    shares = []
    skin = skin_colors(face)
    for socket, opening in ((_LEFT_SOCKET, _LEFT_OPENING), (_RIGHT_SOCKET, _RIGHT_OPENING)):
        opened = cv2.dilate(polygon(face, opening).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.bool_)
        around = polygon(face, socket) & ~opened
        apart = np.min([np.linalg.norm(colors[around] - color, axis=1) for color in skin], axis=0)
        shares.append(float((apart > _NOT_SKIN).mean()) if around.any() else 0.0)
    return shares[0], shares[1]


def background_spread(rgb: Rgb, alpha: Alpha) -> float | None:
    """Unevenness of the background: root mean square distance from its median colour in CIELAB; None if too little is
    visible.

    Args:
        rgb: the photo under the matte.
        alpha: the matte. Background is where it is below 0.02, except within ten pixels of larger values.
    """
    colors = _wall(rgb, alpha)
    if colors is None:
        return None
    return float(np.sqrt(((colors - np.median(colors, axis=0)) ** 2).sum(axis=1).mean()))


def background_lab(rgb: Rgb, alpha: Alpha) -> npt.NDArray[np.float64] | None:
    """Median colour of the background in CIELAB (3,); None if too little is visible. Same arguments as
    :func:`background_spread`."""
    colors = _wall(rgb, alpha)
    return None if colors is None else np.asarray(np.median(colors, axis=0), dtype=np.float64)


def apart(
    found_lab: npt.NDArray[np.float64], allowed: Sequence[tuple[int, int, int]], *, any_light: bool = False
) -> float:
    """Distance of a colour from the nearest allowed one, CIELAB (CIE 1976).

    Args:
        found_lab: (3,).
        allowed: sRGB colours, at least one.
        any_light: also allow any pale colour, that is, lightness and chroma within ``_PALE``.
    """
    near = np.linalg.norm(to_lab(np.array(allowed, dtype=np.float64)) - found_lab, axis=1).min()
    if not any_light:
        return float(near)
    light, chroma = float(found_lab[0]), float(np.hypot(*found_lab[1:]))
    return min(float(near), math.hypot(max(_PALE[0] - light, 0.0), max(chroma - _PALE[1], 0.0)))


_PALE = (75.0, 20.0)
"""Minimum lightness and maximum chroma of a pale colour."""


def _wall(rgb: Rgb, alpha: Alpha) -> Floats | None:
    """CIELAB colours (N, 3) of the background in a reduced copy; None if it is less than 3 % of the picture."""
    small, _ = reduced(rgb, 400)
    free = resize(alpha, Size(small.shape[1], small.shape[0])) < 0.02
    free = cv2.erode(free.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(np.bool_)
    if free.mean() < 0.03:
        return None
    return np.asarray(lab(np.asarray(small, dtype=np.uint8))[free], dtype=np.float32)


_WHITE_SEEN, _WHITE_RANGE, _WHITE_WEIGHT = 0.07, (-0.05, 0.15), 1.5
"""White beside the iris in an open eye, as a share of the skin's brightness; the range that counts; its weight relative
to the eyelids. Nearly all open eyes have .065 or more; painted and shut ones have .023 or less."""
_NOT_SKIN = 20.0
"""CIELAB distance from all skin spots of the face above which a pixel is not skin. Wrinkles and shade stay below; the
value separates dark glasses from other faces best."""
_GLARE_PX = 27
"""Maximum size of a lamp's reflection, px: 0.3 of the distance between the eyes."""
_SAME_SKIN_CHROMA = 12.0
"""Maximum distance in a*, b* of a zone with the cheeks' colour."""


def _eye(face: Face, corners: tuple[int, int]) -> Floats:
    """Brightness of one eye, with its corners level and 48 px apart, centred in a 64 x 48 picture."""
    first, second = face.points[corners[0]], face.points[corners[1]]
    width = max(float(np.hypot(*(second - first))), 1.0)
    turn = (
        48
        / width**2
        * np.array([[second[0] - first[0], second[1] - first[1]], [first[1] - second[1], second[0] - first[0]]])
    )
    shift = np.array([32.0, 24.0]) - turn @ ((first + second) / 2)
    matrix = np.column_stack((turn, shift))
    matrix[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    eye = cv2.warpAffine(face.rgb, matrix, (64, 48), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(luma(np.asarray(eye, dtype=np.uint8)), (3, 3), 0), dtype=np.float32)


def _dark_middle(eye: Floats) -> float:
    skin = float(np.percentile(eye[36:46, 8:56], 60))  # below the eye
    darkest = float(np.percentile(eye[8:40, 8:56], 1))
    if skin - darkest < 8:
        return 0.0
    dark = np.clip((skin - eye[12:40, 24:40]) / (skin - darkest), 0, 1) ** 2
    total = float(dark.sum())
    below = np.arange(12, 40) + 0.5 - 24
    return float((dark.sum(axis=1) @ below) / total / 48) if total > 0 else 0.0


def _white_beside(eye: Floats) -> float:
    """Brightness of both sides of the eye minus that of its middle, along the line of its corners and above it, as a
    share of the brightness of the skin below. An iris lies between two whites; an eyelid is uniform."""
    along = cv2.GaussianBlur(eye[15:25, 8:56].mean(axis=0)[None], (0, 0), 1.5)[0]
    white = min(float(along[4:16].max()), float(along[32:44].max()))
    return (white - float(along[16:32].min())) / max(float(np.percentile(eye[36:46, 8:56], 60)), _LEAST_LUMA)


_LEAST_LUMA = 30.0
"""Minimum brightness of the skin (0..255) in that division, for faces in the dark."""


def _smooth(face: Face, index: int, radius: float) -> bool:
    """Whether a zone is a uniform surface, without strands of hair."""
    values = luma(face.rgb)[disc(face, index, radius)]
    return bool(values.size and values.std() <= _SMOOTH_STD)


_SMOOTH_STD = 14.0
"""Maximum standard deviation of brightness (0..255) in a zone of plain skin."""
