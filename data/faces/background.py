"""What is behind the head."""

import math

from PIL import Image

from data.faces.colours import WHITE, Colour, hsl, mix
from data.faces.factors import Factors
from data.faces.pen import CANVAS, Pen, vertical_blend
from data.faces.shapes import ellipse

STRIPE = 30
DOT_GRID = 44
DOT = 9


def new_canvas(factors: Factors) -> Image.Image:
    """A canvas in the background's colour, RGB 256x256; a gradient is darker at its top."""
    colour = _colour(factors)
    if factors.background != "gradient":
        return Image.new("RGB", (CANVAS, CANVAS), colour)
    top = hsl(factors.background_hue + 40, 0.45, factors.background_lightness - 0.18)
    return vertical_blend(top, colour, (CANVAS, CANVAS))


def draw_pattern(pen: Pen, factors: Factors) -> None:
    """A halo, stripes or dots in a lighter tone of the background's colour."""
    tone = mix(_colour(factors), WHITE, 0.45)
    if factors.background == "halo":
        pen.fill(ellipse(-20j, 104, 104, 40), tone)
        pen.fill(ellipse(-20j, 94, 94, 40), mix(tone, WHITE, 0.4))
    elif factors.background == "stripes":
        for x in range(-CANVAS, CANVAS, 2 * STRIPE):
            top, bottom = (x, x + STRIPE), (x + STRIPE + CANVAS, x + CANVAS)
            pen.ink.polygon((top[0], 0, top[1], 0, bottom[0], CANVAS, bottom[1], CANVAS), tone)
    elif factors.background == "dots":
        for row in range(7):
            for column in range(7):
                x = round((column + 0.5 * (row % 2)) * DOT_GRID) - DOT
                y = round(row * DOT_GRID * math.sqrt(0.75)) - DOT
                pen.ink.ellipse((x, y, x + 2 * DOT, y + 2 * DOT), tone)


def _colour(factors: Factors) -> Colour:
    return hsl(factors.background_hue, 0.42, factors.background_lightness)
