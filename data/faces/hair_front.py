"""Hair around the face: the cap with its fringe, shine and strands, and the locks at the sides."""

from dataclasses import dataclass

import numpy as np

from data.faces.colours import Paints, mix
from data.faces.factors import Factors
from data.faces.hair import GATHERED, SKULL, end_beside, jitter, locks, on_skull, rim, waved
from data.faces.pen import Pen
from data.faces.shapes import Array, Shape, on_both_sides, smooth, smooth_line, spread, stroke

CAP_DEPTH = 12.0
SIDE_DEPTH = 6.0
HALF_FRINGE = 58.0

# A strand, there and back: the way to the whorl, and (imaginary) how far it swings off it.
STRAND = np.array([0, 0.12 + 0.08j, 0.30 + 0.15j, 0.5 + 0.18j, 0.30 + 0.15j, 0.12 + 0.08j])

# The strands along the sides of the cap: [4, 5].
_REACH = np.array([1.2, 1.1, 1.0, 0.9, 0.8])
SIDE_STRANDS = on_skull(np.outer([-1.0, -0.7, 0.7, 1.0], _REACH), 1.24 - 0.3 * _REACH)

# The crown of all hair that is not spiky, from the middle of a skull of radius 1.
ROUND_CROWN = on_skull(spread(1.8, -1.8, 21), 1.0) - SKULL


@dataclass(frozen=True)
class Cut:
    """How the row of locks of a fringe is cut; lengths as everywhere."""

    count: int
    notch: float  # how high the roots are above the tips
    power: float  # the form of a lock, see `locks`
    lean: float  # of the tips, away from the parting
    drop: float  # from the parting to the temples
    lift: float  # of the parting


CUTS = {
    "feathered": Cut(6, 17, 0.75, 4, 10, 0),
    "blunt": Cut(7, 5, 0.5, 0, 5, 0),
    "swept": Cut(5, 15, 0.7, 15, 30, 20),
    "parted": Cut(6, 12, 0.7, 10, 58, 40),
    "jagged": Cut(5, 30, 1.0, 6, 8, -4),
    "open": Cut(6, 3, 0.6, 0, 60, 34),
}


@dataclass(frozen=True)
class Fringe:
    """The roots between the locks, [n + 1], and the whole edge, both from left to right."""

    roots: Shape
    edge: Shape


def cut_fringe(factors: Factors) -> Fringe:
    """Lay out the fringe of one face."""
    cut = CUTS[factors.fringe]
    parting = 34.0 * factors.parting
    wobble = jitter(factors.strand_seed)
    x = spread(-HALF_FRINGE, HALF_FRINGE, cut.count + 1)
    x[1:-1] += 4.0 * wobble[1 : cut.count]
    middle = 0.5 * (x[1:] + x[:-1])

    def level(at: Array) -> Array:
        free = 32.0 * factors.fringe_length - 42.0 - cut.lift
        hanging = free + cut.drop * (np.abs(at - parting) / 66.0) ** 1.3
        return np.minimum(hanging, 20.0 * (at / HALF_FRINGE) ** 4 - 10.0)  # keeps off the eyes

    uneven = 4.0 * wobble[cut.count + 1 : 2 * cut.count + 1] * (cut.notch > 6)
    tips = middle + cut.lean * np.sign(middle - parting) + 1j * (level(middle) + uneven)
    roots = x + 1j * (level(x) - cut.notch)
    return Fringe(roots, locks(roots, tips, cut.power, 3))


def covers_ears(factors: Factors) -> bool:
    """Whether the locks beside the face hide the ears whole."""
    return factors.hair_style not in GATHERED and end_beside(factors) > 50.0


def draw_fringe_shadow(pen: Pen, fringe: Fringe, factors: Factors, paints: Paints) -> None:
    """What the fringe casts on the forehead, and the blur of a soft hairline."""
    pen = pen.at(CAP_DEPTH)
    cast = (4.0 + 7.0 * factors.shading) * 1j - 4.0 * factors.light
    pen.fill(np.concatenate([fringe.edge + cast, [54 - 70j, -54 - 70j]]), paints.skin_shadow)
    softness = 1.0 - factors.hairline_sharpness
    for reach, share in ((20, 0.3), (9, 0.65)):
        blur = mix(paints.skin_shadow, paints.hair, share)
        pen.line(fringe.edge, blur, 1 + reach * softness)


