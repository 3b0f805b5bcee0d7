"""The published example's points (the API page), as an anchor."""

from idseg.types import BodyParts, Box, Point

FACE_BOX = Box(80, 116, 173, 226)
PARTS = BodyParts(
    left_ear=Point(80, 202, 0.8760631),
    right_ear=Point(252, 206, 0.64241165),
    left_eye=Point(125, 214, 0.95858794),
    right_eye=Point(199, 216, 0.9648065),
    nose_tip=Point(160, 265, 0.88654065),
    left_mouth=Point(135, 300, 0.92905945),
    right_mouth=Point(189, 301, 0.96665746),
    right_shoulder=Point(344, 432, 0.25711855),
    left_shoulder=Point(10, 431, 0.4777191),
    neck=Point(173, 369, 0.7303297),
)
