"""Eyes and brows. Lids are two curves, and what lies between them is cut to fit."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.faces.colours import WHITE, Colour, Paints, hsl, mix
from data.faces.factors import Factors
from data.faces.head import FEATURE_DEPTH
from data.faces.pen import Pen
from data.faces.shapes import Array, ellipses, on_side, ribbon, spread

EYEBALL = (252, 252, 255)
EYEBALL_SHADOW = (206, 208, 226)

# The iris from back to front: place and half-axes (in half irises) and lightness of each disc.
IRIS = (
    (0, 0.00, 1.00, 1.00, 0.38),
    (0, 0.03, 0.84, 0.88, 0.60),
    (0, 0.20, 0.77, 0.71, 0.80),
    (0, 0.38, 0.67, 0.52, 1.05),
    (0, 0.54, 0.56, 0.35, 1.40),
    (0, -0.02, 0.40, 0.46, 0.18),
    (0, 0.66, 0.42, 0.16, 1.90),
)
# The reflected light, towards the light and away from it: place and half-axes.
GLINTS = ((0.36, -0.44, 0.34, 0.28), (-0.36, 0.36, 0.17, 0.14))

# Both as outlines in half eyes, lit from the right: [9, 14].
_X, _Y, _WIDTH, _HEIGHT = np.array([*(disc[:4] for disc in IRIS), *GLINTS]).T
DISCS = ellipses(0.66 * _X + 0.92j * _Y, 0.66 * _WIDTH, 0.92 * _HEIGHT)

# Places along the lids and the brows, from the nose (-1) outwards (1).
LID = spread(-1, 1, 15)
BROW = spread(-1, 1, 9)
UPPER_ARCH = 1j * (1 - np.abs(LID) ** 2.6) ** 0.6
LOWER_BOWL = 1j * (1 - np.abs(LID) ** 2.4) ** 0.7

SIDES = np.array([[-1.0], [1.0]])

Rows = NDArray[Any]


class Eyes(NamedTuple):
    """Eyes in face coordinates, a row each: the left and the right one, or what is open of them."""

    side: Rows  # [k, 1], as are the next four
    hue: Rows
    openness: Rows
    centre: Rows
    half_height: Rows
    upper: Rows  # the lids from the nose outwards: [k, 15]
    lower: Rows

    def opened(self) -> "Eyes":
        """Those that are not closed."""
        shown = self.openness[:, 0] > 0
        return self if shown.all() else Eyes(*(rows[shown] for rows in self))


def both_eyes(factors: Factors) -> Eyes:
    """The left and the right eye of one face."""
    f = factors
    left = (f.eye_left_hue, f.eye_left_size, f.eye_left_openness, f.eye_left_height)
    right = (f.eye_right_hue, f.eye_right_size, f.eye_right_openness, f.eye_right_height)
    hue, size, openness, height = np.array([left, right]).T[:, :, None]
    half_height = (20.0 + 3.0 * f.femininity) * size
    centre = SIDES * (30.5 + 5 * f.eye_spacing) + (8 - 5 * height) * 1j
    # The line between the corners sinks as the eye closes, and rises outwards by the slant.
    sunk = 0.35 * half_height * (1 - openness) - 7.0 * f.eye_slant * LID
    corners = centre + 21.0 * size * (SIDES * LID) + 1j * sunk
    return Eyes(
        side=SIDES,
        hue=hue,
        openness=openness,
        centre=centre,
        half_height=half_height,
        upper=corners - half_height * (0.28 + 0.80 * openness) * UPPER_ARCH,
        lower=corners + half_height * (1.18 * openness - 0.28) * LOWER_BOWL,
    )


def draw_eyes(pen: Pen, eyes: Eyes, factors: Factors, paints: Paints) -> None:
    """Both eyes; a closed one is its upper lashes alone."""
    pen = pen.at(FEATURE_DEPTH)
    opened = eyes.opened()
    _draw_balls(pen, opened)
    _draw_irises(pen, opened, factors)
    pen.line_each(opened.lower[:, 9:], mix(paints.lash, paints.skin, 0.3), 2 + factors.lashes)
    _draw_upper_lashes(pen, eyes, factors, paints)
    creases = (opened.upper - 1j * (_lash_height(factors) + 5))[:, 3:12:2]
    pen.line_each(creases, mix(paints.skin, paints.skin_line, 0.7), 2)


def _draw_balls(pen: Pen, eyes: Eyes) -> None:
    """The white, with the shadow of the upper lid on it."""
    shade = eyes.upper.real + 1j * np.minimum(eyes.upper.imag + 7, eyes.lower.imag)
    for bottom, colour in ((eyes.lower, EYEBALL), (shade, EYEBALL_SHADOW)):
        outlines = np.concatenate([eyes.upper, bottom[:, ::-1]], axis=1)
        pen.fill_each(outlines, [colour] * len(outlines))


def _draw_irises(pen: Pen, eyes: Eyes, factors: Factors) -> None:
    """Discs from a dark rim to a bright bottom, a pupil, and the reflected light."""
    discs = on_side(DISCS, 1 if factors.light > 0 else -1)
    across = np.minimum(np.maximum(discs.real + 0.22 * factors.gaze, -1), 1)
    for side, hue, _, centre, half_height, upper, lower in zip(*eyes, strict=True):
        # Cut to fit: no point is above the upper lid or below the lower one.
        outward = side * across
        top, bottom = np.interp(outward, LID, upper), np.interp(outward, LID, lower)
        down = np.maximum(centre.imag + half_height * discs.imag, top.imag)
        tones = _iris_tones(hue.item(), factors.eye_saturation, factors.eye_lightness)
        pen.fill_each(top.real + 1j * np.minimum(down, bottom.imag), tones)


@lru_cache(maxsize=1)  # the second eye is nearly always as the first
def _iris_tones(hue: float, saturation: float, lightness: float) -> list[Colour]:
    return [*(hsl(hue, saturation, lightness * disc[4]) for disc in IRIS), WHITE, WHITE]


def _draw_upper_lashes(pen: Pen, eyes: Eyes, factors: Factors, paints: Paints) -> None:
    """Lashes that swell outwards and end in a wing."""
    wing = (0.5 + 0.5 * LID) ** 6 * (eyes.side * (2 + 5 * factors.lashes) + 1j)
    top = eyes.upper - 1j * _lash_height(factors) + wing
    outlines = np.concatenate([top, (eyes.upper + 1j)[:, ::-1]], axis=1)
    pen.fill_each(outlines, [paints.lash] * len(outlines))


def _lash_height(factors: Factors) -> Array:
    return (3.0 + 4.5 * factors.lashes) * (0.675 + 0.325 * LID)


def draw_brows(pen: Pen, eyes: Eyes, factors: Factors, paints: Paints) -> None:
    """Brows; they are drawn over the fringe, as the custom is."""
    y = -23 - 13 * factors.brow_height + 4 * BROW**2 - 8 * factors.brow_angle * BROW
    widths = (1.1 + 4.2 * factors.brow_thickness) * (0.64 - 0.36 * BROW)
    brow = ribbon(17.0 * BROW + 1j * y, widths)
    brows = eyes.centre.real + np.array([on_side(brow, -1), brow])
    colour = mix(paints.hair_line, paints.lash, 0.35)
    pen.at(FEATURE_DEPTH - 3).fill_each(brows, (colour, colour))
