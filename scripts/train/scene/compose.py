"""Composes training pictures: person, hair, worn things, backdrop.

Each picture is made in one of three ways, chosen at random (`Shares`): an exact cut-out on a new backdrop; the person
of a labelled photo, with estimated foreground colours, on a new backdrop; or a labelled photo unchanged. Hair is added
in front of and behind the person in the first two, and in front of the third. Uncertain pixels of a label have trust 0,
unless opaque hair covers them or a gap is cut there.
"""

# torch is not in the environment that checks types.
# mypy: disable-error-code="import-not-found,misc,no-any-return,unused-ignore"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scripts.train.hair.view import FACE_MIDDLE, FACE_WIDTH, MIDDLE, VIEW
from scripts.train.scene import carve, gaps, neighbours, place, recolour, worn
from scripts.train.scene.shapes import Frame, make_frame
from scripts.train.scene.store import Layer, Person, Store
from scripts.train.scene.warp import Map, blur, joined, scale_of, warp

_VIEW = (VIEW, MIDDLE, FACE_WIDTH, FACE_MIDDLE)
_PAPERS = ((245, 245, 245), (225, 225, 228), (90, 140, 210), (200, 40, 40), (60, 90, 160))
"""Backdrop colours of ID photos, 0..255: white, grey, blue, red."""
LAYER_ENLARGED = 1.35
"""Maximum enlargement of a layer; more would blur the drawn strands."""


@dataclass(frozen=True)
class Shares:
    """Probabilities of the random choices, 0..1; ``strength`` scales the changes of light and colour."""

    photo: float = 0.45
    """A labelled photo keeps its backdrop."""
    hair: float = 0.4
    worn: float = 0.15
    gaps: float = 0.3
    """Gaps in the hair or inside an arm, through which the backdrop is visible."""
    shine: float = 0.1
    """Forms like those of the gaps, but painted on the hair: bright strips, ribbons."""
    neighbours: float = 0.5
    plain: float = 0.3
    bystander: float = 0.06
    pale: float = 0.12
    """The clothes are pale, mostly in front of a pale wall."""
    bare: float = 0.0
    """The shoulders are bare."""
    sun: float = 0.0
    """Hard light: a part of the person is several times brighter."""
    sharp: float = 0.4
    """Pixels are not resampled, where the sizes allow it."""
    strength: float = 0.8


@dataclass(frozen=True)
class Sample:
    """One picture: RGB (3, H, W) 0..255, alpha and trust (H, W) 0..1."""

    rgb: Tensor
    alpha: Tensor
    trust: Tensor


@dataclass(frozen=True)
class Groomed:
    """A figure with hair in front, that hair's coverage (H, W), and the hair behind it (4, H, W), premultiplied."""

    figure: worn.Figure
    cover: Tensor
    behind: Tensor


