"""What all hair is made of: rows of locks, waves, the round of the skull, and its irregularity."""

import random
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.faces.factors import Factors
from data.faces.shapes import Array, Shape

Curve = NDArray[np.inexact[Any]]

# The skull under the hair, an ellipse.
SKULL = -16j
SKULL_WIDTH, SKULL_HEIGHT = 77.0, 89.0

# Heights where the hair ends at hair_length 0 and 1: behind the neck, and beside the face.
ENDS = {
    "loose": ((34, 150), (12, 122)),
    "bob": ((46, 88), (36, 80)),
    "spiky": ((30, 66), (4, 40)),
    "twin tails": ((28, 34), (12, 66)),
    "side tail": ((30, 36), (12, 66)),
    "ponytail": ((28, 34), (10, 60)),
    "braids": ((34, 40), (14, 62)),
    "buns": ((28, 34), (12, 70)),
}
GATHERED = {"twin tails", "side tail", "ponytail", "buns", "braids"}


def end_behind(factors: Factors) -> float:
    """The height where the hair behind the neck ends."""
    short, long = ENDS[factors.hair_style][0]
    return short + (long - short) * factors.hair_length


def end_beside(factors: Factors) -> float:
    """The height where the locks beside the face end."""
    short, long = ENDS[factors.hair_style][1]
    return short + (long - short) * factors.hair_length


def locks(roots: Curve, tips: Curve, power: float, steps: int = 5) -> Shape:
    """A row of locks, from each root down to a tip and up to the next root.

    The sides of a lock are straight at power 1, hollow above and round below it.
    [n + 1] roots and [n] tips -> [2 * n * (steps - 1) + 1].
    """
    root, tip, fall, drop = _row_of_locks(len(tips), power, steps)
    start = roots[root]
    way = tips[tip] - start
    return start + way.real * fall + way.imag * drop


@lru_cache(maxsize=64)
def _row_of_locks(count: int, power: float, steps: int) -> tuple[Any, Any, Any, Any]:
    """For each point of the row: its root, its tip, and how far it is on the way between them."""
    place = np.arange(2 * count * (steps - 1) + 1) / (steps - 1)  # whole at roots and at tips
    root, tip = np.rint(place / 2), np.minimum(place // 2, count - 1)
    fall = 1 - np.abs(place % 2 - 1)
    return root.astype(int), tip.astype(int), fall, 1j * fall**power


def on_skull(angle: Array | float, radius: Array | float) -> Shape:
    """Points over the skull: angle in radians from the crown to the right; radius 1 is its rim."""
    return SKULL + radius * (SKULL_WIDTH * np.sin(angle) - 1j * SKULL_HEIGHT * np.cos(angle))


def rim(factors: Factors) -> float:
    """The radius at which the hair stands over the skull."""
    return 0.92 + 0.15 * factors.hair_volume


def waved(points: Curve, factors: Factors) -> Shape:
    """Hanging hair with its waves: they start at the ears and are mirrored at the nose."""
    below = np.minimum(np.maximum((points.imag + 30.0) / 60.0, 0), 1)
    sway = 7.0 * factors.hair_wave * np.sin(points.imag / 8.5)
    return points + sway * below * np.sign(points.real)


@lru_cache(maxsize=1)
def jitter(strand_seed: int) -> Array:
    """The irregularities of one head of hair, from -1 to 1; take as many as are needed."""
    source = random.Random(strand_seed)
    return np.array([2.0 * source.random() - 1.0 for _ in range(16)])
