"""The pen: puts shapes on the canvas as the head is turned."""

import cmath
import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from data.faces.colours import Colour
from data.faces.shapes import Points, Shape, spread

# Faces are drawn four times too large and reduced: that is the antialiasing.
SCALE = 4
CANVAS = 64 * SCALE

# Shapes count from the point between the eyes; the head leans about the neck.
ORIGIN = 128 + 145j
NECK = 74j
ZOOM = 1.1

# How far out the face ends: a turn moves its middle, and leaves its sides in place.
SIDE = 82.0
CONTOUR = 3
GLOW_LEVELS = 32


class Pen:
    """Draws in face coordinates on a canvas, as seen at one depth of the head.

    The depth is how far the middle of the face moves when the head turns fully.
    """

    def __init__(
        self,
        image: Image.Image,
        ink: ImageDraw.ImageDraw,
        yaw: float,
        lean: complex,
        depth: float = 0.0,
    ) -> None:
        self.image = image
        self.ink = ink
        self._yaw = yaw
        self._lean = lean
        turn = yaw * depth * lean
        self._bend = turn / SIDE**2
        self._shift = turn + NECK + ORIGIN - NECK * lean

    def at(self, depth: float) -> "Pen":
        """The same pen, nearer to the viewer or (negative) behind the head."""
        return Pen(self.image, self.ink, self._yaw, self._lean, depth)

    def place(self, points: Points) -> Shape:
        """Face coordinates to canvas coordinates, of any shape.

        A turn narrows the far half of the face and widens the near one.
        """
        points = np.asarray(points)
        return points * self._lean - self._bend * points.real**2 + self._shift

    def fill(self, points: Points, colour: Colour, line: Colour | None = None) -> None:
        """A filled outline, with a contour when `line` names its colour."""
        flat = _flat(self.place(points))
        self.ink.polygon(flat, colour)
        if line is not None:
            self.ink.line(flat + flat[:2], line, CONTOUR)

    def fill_each(self, outlines: Shape, colours: Iterable[Colour]) -> None:
        """Several filled outlines of as many points, [m, n], each in its colour."""
        for flat, colour in zip(_flat(self.place(outlines)), colours, strict=True):
            self.ink.polygon(flat, colour)

    def line(self, points: Points, colour: Colour, width: float = CONTOUR) -> None:
        """A line of even width."""
        self.ink.line(_flat(self.place(points)), colour, round(width))

    def line_each(self, lines: Shape, colour: Colour, width: int = CONTOUR) -> None:
        """Several lines of as many points, [m, n], in one colour."""
        for flat in _flat(self.place(lines)):
            self.ink.line(flat, colour, width)

    def shade(self, points: Points, top: Colour, bottom: Colour) -> None:
        """A filled outline whose colour glides from its highest point to its lowest one."""
        flat = _flat(self.place(points))
        left, upper = int(min(flat[0::2])), int(min(flat[1::2]))
        size = int(max(flat[0::2])) + 1 - left, int(max(flat[1::2])) + 1 - upper
        stencil = Image.new("1", size)
        moved = [c - (upper if k % 2 else left) for k, c in enumerate(flat)]
        ImageDraw.Draw(stencil).polygon(moved, 1)
        self.image.paste(vertical_blend(top, bottom, size), (left, upper), stencil)

    def glow(self, centre: complex, width: int, height: int, colour: Colour, share: float) -> None:
        """A soft spot by its half-axes: `share` of the colour in its middle, none at its rim."""
        place = self.place([centre])[0]
        corner = round(place.real) - width, round(place.imag) - height
        self.image.paste(colour, corner, _soft_spot(width, height, round(share * GLOW_LEVELS)))


def new_pen(image: Image.Image, yaw: float = 0.0, tilt_degrees: float = 0.0) -> Pen:
    """A pen for a canvas, on a head that is turned (-1 to 1) and leans clockwise."""
    lean = cmath.rect(ZOOM, math.radians(tilt_degrees))
    return Pen(image, ImageDraw.Draw(image), yaw, lean)


def vertical_blend(top: Colour, bottom: Colour, size: tuple[int, int]) -> Image.Image:
    """A gradient from one colour to the other, RGB width x height."""
    ends = Image.frombytes("RGB", (1, 2), bytes(top + bottom))
    middles = (0, 0.5, 1, 1.5)  # from the middle of the one pixel to the middle of the other
    column = ends.resize((1, size[1]), Image.Resampling.BILINEAR, middles)
    return column.resize(size, Image.Resampling.NEAREST)


def _flat(points: Shape) -> list[Any]:
    """[..., n] complex -> [..., x, y, x, y, ...] in whole numbers, which Pillow draws exactly."""
    return np.rint(points.view(np.float64)).tolist()


@lru_cache(maxsize=512)
def _soft_spot(width: int, height: int, level: int) -> Image.Image:
    x, y = spread(-1, 1, 2 * width), spread(-1, 1, 2 * height)[:, None]
    fade = np.clip(1.0 - (x**2 + y**2), 0, 1) ** 1.2
    return Image.fromarray(np.uint8(255 * level / GLOW_LEVELS * fade))
