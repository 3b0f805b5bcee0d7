"""A folder of photos with saved replies, against our answers (or another folder of saved replies)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from idseg.cloud.compare import read
from idseg.cloud.compare.measure import Frame, Pair, difference, face_in, outcome_name, place
from idseg.cloud.compare.read import Refusal, SavedReply, SavedResult
from idseg.cloud.compare.views import View, view
from idseg.errors import IdsegError, InputError, OptionError, PersonError
from idseg.imaging.geometry import iou
from idseg.stages.decode import API_LIMITS, decode
from idseg.types import Rgb

if TYPE_CHECKING:
    from idseg.segmenter import Segmenter

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
Responder: TypeAlias = Callable[[Path], SavedReply]
"""Our answer to a photo."""
FrameChoice: TypeAlias = Literal["auto", "cut", "photo"]

_FRAME_SAMPLE = 12
"""Photos from which the frame of the other side's coordinates is decided."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that was measured in one folder."""

    pairs: tuple[Pair, ...]
    frame: Frame
    frame_source: Literal["told", "measured"]
    unreadable: tuple[str, ...]
    """Files that are no replies, and photos that cannot be opened; one line each."""
    without_reply: int
    """Photos beside which no reply lies."""
    worst: tuple[tuple[str, tuple[View, ...]], ...] = ()
    """(measure, the photos that are worst by it)"""


def photos_with_replies(folder: Path) -> tuple[list[tuple[Path, Path]], int]:
    """(photo, reply) of every ``NAME.jpg`` with a ``NAME.json`` or ``NAME.jpg.json``; and how many photos have none.

    Raises OptionError where the folder has no such pair.
    """
    if not folder.is_dir():
        raise OptionError(f"{folder} is no folder", folder=str(folder))
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    pairs = []
    for photo in photos:
        beside = [
            path for path in (photo.with_suffix(".json"), photo.with_name(photo.name + ".json")) if path.is_file()
        ]
        if beside:
            pairs.append((photo, beside[-1]))
    if not pairs:
        raise OptionError(
            f"{folder} has {len(photos)} photos, none with a saved reply beside it (NAME.jpg and NAME.json)",
            folder=str(folder),
            photos=len(photos),
        )
    return pairs, len(photos) - len(pairs)


def saved_responder(folder: Path) -> Responder:
    """Answers from another folder of saved replies: ``NAME.json`` for every photo called NAME."""

    def respond(photo: Path) -> SavedReply:
        return read.read_file(folder / f"{photo.stem}.json")

    return respond


def own_responder(segmenter: Segmenter) -> Responder:
    """Answers of a :class:`idseg.Segmenter`, as the API would send them."""
    from idseg.cloud import wire
    from idseg.cloud.errors import error_code

    def respond(photo: Path) -> SavedReply:
        try:
            result = segmenter(photo, limits=API_LIMITS)
        except (InputError, PersonError) as error:
            return Refusal(error_code(error), error.message, error.reason)
        return read.parse(wire.render(result, 0))

    return respond


def compare(
    folder: Path,
    respond: Responder,
    *,
    frame: FrameChoice = "auto",
    worst: int = 6,
    progress: Callable[[Iterable[tuple[Path, Path]]], Iterable[tuple[Path, Path]]] = iter,
) -> Comparison:
    """Compare every photo of a folder that has a saved reply.

    Args:
        folder: photos and replies, as :func:`photos_with_replies` finds them.
        respond: our side.
        frame: which picture their box and points are measured in; ``auto``: the one in which their face boxes fit ours.
        worst: how many pictures to keep of each kind of worst cases.
        progress: wraps the list of photos (a progress bar).
    """
    found, without = photos_with_replies(folder)
    unreadable: list[str] = []
    chosen: Frame = _frame(found, respond) if frame == "auto" else frame
    pairs: list[Pair] = []
    keep = _Worst(worst)
    for photo, reply in progress(found):
        try:
            theirs = read.read_file(reply)
            ours = respond(photo)
            pair, looked = _one(photo, ours, theirs, chosen)
        except IdsegError as error:
            unreadable.append(str(error))
            continue
        pairs.append(pair)
        if looked is not None:
            keep.offer(pair, looked)
    return Comparison(
        pairs=tuple(pairs),
        frame=chosen,
        frame_source="measured" if frame == "auto" else "told",
        unreadable=tuple(unreadable),
        without_reply=without,
        worst=keep.taken(),
    )