def draw_front_hair(pen: Pen, fringe: Fringe, factors: Factors, paints: Paints) -> None:
    """The cap of hair with strands and shine, then the locks beside the face."""
    pen = pen.at(CAP_DEPTH)
    crown = _crown(factors)
    pen.fill(np.concatenate([fringe.edge, crown]), paints.hair)
    _draw_strands(pen, fringe, factors, paints)
    _draw_shine(pen, factors, paints)
    pen.line(fringe.edge, mix(paints.hair, paints.hair_line, factors.hairline_sharpness))
    pen.line(crown, paints.hair_line)
    if factors.ahoge > 0:
        _draw_ahoge(pen, factors, paints)
    _draw_side_locks(pen.at(SIDE_DEPTH), factors, paints)


def _crown(factors: Factors) -> Shape:
    """The rim of the hair over the head, from the right ear to the left one: [n]."""
    if factors.hair_style != "spiky":
        return SKULL + rim(factors) * ROUND_CROWN
    wobble = jitter(factors.strand_seed)[:9]
    angles = spread(1.8, -1.8, 10)
    tips = 0.5 * (angles[1:] + angles[:-1]) + 0.12 * wobble + 0.1 * np.sign(angles[1:])
    height = (0.08 + 0.2 * factors.hair_length) * (1 + 0.4 * wobble)
    row = locks(angles, tips + 1j * height, 0.8, 3)
    return on_skull(row.real, rim(factors) + row.imag)


def _draw_shine(pen: Pen, factors: Factors, paints: Paints) -> None:
    """A band of light around the head, ragged below where the locks bend it."""
    middle = 0.45 * factors.light
    angles = spread(middle - 0.8, middle + 0.8, 8)
    tips = 0.5 * (angles[1:] + angles[:-1]) - 1j * (0.12 - 0.07 * jitter(factors.strand_seed)[:7])
    band = np.concatenate([locks(angles, tips, 0.8, 3) + 0.76j, angles[::-1] + 0.82j])
    pen.fill(on_skull(band.real, band.imag), paints.hair_light)


def _draw_strands(pen: Pen, fringe: Fringe, factors: Factors, paints: Paints) -> None:
    """Dark strands from the gaps of the fringe towards the whorl, and along the sides."""
    roots = fringe.roots[1:-1, None]
    way = 20.0 * factors.parting - 104j - roots
    strands = roots + way * STRAND.real - way.real * STRAND.imag
    widths = 3.0 * np.array([0, 1, 0.7, 0, -0.7, -1])
    pen.fill_each(strands + widths, [paints.hair_shadow] * len(strands))
    pen.line_each(SIDE_STRANDS, paints.hair_shadow)


def _draw_side_locks(pen: Pen, factors: Factors, paints: Paints) -> None:
    """The hair from the temples down past the cheeks; it darkens towards its tips."""
    end = end_beside(factors)
    wide = 79.0 if factors.hair_style in GATHERED else 87.0
    outer = [78 - 46j, 85 - 16j, wide + 0.35j * end, wide - 3 + 0.7j * end, 66 + 1j * end]
    inner = [58 + 0.55j * end, 54 - 6j, 50 - 34j, 54 - 56j]
    sizes = np.array([[1.0], [0.72], [0.45]])  # of the lock, and of its darker ends
    ends = outer[-1] + sizes * (smooth([*outer, *inner], 3) - outer[-1])
    shapes = on_both_sides(waved(ends, factors))
    half_dark = mix(paints.hair, paints.hair_shadow, 0.5)
    for side in shapes:
        pen.fill_each(side, (paints.hair, half_dark, paints.hair_shadow))
    pen.line_each(shapes[:, 0, 9:24], paints.hair_line)
    strand = smooth_line([66 - 44j, 72 - 8j, 70 + 0.75j * end])
    pen.line_each(on_both_sides(waved(strand, factors)), paints.hair_shadow)


def _draw_ahoge(pen: Pen, factors: Factors, paints: Paints) -> None:
    """A lone strand that stands up and bends over, away from the parting."""
    root = 20.0 * factors.parting - 98j
    bend = -16.0 if factors.parting > 0 else 16.0
    height = 26.0 * factors.ahoge
    across, up = np.array([0, -0.1, 0.7, 1.6]), np.array([0, 0.7, 1.0, 0.6])
    strand = root + bend * across - 1j * height * up
    pen.fill(stroke(strand, 11), paints.hair, paints.hair_line)
