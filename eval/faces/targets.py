"""What the network learns to read: the factors of `data.faces`, derived from their declaration.

A table of labels is float32 [N, F] in the factors' own units, a category as the index of its
value. Beside it, bool [N, F], stands what can be seen of each.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from data.faces import DISTRIBUTIONS, Factors
from data.faces.distributions import Choice, Seed
from eval.faces.colours import MIN_CHROMA, from_hsl, to_hsl


@dataclass(frozen=True)
class Target:
    """One factor as numbers that a network can put out.

    Attributes:
        kind: "scalar" (standardised by its range), "hue" (cosine and sine) or "category" (logits).
        size: how many outputs it takes.
    """

    name: str
    kind: str
    size: int
    low: float = 0.0
    high: float = 1.0
    values: tuple[str, ...] = ()

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2.0

    @property
    def deviation(self) -> float:
        """The standard deviation of a uniform draw from the range."""
        return (self.high - self.low) / math.sqrt(12.0)


def _target(name: str, distribution: Any) -> Target:
    if isinstance(distribution, Choice):
        return Target(name, "category", len(distribution.values), values=distribution.values)
    if name.endswith("_hue"):
        return Target(name, "hue", 2)
    return Target(name, "scalar", 1, distribution.low, distribution.high)


# A seed stands for a pattern: no number of it can be seen.
TARGETS = tuple(
    _target(name, distribution)
    for name, distribution in DISTRIBUTIONS.items()
    if not isinstance(distribution, Seed)
)
COLUMN = {target.name: column for column, target in enumerate(TARGETS)}

# What the labels of real faces, given by eye, say of a factor; no other is checked on them.
LABELLED = {
    **dict.fromkeys(("hair_hue", "hair_saturation", "hair_lightness"), "labelled"),
    **dict.fromkeys(("eye_left_hue", "eye_right_hue"), "labelled"),
    **dict.fromkeys(("eye_saturation", "eye_lightness", "mouth_openness"), "labelled"),
    "accessory": "labelled (glasses only)",
}
UNVALIDATED = "unvalidated on real"

# Where a factor changes no pixel. A closed eye shows no iris, and a bare head wears no colour.
HIDDEN: dict[str, Callable[[Factors], bool]] = {
    "eye_left_hue": lambda face: face.eye_left_openness == 0,
    "eye_right_hue": lambda face: face.eye_right_openness == 0,
    "eye_saturation": lambda face: face.eye_left_openness == face.eye_right_openness == 0,
    "eye_lightness": lambda face: face.eye_left_openness == face.eye_right_openness == 0,
    "gaze": lambda face: face.eye_left_openness == face.eye_right_openness == 0,
    "accessory_hue": lambda face: face.accessory == "bare",
}

# The declaration says which factors point to a side: a mirror turns their sign.
_SIDEWAYS = torch.tensor(
    [
        bool(re.search(r"left (or|to|and) right|clockwise", field.metadata["does"]))
        for field in fields(Factors)
        if field.name in COLUMN
    ]
)
_OTHER_SIDE = {"left": "right", "right": "left"}
_SWAPPED = [
    COLUMN[re.sub("left|right", lambda side: _OTHER_SIDE[side[0]], target.name)]
    for target in TARGETS
]


def tabulate(faces: Sequence[Factors]) -> tuple[Tensor, Tensor]:
    """Labels [N, F] of faces, and what can be seen of them, bool [N, F]."""
    labels = torch.tensor(
        [[_number(target, getattr(face, target.name)) for target in TARGETS] for face in faces]
    )
    seen = torch.tensor(
        [[not (name in HIDDEN and HIDDEN[name](face)) for name in COLUMN] for face in faces]
    )
    return labels, seen & has_hue(labels)


def _number(target: Target, value: Any) -> float:
    return float(target.values.index(value) if target.kind == "category" else value)


def encode(target: Target, label: Tensor) -> Tensor:
    """Labels [N] as the outputs [N, size] that say them; a category as zeros and a one."""
    if target.kind == "category":
        return functional.one_hot(label.long(), target.size).float()
    if target.kind == "hue":
        return torch.stack([label.deg2rad().cos(), label.deg2rad().sin()], dim=1)
    return ((label - target.middle) / target.deviation)[:, None]


def mirror_labels(table: Tensor) -> Tensor:
    """The labels (or what is seen of them, if bool) of the mirrored faces."""
    swapped = table[:, _SWAPPED]
    return swapped if table.dtype == torch.bool else torch.where(_SIDEWAYS, -swapped, swapped)


@dataclass(frozen=True)
class Colour:
    """Columns of a colour's hue, saturation and lightness; None where the drawing fixes it."""

    hue: int
    saturation: int | None
    lightness: int | None


def _colour(name: str) -> Colour:
    stem = re.sub("_(left|right)", "", name.removesuffix("_hue"))
    return Colour(COLUMN[name], COLUMN.get(f"{stem}_saturation"), COLUMN.get(f"{stem}_lightness"))


COLOURS = tuple(_colour(target.name) for target in TARGETS if target.kind == "hue")


def palette(labels: Tensor) -> Tensor:
    """The colours that the labels speak of, [N, 3, C] from 0 to 255.

    Distort them as the picture is distorted, and `relabel` tells what colour is then to be seen.
    """
    middling = torch.full_like(labels[:, 0], 0.5)
    return torch.stack(
        [
            from_hsl(
                labels[:, colour.hue],
                middling if colour.saturation is None else labels[:, colour.saturation],
                middling if colour.lightness is None else labels[:, colour.lightness],
            )
            for colour in COLOURS
        ],
        dim=2,
    )


def relabel(labels: Tensor, colours: Tensor) -> Tensor:
    """Labels [N, F] with the hues, saturations and lightnesses of colours [N, 3, C]."""
    labels = labels.clone()
    for colour, *hsl in zip(COLOURS, *(part.unbind(1) for part in to_hsl(colours)), strict=True):
        for column, value in zip(
            (colour.hue, colour.saturation, colour.lightness), hsl, strict=True
        ):
            if column is not None:
                labels[:, column] = value
    return labels


def has_hue(labels: Tensor) -> Tensor:
    """Bool [N, F], false for hues that cannot be seen because their colour is all but grey.

    A colour whose saturation is no factor counts as colourful.
    """
    colours = palette(labels)
    chroma = (colours.amax(1) - colours.amin(1)) / 255.0
    seen = torch.ones_like(labels, dtype=torch.bool)
    seen[:, [colour.hue for colour in COLOURS]] = chroma >= MIN_CHROMA
    return seen
