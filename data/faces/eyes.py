"""Eyes and brows. Lids are two curves, and what lies between them is cut to fit."""

from dataclasses import dataclass

import numpy as np

from data.faces.colours import WHITE, Paints, hsl, mix
from data.faces.factors import Factors
from data.faces.head import FEATURE_DEPTH
from data.faces.pen import Pen
from data.faces.shapes import Array, Shape, ellipses, ribbon, spread

EYEBALL = (252, 252, 255)
EYEBALL_SHADOW = (206, 208, 226)

# The iris from back to front: place, half-axes (in half irises) and lightness of each disc.
IRIS = np.array(
    [
        (0, 0.00, 1.00, 1.00, 0.38),
        (0, 0.03, 0.84, 0.88, 0.60),
        (0, 0.20, 0.77, 0.71, 0.80),
        (0, 0.38, 0.67, 0.52, 1.05),
        (0, 0.54, 0.56, 0.35, 1.40),
        (0, -0.02, 0.40, 0.46, 0.18),
        (0, 0.66, 0.42, 0.16, 1.90),
    ]
)
# The reflected light, towards the light and away from it: place and half-axes.
GLINTS = np.array([(0.36, -0.44, 0.34, 0.28), (-0.36, 0.36, 0.17, 0.14)])

# Places along the lids, from the left corner to the right one.
ACROSS = spread(-1, 1, 15)
UPPER_ARCH = (1 - np.abs(ACROSS) ** 2.6) ** 0.6
LOWER_BOWL = (1 - np.abs(ACROSS) ** 2.4) ** 0.7


@dataclass(frozen=True)
class Eye:
    """One eye in face coordinates. Lids are heights at the places `x`, all [15]."""

    side: int
    hue: float
    openness: float
    centre: complex
    half_width: float
    half_height: float
    x: Array
    upper: Array
    lower: Array

    def between_lids(self, shape: Shape) -> Shape:
        """Cut a shape, relative to the eye's centre, to what the lids show."""
        x = np.minimum(np.maximum(shape.real, -self.half_width), self.half_width)
        upper, lower = np.interp(x, self.x, self.upper), np.interp(x, self.x, self.lower)
        return x + 1j * np.minimum(np.maximum(shape.imag, upper), lower) + self.centre


def both_eyes(factors: Factors) -> tuple[Eye, Eye]:
    """The left and the right eye."""
    f = factors
    left = (f.eye_left_hue, f.eye_left_size, f.eye_left_openness, f.eye_left_height)
    right = (f.eye_right_hue, f.eye_right_size, f.eye_right_openness, f.eye_right_height)
    return _eye(-1, *left, factors), _eye(1, *right, factors)


def _eye(
    side: int, hue: float, size: float, openness: float, height: float, factors: Factors
) -> Eye:
    half_width = 21.0 * size
    half_height = (20.0 + 3.0 * factors.femininity) * size
    # The line between the corners sinks as the eye closes, and rises outwards by the slant.
    corners = 0.35 * half_height * (1 - openness) - side * 7.0 * factors.eye_slant * ACROSS
    return Eye(
        side=side,
        hue=hue,
        openness=openness,
        centre=side * (30.5 + 5 * factors.eye_spacing) + (8 - 5 * height) * 1j,
        half_width=half_width,
        half_height=half_height,
        x=half_width * ACROSS,
        upper=corners - half_height * (0.28 + 0.80 * openness) * UPPER_ARCH,
        lower=corners + half_height * (1.18 * openness - 0.28) * LOWER_BOWL,
    )


def draw_eyes(pen: Pen, eyes: tuple[Eye, Eye], factors: Factors, paints: Paints) -> None:
    """Both eyes; a closed one is its lashes alone."""
    pen = pen.at(FEATURE_DEPTH)
    for eye in eyes:
        if eye.openness > 0:
            _draw_ball(pen, eye)
            _draw_iris(pen, eye, factors)
            _draw_lower_lid(pen, eye, factors, paints)
        _draw_upper_lid(pen, eye, factors, paints)


def _draw_ball(pen: Pen, eye: Eye) -> None:
    """The white, with the shadow of the upper lid on it."""
    x = eye.x + eye.centre
    upper, lower = x + 1j * eye.upper, x + 1j * eye.lower
    shade = x + 1j * np.minimum(eye.upper + 7, eye.lower)
    pen.fill(np.concatenate([upper, lower[::-1]]), EYEBALL)
    pen.fill(np.concatenate([upper, shade[::-1]]), EYEBALL_SHADOW)


def _draw_iris(pen: Pen, eye: Eye, factors: Factors) -> None:
    """Discs from a dark rim to a bright bottom, a pupil, and the reflected light."""
    half = np.array([0.66 * eye.half_width, 0.92 * eye.half_height])
    middle = 0.22 * factors.gaze * eye.half_width
    saturation, lightness = factors.eye_saturation, factors.eye_lightness
    glints = GLINTS * (1 if factors.light > 0 else -1, 1, 1, 1)
    parts = np.concatenate([IRIS[:, :4], glints]) * np.tile(half, 2)
    discs = ellipses(middle + parts[:, 0] + 1j * parts[:, 1], parts[:, 2], parts[:, 3])
    tones = [hsl(eye.hue, saturation, lightness * share) for share in IRIS[:, 4].tolist()]
    pen.fill_each(eye.between_lids(discs), [*tones, WHITE, WHITE])


def _draw_lower_lid(pen: Pen, eye: Eye, factors: Factors, paints: Paints) -> None:
    """The outer part of the lower lashes."""
    low = eye.x + 1j * eye.lower + eye.centre
    outer = low[9:] if eye.side > 0 else low[:6]
    pen.line(outer, mix(paints.lash, paints.skin, 0.3), 2 + factors.lashes)


def _draw_upper_lid(pen: Pen, eye: Eye, factors: Factors, paints: Paints) -> None:
    """Lashes that swell outwards and end in a wing, and the crease of an open lid."""
    outward = 0.5 + 0.5 * eye.side * ACROSS
    lid = eye.x + 1j * eye.upper + eye.centre
    thick = (3.0 + 4.5 * factors.lashes) * (0.35 + 0.65 * outward)
    wing = outward**6 * (eye.side * (2 + 5 * factors.lashes) + 1j)
    pen.fill(np.concatenate([lid - 1j * thick + wing, (lid + 1j)[::-1]]), paints.lash)
    if eye.openness > 0:
        crease = (lid - 1j * (thick + 5))[3:12:2]
        pen.line(crease, mix(paints.skin, paints.skin_line, 0.7), 2)


def draw_brows(pen: Pen, eyes: tuple[Eye, Eye], factors: Factors, paints: Paints) -> None:
    """Brows; they are drawn over the fringe, as the custom is."""
    pen = pen.at(FEATURE_DEPTH - 3)
    outward = spread(-1, 1, 9)
    y = -23 - 13 * factors.brow_height + 4 * outward**2 - 8 * factors.brow_angle * outward
    widths = (1.1 + 4.2 * factors.brow_thickness) * (0.64 - 0.36 * outward)
    for eye in eyes:
        line = eye.centre.real + eye.side * 17.0 * outward + 1j * y
        pen.fill(ribbon(line, widths), mix(paints.hair_line, paints.lash, 0.35))
