"""Things worn: cat ears, headband, ribbon, hairclip, flower, glasses."""

import cmath

import numpy as np

from data.faces.colours import WHITE, Paints, mix
from data.faces.eyes import Eyes
from data.faces.factors import Factors
from data.faces.hair import on_skull
from data.faces.hair_front import CAP_DEPTH
from data.faces.head import FEATURE_DEPTH
from data.faces.pen import Pen
from data.faces.shapes import ellipse, on_side, smooth, smooth_line, spread


def draw_behind_hair(pen: Pen, factors: Factors, paints: Paints) -> None:
    """What the cap of hair overlaps: the cat ears."""
    if factors.accessory == "cat ears":
        for side in (-1, 1):
            ear = on_side([18 - 92j, 34 - 114j, 66 - 124j, 76 - 100j, 78 - 56j], side)
            pen.fill(smooth(ear, 3), paints.hair, paints.hair_line)
            inner = on_side([34 - 94j, 44 - 106j, 63 - 114j, 69 - 96j, 70 - 66j], side)
            pen.fill(smooth(inner, 3), mix(paints.accessory, WHITE, 0.45))


def draw_on_hair(pen: Pen, eyes: Eyes, factors: Factors, paints: Paints) -> None:
    """What is worn over hair and face."""
    if factors.accessory in ON_HAIR:
        ON_HAIR[factors.accessory](pen.at(CAP_DEPTH), paints)
    elif factors.accessory == "glasses":
        _glasses(pen.at(FEATURE_DEPTH + 3), eyes, paints)


def _headband(pen: Pen, paints: Paints) -> None:
    angles = spread(-1.5, 1.5, 15)
    band = np.concatenate([on_skull(angles, 1.0), on_skull(angles[::-1], 0.87)])
    pen.fill(band, paints.accessory, paints.accessory_shadow)
    pen.line(on_skull(angles[4:9], 0.95), mix(paints.accessory, WHITE, 0.6), 3)


def _ribbon(pen: Pen, paints: Paints) -> None:
    knot = 46 - 84j
    for turn in (cmath.rect(1, 0.6), cmath.rect(-1, 0.6)):
        wing = np.array([4 - 4j, 20 - 20j, 36 - 14j, 36 + 14j, 20 + 18j, 4 + 5j])
        pen.fill(smooth(wing * turn, 4) + knot, paints.accessory, paints.accessory_shadow)
        pen.line(np.array([8, 24]) * turn + knot, paints.accessory_shadow, 3)
    pen.fill(ellipse(knot, 8, 9), mix(paints.accessory, WHITE, 0.25), paints.accessory_shadow)


def _hairclip(pen: Pen, paints: Paints) -> None:
    star = np.array([cmath.rect(15 if k % 2 else 7, k * cmath.pi / 5) for k in range(10)])
    pen.fill(star + 50 - 46j, paints.accessory, paints.accessory_shadow)
    pen.fill(ellipse(47 - 49j, 4, 4, 8), WHITE)


def _flower(pen: Pen, paints: Paints) -> None:
    centre = -54 - 66j
    for k in range(5):
        petal = ellipse(centre + cmath.rect(13, 2 * cmath.pi * k / 5 - 1.57), 11, 11, 12)
        pen.fill(petal, paints.accessory, paints.accessory_shadow)
    pen.fill(ellipse(centre, 7, 7, 12), (255, 226, 120), paints.accessory_shadow)


ON_HAIR = {"headband": _headband, "ribbon": _ribbon, "hairclip": _hairclip, "flower": _flower}


def _glasses(pen: Pen, eyes: Eyes, paints: Paints) -> None:
    frame = mix(paints.accessory_shadow, (30, 24, 40), 0.55)
    left, right = eyes.centre.ravel().tolist()
    for side, centre in ((-1, left), (1, right)):
        glass = ellipse(centre + 1j, 27, 26, 24)
        pen.line(np.append(glass, glass[0]), frame, 5)
        pen.line([centre + side * 27 - 4j, side * 72 - 6j], frame, 4)
    pen.line(smooth_line([left + 27, 1j, right - 27], 3), frame, 4)
