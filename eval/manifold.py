"""Precision, recall, density and coverage: where two sets of features lie, and not how far apart.

The space that a set occupies is the union of balls around its points, each as large as the
distance to the point's k-th nearest neighbour in the set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eval.frechet import Floats, as_features, same_dimension

# Neighbours that make a ball: for precision and recall, and for density and coverage.
PRECISION_K = 3
DENSITY_K = 5
BLOCK = 512  # rows of distances at a time: 80 MiB against 20,000 points


@dataclass(frozen=True)
class Manifold:
    """Shares of points, but for density.

    Precision and recall are of Kynkaanniemi et al. 2019 (arXiv 1904.06991, k = 3), density and
    coverage of Naeem et al. 2020 (arXiv 2002.09797, k = 5).

    Attributes:
        precision: fakes inside the ball of any real.
        recall: reals inside the ball of any fake.
        density: reals' balls that a fake is in, on average, over k. It is 1 where the sets have the
            same distribution, and may be above 1.
        coverage: reals with a fake in their ball. Even for the same distribution it depends on the
            counts: about 1 - (N2 / (N1 + N2))^k, which is 31/32 for as many fakes as reals.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(*, reals: ArrayLike, fakes: ArrayLike) -> Manifold:
    """Precision, recall, density and coverage of fakes [N1, D] and reals [N2, D].

    Exact: all distances are computed, a block at a time. Balls are closed, and a point is no
    neighbour of itself, but a copy of it is: so where more than k points coincide, their balls have
    a radius of 0 and hold just their copies.

    Raises:
        ValueError: no more images than k, features of different dimensions, or not finite.
    """
    real, fake = as_features(reals, DENSITY_K + 1), as_features(fakes, PRECISION_K + 1)
    same_dimension(real, fake)
    # Squares are differences of squared norms: about a common centre those are smallest, and the
    # least is lost to cancellation.
    centre = real.mean(0)
    real, fake = real - centre, fake - centre
    real_small, real_large = _radii(real, (PRECISION_K, DENSITY_K))
    (fake_small,) = _radii(fake, (PRECISION_K,))

    precise = dense = 0
    recalled = np.zeros(len(real), bool)
    covered = np.zeros(len(real), bool)
    for rows, squares in _squares(fake, real):
        inside = squares <= real_large
        precise += (squares <= real_small).any(1).sum()
        dense += inside.sum()
        covered |= inside.any(0)
        recalled |= (squares <= fake_small[rows, None]).any(0)
    return Manifold(
        precision=float(precise / len(fake)),
        recall=float(recalled.mean()),
        density=float(dense / (DENSITY_K * len(fake))),
        coverage=float(covered.mean()),
    )


def _radii(points: Floats, ks: Sequence[int]) -> Floats:
    """Squared distances of each of N points to its k-th nearest neighbours, [len(ks), N].

    They are widened by what rounding may take from an equal distance, so that ties are ties: a dot
    product of D terms is off by at most D eps |x| |y|, and within the ball |y| <= |x| + r.
    """
    which = [k - 1 for k in ks]
    found = np.empty((len(ks), len(points)))
    for rows, squares in _squares(points, points):
        itself = np.arange(rows.start, rows.stop)
        squares[itself - rows.start, itself] = np.inf
        squares.partition(which, axis=1)
        found[:, rows] = squares[:, which].T
    found = np.maximum(found, 0)
    reach = 2 * np.linalg.norm(points, axis=1) + np.sqrt(found)
    return found + 2 * points.shape[1] * np.finfo(np.float64).eps * np.square(reach)


def _squares(x: Floats, y: Floats) -> Iterator[tuple[slice, Floats]]:
    """Squared distances between all x [N, D] and all y [M, D], a block of rows of x at a time."""
    x_norms, y_norms = np.square(x).sum(1), np.square(y).sum(1)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, min(start + BLOCK, len(x)))
        squares = x[rows] @ y.T
        squares *= -2
        squares += x_norms[rows, None]
        squares += y_norms
        yield rows, squares