def _one(photo: Path, ours: SavedReply, theirs: SavedReply, frame: Frame) -> tuple[Pair, View | None]:
    pair = Pair(photo.name, outcome_name(ours), outcome_name(theirs), None)
    if not isinstance(ours, SavedResult) or not isinstance(theirs, SavedResult):
        return pair, None
    rgb = decode(photo).rgb
    measured = difference(rgb, ours, theirs, frame)
    return replace(pair, difference=measured, notes=theirs.notes), view(photo.name, rgb, ours, theirs, measured)


def _frame(found: list[tuple[Path, Path]], respond: Responder) -> Frame:
    """The frame in which their face boxes overlap ours more; ``cut`` where nothing tells and for idseg's replies."""
    overlap = {"cut": 0.0, "photo": 0.0}
    for rgb, ours, theirs in _sample(found, respond):
        if theirs.window is not None:
            return "cut"  # only idseg's replies have cut_location, and their coordinates are the cut's
        place_ours, place_theirs = place(rgb, ours), place(rgb, theirs)
        mine = face_in(ours, place_ours, "cut")
        for frame in ("cut", "photo"):
            box = face_in(theirs, place_theirs, frame)
            if mine is not None and box is not None:
                overlap[frame] += iou(mine, box)
    return "photo" if overlap["photo"] > overlap["cut"] else "cut"


def _sample(found: list[tuple[Path, Path]], respond: Responder) -> Iterator[tuple[Rgb, SavedResult, SavedResult]]:
    for photo, reply in found[:: max(1, len(found) // _FRAME_SAMPLE)][:_FRAME_SAMPLE]:
        try:
            theirs = read.read_file(reply)
            ours = respond(photo)
            if isinstance(ours, SavedResult) and isinstance(theirs, SavedResult):
                yield decode(photo).rgb, ours, theirs
        except IdsegError:
            continue  # told by the real run


def _badness(pair: Pair) -> dict[str, float]:
    """How bad a photo is by each measure; more is worse."""
    found = pair.difference
    if found is None:
        return {}
    scores: dict[str, float] = {}
    if found.matte is not None:
        scores["matte"] = found.matte.errors.mad
    if found.window_iou is not None:
        scores["window"] = 1 - found.window_iou
    if found.parts:
        scores["body parts"] = max(shift.share for shift in found.parts.values())
    poses = [pose for pose in (found.facepose, found.bodypose) if pose is not None]
    if any(a != b for a, b in poses):
        scores["classes"] = float(sum(a != b for a, b in poses))
    return {kind: score for kind, score in scores.items() if score > 0}


class _Worst:
    """The worst few photos by each measure; the other pictures are let go at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heaps: dict[str, list[tuple[float, str, View]]] = {}

    def offer(self, pair: Pair, looked: View) -> None:
        for kind, score in _badness(pair).items():
            heap = self._heaps.setdefault(kind, [])
            heapq.heappush(heap, (score, pair.name, looked))
            if len(heap) > self._most:
                heapq.heappop(heap)

    def taken(self) -> tuple[tuple[str, tuple[View, ...]], ...]:
        kinds = [kind for kind in ("matte", "window", "body parts", "classes") if self._heaps.get(kind)]
        return tuple(
            (kind, tuple(item[2] for item in sorted(self._heaps[kind], key=lambda item: (-item[0], item[1]))))
            for kind in kinds
        )
