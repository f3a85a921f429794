"""Hair behind the face: the curtain behind the neck, tails, buns and braids."""

import numpy as np

from data.faces.colours import Paints, mix
from data.faces.factors import Factors
from data.faces.hair import GATHERED, SKULL, end_behind, jitter, locks, on_skull, rim, waved
from data.faces.pen import Pen
from data.faces.shapes import (
    Shape,
    ellipse,
    on_both_sides,
    on_side,
    smooth,
    smooth_line,
    spread,
    stroke,
)

BACK_DEPTH = -7.0
TOP_OF_CURTAIN = on_skull(np.array([0.0, 0.4, 0.8, 1.2]), 1.0) - SKULL


def draw_back_hair(pen: Pen, factors: Factors, paints: Paints) -> None:
    """All that lies behind the neck and the shoulders."""
    pen = pen.at(BACK_DEPTH)
    tail_side = 1 if factors.parting > 0 else -1
    if factors.hair_style == "twin tails":
        for side in (-1, 1):
            _draw_tail(pen, side, factors, paints)
    elif factors.hair_style == "side tail":
        _draw_tail(pen, tail_side, factors, paints)
    elif factors.hair_style == "ponytail":
        _draw_ponytail(pen, tail_side, factors, paints)
    elif factors.hair_style == "buns":
        _draw_buns(pen, paints)
    _draw_curtain(pen, factors, paints)


def _draw_curtain(pen: Pen, factors: Factors, paints: Paints) -> None:
    """The hair behind the head and neck, down to its ends."""
    end = end_behind(factors)
    wide = 64.0 if factors.hair_style in GATHERED else 80.0 + 6.0 * factors.hair_volume
    outline = waved(_curtain_outline(factors, wide, end), factors)
    pen.fill(outline, mix(paints.hair_shadow, paints.hair_deep, 0.7))
    strand = waved(0.62 * wide + 1j * spread(40, end - 4, 6), factors)
    pen.line_each(on_both_sides(strand), paints.hair_line, 2)


def _curtain_outline(factors: Factors, wide: float, end: float) -> Shape:
    """Down the right side, along a ragged hem, and up the left side."""
    hem_half = wide - (16.0 if factors.hair_style == "bob" else 4.0)
    top = SKULL + (rim(factors) - 0.05) * TOP_OF_CURTAIN
    sides = [84 - 14j, wide + 2 + 0.45j * end, wide + 0.8j * end, hem_half + 1j * end]
    right = smooth_line(np.concatenate([top, sides]), 2)
    roots = spread(hem_half, -hem_half, 8) + 1j * (end - 8)
    tips = 0.5 * (roots[1:] + roots[:-1]) + 1j * (8 + 10 * jitter(factors.strand_seed)[:7])
    return np.concatenate([right, locks(roots, tips, 1.0, 2), on_side(right, -1)[::-1]])


def _draw_tail(pen: Pen, side: int, factors: Factors, paints: Paints) -> None:
    """One tail from the side of the head, and its tie."""
    tip = 30.0 + 110.0 * factors.hair_length
    outer = [70 - 66j, 90 - 76j, 108 - 52j, 114 + 0j, 113 + 0.55j * tip, 100 + 1j * tip]
    inner = [90 + 0.62j * tip, 86 + 0.2j * tip, 80 - 34j]
    shape = waved(on_side(smooth([*outer, *inner]), side), factors)
    pen.shade(shape, paints.hair, paints.hair_deep)
    pen.line(np.append(shape, shape[0]), paints.hair_line)
    for x, reach in ((96, 0.8), (104, 0.7)):
        strand = smooth_line([x - 14 - 60j, x + 2 - 20j, x + reach * tip * 1j])
        pen.line(waved(on_side(strand, side), factors), paints.hair_shadow, 3)
    shine = stroke([90 - 58j, 100 - 48j, 107 - 30j], 9)
    pen.fill(on_side(shine, side), paints.hair_light)
    tie = ellipse(78 - 62j, 9, 12, 12)
    pen.fill(on_side(tie, side), paints.accessory, paints.accessory_shadow)


def _draw_ponytail(pen: Pen, side: int, factors: Factors, paints: Paints) -> None:
    """One tail from the crown that falls to a side."""
    tip = 20.0 + 110.0 * factors.hair_length
    outer = [20 - 100j, 46 - 118j, 88 - 106j, 110 - 60j, 112 + 0.4j * tip, 94 + 1j * tip]
    inner = [90 + 0.4j * tip, 84 - 30j, 66 - 78j]
    shape = waved(on_side(smooth([*outer, *inner]), side), factors)
    pen.shade(shape, paints.hair, paints.hair_deep)
    pen.line(np.append(shape, shape[0]), paints.hair_line)
    strand = smooth_line([54 - 104j, 92 - 66j, 100 + 0.5j * tip])
    pen.line(waved(on_side(strand, side), factors), paints.hair_shadow, 3)
    shine = stroke([62 - 106j, 84 - 92j, 98 - 66j], 9)
    pen.fill(on_side(shine, side), paints.hair_light)


def _draw_buns(pen: Pen, paints: Paints) -> None:
    for side in (-1, 1):
        bun = on_side(ellipse(58 - 88j, 29, 27), side)
        pen.fill(bun, paints.hair, paints.hair_line)
        swirl = smooth_line([42 - 80j, 56 - 70j, 74 - 82j, 66 - 100j, 52 - 92j])
        pen.line(on_side(swirl, side), paints.hair_shadow, 4)
        shine = stroke([46 - 104j, 60 - 108j, 74 - 100j], 7)
        pen.fill(on_side(shine, side), paints.hair_light)


def draw_braids(pen: Pen, factors: Factors, paints: Paints) -> None:
    """Plaits that hang over the shoulders, each a chain of leaves in pairs."""
    if factors.hair_style != "braids":
        return
    pen = pen.at(BACK_DEPTH)
    for side in (-1, 1):
        middle, half = 76 + 34j, 15.0
        while middle.imag < 56.0 + 56.0 * factors.hair_length:
            for turn, colour in ((-1, paints.hair), (1, paints.hair_shadow)):
                leaf = [turn * half - 8j, 0.9 * turn * half + 4j, 14j, -4j]
                shape = smooth(np.array(leaf) + middle, 3)
                pen.fill(on_side(shape, side), colour, paints.hair_line)
            middle, half = middle + 13j, half * 0.95
        tuft = middle + np.array([-6 + 4j, 6 + 4j, 24j])
        pen.fill(on_side(tuft, side), paints.hair_shadow, paints.hair_line)
        tie = on_side(ellipse(middle, 7, 6, 10), side)
        pen.fill(tie, paints.accessory, paints.accessory_shadow)
