"""Outlines as arrays of complex numbers: x + iy in 1/256 of the picture's width, y downwards.

Adding moves a shape, multiplying turns and scales it, and -conjugate mirrors it left to right.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Shape = NDArray[np.complex128]
Points = NDArray[np.inexact[Any]] | Sequence[complex]


@lru_cache(maxsize=64)
def _unit_steps(count: int) -> Array:
    return np.arange(count) / (count - 1)


def spread(low: float, high: float, count: int) -> Array:
    """Evenly spaced numbers with both ends: [count]. A quicker np.linspace."""
    return low + (high - low) * _unit_steps(count)


@lru_cache(maxsize=64)
def _spline(count: int, steps: int, closed: bool) -> Shape:
    """The matrix that turns `count` control points into a Catmull-Rom curve through them."""
    segments = count if closed else count - 1
    t = np.arange(steps) / steps
    weights = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]
    )
    matrix = np.zeros((segments * steps, count), dtype=np.complex128)
    for segment in range(segments):
        for offset, weight in zip(range(-1, 3), weights, strict=True):
            point = segment + offset
            point = point % count if closed else min(max(point, 0), count - 1)
            matrix[segment * steps : (segment + 1) * steps, point] += weight
    return matrix if closed else np.vstack([matrix, np.eye(count)[-1]])


def smooth(points: Points, steps: int = 4) -> Shape:
    """A closed curve through the points: [n] -> [n * steps]."""
    return _spline(len(points), steps, True) @ np.asarray(points)


def smooth_line(points: Points, steps: int = 4) -> Shape:
    """An open curve through the points: [n] -> [(n - 1) * steps + 1]."""
    return _spline(len(points), steps, False) @ np.asarray(points)


@lru_cache(maxsize=16)
def _unit_circle(count: int) -> Shape:
    return np.exp(2j * np.pi * np.arange(count) / count)


def ellipse(centre: complex, width: float, height: float, count: int = 20) -> Shape:
    """An ellipse by its half-axes: [count]."""
    circle = _unit_circle(count)
    return centre + (width * circle.real + (1j * height) * circle.imag)


def ellipses(centres: Points, widths: Array, heights: Array, count: int = 14) -> Shape:
    """Several ellipses: [m] of each -> [m, count]."""
    circle = _unit_circle(count)
    across, down = np.outer(widths, circle.real), np.outer(heights, circle.imag)
    return np.asarray(centres)[:, None] + across + 1j * down


def on_side(points: Points, side: int) -> Shape:
    """A shape drawn for the right of the picture (side 1), or its mirror image (side -1)."""
    return np.asarray(points) if side > 0 else -np.conj(points)


def on_both_sides(points: Points) -> Shape:
    """A shape on the right of the picture and its mirror image on the left: [...] -> [2, ...]."""
    right = np.asarray(points)
    return np.array([right, -np.conj(right)])


def both_sides(half: Points) -> Shape:
    """The right half of an outline, from top to bottom, completed by its mirror image: [2n]."""
    return np.concatenate([half, on_side(half, -1)[::-1]])


def ribbon(line: Shape, widths: Array) -> Shape:
    """A band of changing half-width along a line: [n] -> [2n]."""
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    across = along * (1j * widths / np.maximum(np.abs(along), 1e-9))
    return np.concatenate([line + across, (line - across)[::-1]])


@lru_cache(maxsize=16)
def _swell(count: int) -> Array:
    return 0.5 * np.sin(spread(0.15, np.pi, count))


def stroke(points: Points, width: float, steps: int = 3) -> Shape:
    """A brush stroke through the points that swells in the middle and ends in a tip."""
    line = smooth_line(points, steps)
    return ribbon(line, width * _swell(len(line)))
