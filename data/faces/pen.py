"""The pen: puts shapes on the canvas as the head is turned."""

import cmath
import math
from collections.abc import Callable, Iterable
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

Pixels = Any  # float32 [2n]: x, y, x, y, ...
Pose = tuple[complex, complex, complex]
Stroke = Callable[[Pixels], None]


class Canvas:
    """A picture in the making: shapes wait until `paint` places and draws all of them.

    Placing them together takes a third of the time of placing them one by one.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.ink = ImageDraw.Draw(image)
        # Each shape in face coordinates, how it is placed, and what draws it from its pixels.
        self.waiting: list[tuple[Points, Pose, Stroke]] = []

    def paint(self) -> None:
        """Draw all shapes, in the order in which they came."""
        shapes, poses, strokes = zip(*self.waiting, strict=True)
        counts = [len(shape) for shape in shapes]
        lean, bend, shift = np.repeat(poses, counts, axis=0).T
        points = np.concatenate(shapes)
        placed = points * lean - bend * points.real**2 + shift
        # Pillow reads x, y, x, y, ... from float32, and draws whole numbers exactly.
        pixels = np.rint(placed.view(np.float64)).astype(np.float32)
        start = 0
        for count, stroke in zip(counts, strokes, strict=True):
            stroke(pixels[start : start + 2 * count])
            start += 2 * count


class Pen:
    """Draws in face coordinates on a canvas, as seen at one depth of the head.

    The depth is how far the middle of the face moves when the head turns fully: a turn narrows
    the far half of the face and widens the near one.
    """

    def __init__(self, canvas: Canvas, yaw: float, lean: complex, depth: float = 0.0) -> None:
        self._canvas = canvas
        self._yaw = yaw
        self._lean = lean
        turn = yaw * depth * lean
        self._pose = (lean, turn / SIDE**2, turn + NECK + ORIGIN - NECK * lean)

    def at(self, depth: float) -> "Pen":
        """The same pen, nearer to the viewer or (negative) behind the head."""
        return Pen(self._canvas, self._yaw, self._lean, depth)

    def fill(self, points: Points, colour: Colour, line: Colour | None = None) -> None:
        """A filled outline, with a contour when `line` names its colour."""
        ink = self._canvas.ink
        if line is None:
            self._draw(points, lambda pixels: ink.polygon(pixels, colour))
            return

        def fill_and_trace(pixels: Pixels) -> None:
            ink.polygon(pixels, colour)
            ink.line(pixels, line, CONTOUR)

        self._draw(np.append(points, points[:1]), fill_and_trace)

    def fill_each(self, outlines: Shape, colours: Iterable[Colour]) -> None:
        """Several filled outlines, [m, n], each in its colour."""
        for points, colour in zip(outlines, colours, strict=True):
            self.fill(points, colour)

    def line(self, points: Points, colour: Colour, width: float = CONTOUR) -> None:
        """A line of even width."""
        ink, width = self._canvas.ink, round(width)
        self._draw(points, lambda pixels: ink.line(pixels, colour, width))

    def line_each(self, lines: Shape, colour: Colour, width: float = CONTOUR) -> None:
        """Several lines, [m, n], in one colour."""
        for points in lines:
            self.line(points, colour, width)

    def shade(self, points: Points, top: Colour, bottom: Colour) -> None:
        """A filled outline whose colour glides from its highest point to its lowest one."""
        image = self._canvas.image
        self._draw(points, lambda pixels: _shade(image, pixels, top, bottom))

    def glow(self, centre: complex, width: int, height: int, colour: Colour, share: float) -> None:
        """A soft spot by its half-axes: `share` of the colour in its middle, none at its rim."""
        image = self._canvas.image
        spot = _soft_spot(width, height, round(share * GLOW_LEVELS))

        def paste(pixels: Pixels) -> None:
            x, y = pixels.astype(int).tolist()
            image.paste(colour, (x - width, y - height), spot)

        self._draw([centre], paste)

    def _draw(self, points: Points, stroke: Stroke) -> None:
        self._canvas.waiting.append((points, self._pose, stroke))


def new_pen(canvas: Canvas, yaw: float = 0.0, tilt_degrees: float = 0.0) -> Pen:
    """A pen for a canvas, on a head that is turned (-1 to 1) and leans clockwise."""
    lean = cmath.rect(ZOOM, math.radians(tilt_degrees))
    return Pen(canvas, yaw, lean)


def vertical_blend(top: Colour, bottom: Colour, size: tuple[int, int]) -> Image.Image:
    """A gradient from one colour to the other, RGB width x height."""
    ends = Image.frombytes("RGB", (1, 2), bytes(top + bottom))
    middles = (0, 0.5, 1, 1.5)  # from the middle of the one pixel to the middle of the other
    column = ends.resize((1, size[1]), Image.Resampling.BILINEAR, middles)
    return column.resize(size, Image.Resampling.NEAREST)


def _shade(image: Image.Image, pixels: Pixels, top: Colour, bottom: Colour) -> None:
    outline = pixels.reshape(-1, 2)
    corner = outline.min(axis=0)
    left, upper = corner.astype(int).tolist()
    width, height = (outline.max(axis=0) - corner).astype(int).tolist()
    stencil = Image.new("1", (width + 1, height + 1))
    ImageDraw.Draw(stencil).polygon((outline - corner).ravel(), 1)
    image.paste(vertical_blend(top, bottom, stencil.size), (left, upper), stencil)


@lru_cache(maxsize=512)
def _soft_spot(width: int, height: int, level: int) -> Image.Image:
    x, y = spread(-1, 1, 2 * width), spread(-1, 1, 2 * height)[:, None]
    fade = np.clip(1.0 - (x**2 + y**2), 0, 1) ** 1.2
    return Image.fromarray(np.uint8(255 * level / GLOW_LEVELS * fade))