@dataclass
class Composer:
    """Draws samples from a store. The same seed gives the same samples on the same device."""

    store: Store
    shares: Shares
    rng: np.random.Generator
    chance: torch.Generator

    def sample(self, size: tuple[int, int]) -> Sample:
        """One picture of ``size`` (width, height)."""
        person, rng = self.store.person(self.rng), self.rng
        frame = make_frame(size, self.chance)
        if person.photo is not None and rng.random() < self.shares.photo:
            return self._photo(person, person.photo, frame)
        opened = person.face is not None and rng.random() < self.shares.gaps
        layer = self._layer(person, self.shares.hair ** (0.3 if opened else 1.0))
        room = 0.0
        if layer is not None and person.face is not None:
            room = max(0.0, person.top - (person.face[1] - 0.75 * person.face[2]) / person.size[1])
        matrix = place.person_map(person.size, person.top, size, rng, room=min(room, 0.2), sharp=self.shares.sharp)
        figure = self._figure(person, matrix, frame)
        groomed = self._groom(figure, layer, person, matrix, frame) if layer is not None else None
        if groomed is not None:
            figure = groomed.figure
        dressed = person.face is not None and rng.random() < self.shares.worn
        if dressed:
            figure = worn.dress(figure, frame, face_in(person, matrix), rng)
        drawn = None
        trust = self._trust(person, matrix, frame)
        if groomed is not None:
            figure = before(figure, groomed.behind)
            drawn = torch.maximum(groomed.cover, groomed.behind[3])
            trust = torch.maximum(trust, (groomed.behind[3] > 0.98).float())
        small, carved = gaps.thumbnail(figure, drawn), None
        if person.face is not None and not dressed and rng.random() < self.shares.shine:
            face = face_in(person, matrix)
            if strips := gaps.plan(gaps.survey(small, face), rng):
                figure = carve.shine(figure, frame, face, strips, rng)
        if opened and not dressed:
            carved = self._carved(figure, small, face_in(person, matrix), frame)
        if carved is not None:
            figure = carved.figure
            trust = carve.trusted(trust, carved)
        scene = self._backdrop(figure, small, frame)
        if carved is not None and rng.random() < 0.35:  # the person's shadow is on what lies behind the gaps
            scene = scene * (1.0 - float(rng.uniform(0.1, 0.6)) * carved.gap)
        rgb = figure.colour * figure.alpha + scene * (1 - figure.alpha)
        return Sample(rgb * 255.0, figure.alpha, trust)

    def _carved(self, figure: worn.Figure, small: gaps.Thumbnail, face: worn.Face, frame: Frame) -> carve.Carved | None:
        """The figure with gaps; None if no place for them was found."""
        found = gaps.plan(gaps.survey(small, face), self.rng)
        return carve.carve(figure, frame, face, found, self.rng) if found else None

    # ---------------------------------------------------------------------------- the person

    def _figure(self, person: Person, matrix: Map, frame: Frame) -> worn.Figure:
        """The cut-out person in the frame, with different light and sometimes other clothes."""
        source = person.figure.float()
        source = torch.cat((source[:3] * (source[3:] / 255.0), source[3:]))
        warped = warp(source, matrix, frame.size, "zeros") / 255.0
        alpha = warped[3].clamp(0.0, 1.0)
        alpha = torch.where(alpha < 1.5 / 255, torch.zeros_like(alpha), alpha)
        colour = (warped[:3] / alpha.clamp(min=1e-3)).clamp(0.0, 1.0)
        rng = self.rng
        placed = recolour.Placed(person, matrix, frame)
        if rng.random() < self.shares.pale and person.shoulders < 0.95:
            colour = recolour.pale(colour, placed, rng)
        elif self.shares.bare and rng.random() < self.shares.bare:
            colour = recolour.bare(colour, placed, rng)
        gain = np.exp(rng.normal(0.0, 0.15) + rng.normal(0.0, 0.06, 3)) if rng.random() < 0.7 else np.ones(3)
        colour = colour * torch.as_tensor(gain, dtype=torch.float32, device=colour.device).view(3, 1, 1)
        if rng.random() < 0.3:  # light from one side
            colour = recolour.side_light(colour, frame, rng)
        if self.shares.sun and rng.random() < self.shares.sun:
            colour = recolour.hard_light(colour, frame, rng)
        return worn.Figure(colour.clamp(0.0, 1.0), alpha)

    # ------------------------------------------------------------------------------ the hair

    def _layer(self, person: Person, share: float) -> Layer | None:
        """With probability ``share`` a random layer for this person; None if no layer is large enough."""
        if person.face is None or not self.store.layers or self.rng.random() >= share:
            return None
        for _ in range(4):
            layer = self.store.layers[int(self.rng.integers(len(self.store.layers)))]
            unit = layer.front.shape[2] / VIEW
            if person.face[2] / (FACE_WIDTH * unit) < LAYER_ENLARGED:
                return layer
        return None

    def _groom(self, figure: worn.Figure, layer: Layer, person: Person, matrix: Map, frame: Frame) -> Groomed | None:
        """Add hair and its shadow to the figure; None if the layer would have to be enlarged too much."""
        assert person.face is not None  # otherwise `_layer` returns None
        size = (layer.front.shape[2], layer.front.shape[1])
        onto = joined(matrix, place.hair_map(size, person.face, _VIEW, self.rng))
        if scale_of(onto) > 1.2 * LAYER_ENLARGED:
            return None
        gain = self._tint(layer, person)
        front, back = (self._warped(part, onto, gain, frame) for part in (layer.front, layer.back))
        colour = figure.colour * self._shadow(front[3], frame)
        covered = worn.Figure(colour, figure.alpha).wear(front[:3] / front[3].clamp(min=1e-4), front[3])
        return Groomed(covered, front[3], back)

    def _tint(self, layer: Layer, person: Person) -> Tensor:
        """Factors (3, 1, 1): half of the time towards the person's own hair colour, always with some variation."""
        gain = np.exp(self.rng.normal(0.0, 0.12, 3) * 0.5 + self.rng.normal(0.0, 0.15))
        if self.rng.random() < 0.55:
            wanted = (np.array(person.hair) + 6.0) / (np.array(layer.colour) + 6.0)
            gain = gain * np.clip(wanted, 0.15, 4.0)
        return torch.as_tensor(gain, dtype=torch.float32, device=layer.front.device).view(3, 1, 1)

    def _warped(self, part: Tensor, onto: Map, gain: Tensor, frame: Frame) -> Tensor:
        """A part of a layer in the frame: premultiplied, 0..1."""
        source = part.float()
        source = torch.cat(((source[:3] * gain).clamp(max=255.0) * (source[3:] / 255.0), source[3:]))
        return (warp(source, onto, frame.size, "zeros") / 255.0).clamp(0.0, 1.0)

    def _shadow(self, cover: Tensor, frame: Frame) -> Tensor:
        """Share of the light that reaches the skin below hair of coverage ``cover`` (H, W)."""
        sigma = frame.size[0] * float(self.rng.uniform(0.004, 0.025))
        shift = (int(self.rng.normal(0.0, 0.02) * frame.size[0]), int(self.rng.uniform(0.0, 0.03) * frame.size[1]))
        moved = torch.roll(cover, shifts=(shift[1], shift[0]), dims=(0, 1))
        return 1.0 - float(self.rng.uniform(0.0, 0.6)) * blur(moved[None, None], sigma)[0, 0]

    # -------------------------------------------------------------------------- the backdrop

    def _backdrop(self, figure: worn.Figure, small: gaps.Thumbnail, frame: Frame) -> Tensor:
        """A wall or a picture, with hard neighbours, a bystander and the person's shadow; (3, H, W), 0..1."""
        rng = self.rng
        places = edge_places(small, rng)
        if rng.random() < self.shares.plain or not self.store.backdrops:
            draw = rng.random()
            if draw < 0.35 and places:
                colour = places[0].colour + rng.normal(0.0, 0.06, 3)
            elif draw < 0.6:
                colour = np.array(_PAPERS[int(rng.integers(len(_PAPERS)))]) / 255.0 + rng.normal(0.0, 0.03, 3)
            else:
                colour = rng.uniform(0.0, 1.0, 3)
            scene = neighbours.plain(frame, np.clip(colour, 0.0, 1.0), rng)
        else:
            picture = self.store.backdrops[int(rng.integers(len(self.store.backdrops)))]
            source = (picture.shape[2], picture.shape[1])
            scene = warp(picture, place.window_map(source, frame.size, rng, 2.0), frame.size, "reflection") / 255.0
            gain = np.exp(rng.normal(0.0, 0.25) + rng.normal(0.0, 0.1, 3))
            if places and rng.random() < 0.4:  # nearly the person's colour at a place on the edge
                spot = places[int(rng.integers(len(places)))]
                x, y = (int(min(max(v, 0), side - 1)) for v, side in zip(spot.at, frame.size, strict=True))
                window = scene[:, max(y - 20, 0) : y + 20, max(x - 20, 0) : x + 20].mean(dim=(1, 2))
                gain = np.clip((spot.colour + 0.02) / (window.cpu().numpy() + 0.02), 0.15, 6.0)
            scene = scene * torch.as_tensor(gain, dtype=torch.float32, device=scene.device).view(3, 1, 1)
            if rng.random() < 0.35:
                scene = blur(scene[None], float(rng.uniform(0.6, 0.02 * frame.size[0])))[0]
        if rng.random() < self.shares.bystander:
            scene = self._bystander(scene, frame)
        if places and rng.random() < self.shares.neighbours:
            scene = neighbours.add_neighbours(scene, frame, places, rng)
        if rng.random() < 0.25:
            scene = scene * self._shadow(figure.alpha, frame)
        return scene.clamp(0.0, 1.0)

    def _bystander(self, scene: Tensor, frame: Frame) -> Tensor:
        """Another person at the side or behind, mostly out of focus, as background."""
        other, rng = self.store.person(self.rng), self.rng
        width, height = frame.size
        scale = width / other.size[0] * rng.uniform(0.35, 0.9)
        middle = width / 2 + rng.choice((-1, 1)) * width * rng.uniform(0.45, 0.62)
        down = max(rng.uniform(0.1, 0.6) * height, height - scale * other.size[1])
        matrix = np.array(((scale, 0.0, middle - scale * other.size[0] / 2), (0.0, scale, down)))
        shown = self._figure(other, matrix, frame)
        mixed = shown.colour * shown.alpha + scene * (1 - shown.alpha)
        return blur(mixed[None], float(rng.uniform(0.8, 4.0)))[0] if rng.random() < 0.6 else mixed

    # ------------------------------------------------------------------------- labelled photos

    def _photo(self, person: Person, photo: Tensor, frame: Frame) -> Sample:
        """A labelled photo, sometimes with drawn hair on it."""
        matrix = place.photo_map(person.size, frame.size, self.rng)
        source = torch.cat((photo, person.figure[3:]))
        warped = warp(source, matrix, frame.size, "reflection") / 255.0
        rgb, alpha = warped[:3].clamp(0.0, 1.0), warped[3].clamp(0.0, 1.0)
        trust = self._trust(person, matrix, frame, "reflection")
        layer = self._layer(person, 0.4 * self.shares.hair)
        whole = worn.Figure(rgb, torch.ones_like(alpha))  # the photo includes the backdrop
        if layer is not None and (groomed := self._groom(whole, layer, person, matrix, frame)):
            rgb, alpha = groomed.figure.colour, groomed.cover + alpha * (1 - groomed.cover)
            trust = torch.maximum(trust, (groomed.cover > 0.98).float())
        if person.face is not None and self.rng.random() < self.shares.gaps:
            drawn = worn.Figure(rgb, alpha)
            rgb, alpha, trust = self._opened(drawn, trust, face_in(person, matrix), frame)
        return Sample(rgb * 255.0, alpha, trust)

    def _opened(
        self, photo: worn.Figure, trust: Tensor, face: worn.Face, frame: Frame
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A photo's colours, alpha and trust, with gaps that show its own backdrop from beside the person."""
        small = gaps.thumbnail(photo)
        found = gaps.plan(gaps.survey(small, face), self.rng, enclosed=True)
        for chosen in (found, *([gap] for gap in found)):
            shift = gaps.beside(small, chosen, self.rng) if chosen else None
            if shift is not None:
                break
        else:
            return photo.colour, photo.alpha, trust
        carved = carve.carve(photo, frame, face, chosen, self.rng)
        beside = torch.roll(photo.colour, shifts=(-shift[1], -shift[0]), dims=(1, 2))
        return beside + (photo.colour - beside) * carved.keep, carved.figure.alpha, carve.trusted(trust, carved)

    def _trust(self, person: Person, matrix: Map, frame: Frame, padding: str = "border") -> Tensor:
        """The trust of the label in the frame, 0 or 1."""
        if person.trust is None:
            return torch.ones_like(frame.x)
        height, width = person.trust.shape[-2:]
        from_small = matrix @ np.diag((person.size[0] / width, person.size[1] / height, 1.0))
        return (warp(person.trust, from_small, frame.size, padding)[0] > 200.0).float()


def face_in(person: Person, matrix: Map) -> worn.Face:
    """The person's face in the frame."""
    assert person.face is not None
    left, top, width, height = person.face
    middle = place.mapped(matrix, left + width / 2, top + height / 2)
    return worn.Face((float(middle[0]), float(middle[1])), width * scale_of(matrix))


def before(figure: worn.Figure, behind: Tensor) -> worn.Figure:
    """The figure in front of hair (4, H, W), premultiplied, as one figure."""
    total = figure.alpha + behind[3] * (1 - figure.alpha)
    mixed = figure.colour * figure.alpha + behind[:3] * (1 - figure.alpha)
    return worn.Figure(mixed / total.clamp(min=1e-4), total)


def edge_places(small: gaps.Thumbnail, rng: np.random.Generator, count: int = 6) -> list[neighbours.Place]:
    """Places on the edge of the figure and its colour near them; empty if there is no edge."""
    inside, colour, step = small.alpha > 0.5, small.colour, small.step
    edge = inside.copy()
    edge[1:-1, 1:-1] &= ~(inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:])
    edge[(0, -1), :] = edge[:, (0, -1)] = False
    rows, columns = np.nonzero(edge)
    if rows.size == 0:
        return []
    chosen = rng.integers(0, rows.size, count)
    return [
        neighbours.Place(
            ((columns[i] + 0.5) * step, (rows[i] + 0.5) * step), np.asarray(colour[:, rows[i], columns[i]], np.float64)
        )
        for i in chosen
    ]
