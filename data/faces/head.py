"""The head without hair and eyes: ears, face, cheeks, nose and mouth."""

import numpy as np

from data.faces.colours import Colour, Paints, mix
from data.faces.factors import Factors
from data.faces.pen import Pen
from data.faces.shapes import Shape, both_sides, ellipse, on_both_sides, smooth, smooth_line, spread

FACE_DEPTH = 9.0
FEATURE_DEPTH = 17.0

LIP_LINE = (116, 40, 48)
MOUTH_RED = (164, 48, 62)
TONGUE = (240, 128, 128)

# Height of the lip line from left to right, upwards, in half mouth widths.
LIPS = {
    "smile": (0.42, 0.02, -0.14, 0.02, 0.42),
    "neutral": (0.00, 0.02, 0.02, 0.02, 0.00),
    "smirk": (-0.14, -0.10, -0.02, 0.18, 0.62),
    "cat": (0.32, -0.10, -0.26, -0.12, 0.26, -0.12, -0.26, -0.10, 0.32),
    "frown": (-0.38, 0.00, 0.14, 0.00, -0.38),
}


def draw_ears(pen: Pen, factors: Factors, paints: Paints) -> None:
    """Both ears; hair may cover them."""
    x = 62.0 * _face_scale(factors)
    layers = ((13, 19, paints.skin_line), (11, 17, paints.skin), (5, 9, paints.skin_shadow))
    for half_width, half_height, colour in layers:
        ears = on_both_sides(ellipse(x + 10j, half_width, half_height, 14))
        pen.fill_each(ears, (colour, colour))


def draw_face(pen: Pen, factors: Factors, paints: Paints) -> None:
    """The face in shadow, its lit part on it, and the cheeks."""
    outline = _face_outline(factors)
    pen = pen.at(FACE_DEPTH)
    pen.fill(outline, paints.skin_shadow, paints.skin_line)
    pen.fill(_lit_part(outline, factors), paints.skin)
    cheeks = pen.at(FEATURE_DEPTH)
    for side in (-1, 1):
        cheeks.glow(side * 38 + 33j, 24, 15, paints.blush, factors.blush)


def _face_outline(factors: Factors) -> Shape:
    """The contour of the face, from the crown over the right cheek to the chin, and back up."""
    sharp, broad = factors.chin_sharpness, 1.0 - factors.femininity
    half = [
        30 - 82j,
        56 - 54j,
        61 - 22j,
        61 + 6j,
        (57 - 5 * sharp + 5 * broad) + 34j,
        (43 - 13 * sharp + 10 * broad) + (56 + 3 * broad) * 1j,
        (20 - 11 * sharp + 7 * broad) + (70 + 3 * broad) * 1j,
        (72 + 5 * sharp + 3 * broad) * 1j,
    ]
    points = both_sides(half)
    return smooth(points.real * _face_scale(factors) + 1j * points.imag, 2)


def _face_scale(factors: Factors) -> float:
    return 0.87 + 0.26 * factors.face_width


def _lit_part(outline: Shape, factors: Factors) -> Shape:
    """The contour drawn in on the side away from the light, more so towards the chin."""
    in_shade = outline.real * factors.light < 0
    low = np.minimum(np.maximum((outline.imag + 30) / 60, 0), 1)
    return outline - (0.05 + 0.15 * abs(factors.light)) * in_shade * low * outline.real


def draw_nose(pen: Pen, factors: Factors, paints: Paints) -> None:
    """A wedge of shadow on the side away from the light."""
    size = factors.nose_size
    side = -1 if factors.light > 0 else 1
    wedge = [side + (35 - 13 * size) * 1j, side * (1 + 5 * size) + 35j, 38j - side * size]
    colour = mix(paints.skin, paints.skin_line, min(1.0, 2 * size) * 0.7)
    pen.at(FEATURE_DEPTH + 4).fill(wedge, colour)


def draw_mouth(pen: Pen, factors: Factors, paints: Paints) -> None:
    """The opening with the tongue in it, then the line of the upper lip."""
    pen = pen.at(FEATURE_DEPTH)
    heights = np.array(LIPS[factors.mouth_shape])
    half = 9.0 + 9.0 * factors.mouth_width
    lip = smooth_line(half * (spread(-1, 1, len(heights)) - 1j * heights) + 52j, 3)
    if factors.mouth_openness > 0:
        opening = _opening(lip, 19.0 * factors.mouth_openness)
        pen.fill(opening, _faded(MOUTH_RED, factors, paints))
        floor = opening.imag.max() - 6.0 * factors.mouth_openness
        tongue = 0.8 * opening.real + 1j * np.maximum(opening.imag, floor)
        pen.fill(tongue, _faded(TONGUE, factors, paints))
    pen.line(lip, _faded(LIP_LINE, factors, paints), 4)


def _opening(lip: Shape, drop: float) -> Shape:
    """The mouth's opening, [2n]: along the lip, and back along a bowl that hangs below it.

    The bowl starts as the parabola with the lip's ends and area, so that it suits every lip.
    """
    across = spread(-1, 1, len(lip))
    ends = lip.imag[0] + (lip.imag[-1] - lip.imag[0]) * (across + 1) / 2
    sag = 1.5 * (lip.imag - ends).mean() * (1 - across**2)
    jaw = np.maximum(ends + sag + drop * (1 - across**4), lip.imag)
    return np.concatenate([lip, (0.94 * lip.real + 1j * jaw)[::-1]])


def _faded(colour: Colour, factors: Factors, paints: Paints) -> Colour:
    return mix(paints.skin, colour, factors.mouth_clarity)
