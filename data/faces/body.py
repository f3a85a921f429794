"""Neck, shoulders and neckline: all that a face crop shows of a body."""

import numpy as np

from data.faces.colours import WHITE, Paints, mix
from data.faces.factors import Factors
from data.faces.pen import Pen
from data.faces.shapes import both_sides, on_side, smooth, smooth_line

_HALF_TORSO = np.array([94j, 22 + 90j, 40 + 96j, 84 + 106j, 112 + 122j, 112 + 140j])
TORSO = smooth(both_sides(_HALF_TORSO), 2)


def draw_body(pen: Pen, factors: Factors, paints: Paints) -> None:
    """Shoulders, then the neck on them, then the collar around the neck."""
    broad = 1.0 + 0.12 * (1.0 - factors.femininity)
    torso = TORSO.real * broad + 1j * TORSO.imag
    pen.fill(torso, paints.clothes, paints.clothes_shadow)
    _draw_neck(pen, factors, paints)
    COLLARS[factors.clothes](pen, paints)


def _draw_neck(pen: Pen, factors: Factors, paints: Paints) -> None:
    half = 17.0 + 8.0 * (1.0 - factors.femininity)
    neck = [half + 40j, half + 76j, half + 12 + 96j, 14 + 118j]
    pen.fill(smooth(both_sides(neck), 2), paints.skin, paints.skin_line)
    shadow = [half - 1 + 40j, half - 1 + 80j, 0.5 * half + 90j]
    pen.fill(smooth(both_sides(shadow), 2), paints.skin_shadow)


def _draw_round(pen: Pen, paints: Paints) -> None:
    hem = smooth_line([-34 + 92j, -18 + 106j, 109j, 18 + 106j, 34 + 92j], 3)
    pen.line(hem, mix(paints.clothes, WHITE, 0.55), 7)


def _draw_shirt(pen: Pen, paints: Paints) -> None:
    for side in (-1, 1):
        wing = on_side([25 + 80j, 34 + 90j, 26 + 116j, 4 + 106j], side)
        pen.fill(wing, WHITE, paints.clothes_shadow)
    pen.fill([-6 + 104j, 6 + 104j, 10 + 130j, -10 + 130j], paints.accessory_shadow)


def _draw_sailor(pen: Pen, paints: Paints) -> None:
    for side in (-1, 1):
        flap = on_side([22 + 82j, 70 + 100j, 60 + 122j, 6 + 122j], side)
        pen.fill(flap, WHITE, paints.clothes_shadow)
        pen.line(on_side([30 + 92j, 12 + 122j], side), paints.clothes, 4)
        pen.line(on_side([64 + 102j, 54 + 122j], side), paints.clothes, 4)


def _draw_hood(pen: Pen, paints: Paints) -> None:
    roll = [112j, 26 + 100j, 34 + 82j, 52 + 76j, 66 + 92j, 40 + 122j, 130j]
    for side in (-1, 1):
        shape = smooth(on_side(roll, side), 3)
        pen.fill(shape, mix(paints.clothes, WHITE, 0.15), paints.clothes_shadow)


COLLARS = {
    "round": _draw_round,
    "shirt": _draw_shirt,
    "sailor": _draw_sailor,
    "hood": _draw_hood,
}
