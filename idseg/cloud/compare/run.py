"""Compares a folder of photos and saved replies with idseg's answers, or with another folder of saved replies."""

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
"""Returns our side's answer to a photo."""
FrameChoice: TypeAlias = Literal["auto", "cut", "photo"]

_FRAME_SAMPLE = 12
"""Number of photos that decide which frame the other side's coordinates use."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All measurements of one folder."""

    pairs: tuple[Pair, ...]
    frame: Frame
    frame_source: Literal["told", "measured"]
    unreadable: tuple[str, ...]
    """Files that are not replies, and photos that cannot be opened; one line each."""
    without_reply: int
    """Number of photos without a reply."""
    worst: tuple[tuple[str, tuple[View, ...]], ...] = ()
    """(measure, the photos with its worst values)"""


def photos_with_replies(folder: Path) -> tuple[list[tuple[Path, Path]], int]:
    """(photo, reply) of every ``NAME.jpg`` with a ``NAME.json`` or ``NAME.jpg.json``, and the number of other photos.

    Raises OptionError if the folder has no such pair.
    """
    if not folder.is_dir():
        raise OptionError(f"{folder} is not a folder", folder=str(folder))
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
    """Answer from another folder of saved replies: ``NAME.json`` for every photo called NAME."""

    def respond(photo: Path) -> SavedReply:
        return read.read_file(folder / f"{photo.stem}.json")

    return respond


def own_responder(segmenter: Segmenter) -> Responder:
    """Answer with a :class:`idseg.Segmenter`, in the API's form."""
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
        folder: folder of photos and replies; see :func:`photos_with_replies`.
        respond: our side's answers.
        frame: the picture to which their box and points refer. ``auto`` chooses the frame in which their face boxes
            fit ours.
        worst: number of pictures to keep for each kind of worst case.
        progress: wraps the list of photos, for a progress bar.
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
    """The frame in which their face boxes overlap ours more. ``cut`` for idseg's replies and if nothing decides."""
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
            continue  # compare() reports it


def _severities(pair: Pair) -> dict[str, float]:
    """A value for each measure by which the worst photos are chosen; larger is worse."""
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
    """Keeps the worst photos of each measure; drops all other pictures at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heaps: dict[str, list[tuple[float, str, View]]] = {}

    def offer(self, pair: Pair, looked: View) -> None:
        for kind, score in _severities(pair).items():
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
