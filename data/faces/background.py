"""What is behind the head."""

import math

from PIL import Image, ImageDraw

from data.faces.colours import WHITE, Colour, hsl, mix
from data.faces.factors import Factors
from data.faces.pen import CANVAS, vertical_blend

STRIPE = 30
DOT_GRID = 44
DOT = 9
HALO = (128, 116)  # its middle


def new_background(factors: Factors) -> Image.Image:
    """RGB 256x256: one colour, a gradient that is darker at its top, or a lighter pattern."""
    colour = hsl(factors.background_hue, 0.42, factors.background_lightness)
    if factors.background == "gradient":
        top = hsl(factors.background_hue + 40, 0.45, factors.background_lightness - 0.18)
        return vertical_blend(top, colour, (CANVAS, CANVAS))
    image = Image.new("RGB", (CANVAS, CANVAS), colour)
    if factors.background in PATTERNS:
        PATTERNS[factors.background](ImageDraw.Draw(image), mix(colour, WHITE, 0.45))
    return image


def _halo(ink: ImageDraw.ImageDraw, tone: Colour) -> None:
    ink.circle(HALO, 114, tone)
    ink.circle(HALO, 103, mix(tone, WHITE, 0.4))


def _stripes(ink: ImageDraw.ImageDraw, tone: Colour) -> None:
    for x in range(-CANVAS, CANVAS, 2 * STRIPE):
        top, bottom = (x, x + STRIPE), (x + STRIPE + CANVAS, x + CANVAS)
        ink.polygon((top[0], 0, top[1], 0, bottom[0], CANVAS, bottom[1], CANVAS), tone)


def _dots(ink: ImageDraw.ImageDraw, tone: Colour) -> None:
    for row in range(7):
        for column in range(7):
            x = round((column + 0.5 * (row % 2)) * DOT_GRID)
            y = round(row * DOT_GRID * math.sqrt(0.75))
            ink.circle((x, y), DOT, tone)


PATTERNS = {"halo": _halo, "stripes": _stripes, "dots": _dots}
