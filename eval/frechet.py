"""Frechet distance: how far apart two sets of features are, taken as two Gaussians.

With means m and covariances S it is |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (Heusel et al.
2017, arXiv 1706.08500, equation 6). Where S = F F^T, the trace of the root is the sum of the
singular values of F1^T F2, so no root of a matrix is ever taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import torch
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# The least eigenvalue, relative to the largest, of a square whose roots are exact to 1e-8 in all.
LEAST_SQUARE = 1e-14
# Wholes, halves, thirds, quarters: smaller samples bend the line.
MOST_PARTS = 4


class TooFewImages(ValueError):
    """There are fewer images than a number needs to mean anything."""


def as_features(features: ArrayLike, least: int) -> Floats:
    """Features [N, D] in float64, checked: at least so many images, no NaN and no infinity.

    Raises:
        ValueError: they are not.
    """
    found = np.asarray(features, dtype=np.float64)
    if found.ndim != 2:
        raise ValueError(f"features are [N, D], not of shape {list(found.shape)}")
    if len(found) < least:
        raise TooFewImages(f"{len(found)} images are too few: at least {least} are needed")
    if not np.isfinite(found).all():
        raise ValueError("there are features that are not finite")
    return found


def same_dimension(a: Floats, b: Floats) -> None:
    """Refuse features, or means of features, of two extractors.

    Raises:
        ValueError: with both dimensions.
    """
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"features of {a.shape[-1]} and of {b.shape[-1]} dimensions do not compare"
        )


@dataclass(frozen=True, eq=False)
class Moments:
    """What the distance knows of a set of features.

    Attributes:
        count: how many images.
        mean: float64 [D].
        factor: float64 [D, min(N, D)]; factor @ factor.T is the unbiased covariance.
    """

    count: int
    mean: Floats
    factor: Floats

    @classmethod
    def of(cls, features: ArrayLike) -> "Moments":
        """Moments of features [N, D] of any float type, accumulated in float64.

        Raises:
            ValueError: fewer than two images, or features that are not finite.
        """
        found = as_features(features, least=2)
        mean = found.mean(0)
        return cls(len(found), mean, _factor((found - mean) / np.sqrt(len(found) - 1)))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Moments":
        """What `arrays` gave, for instance out of a file."""
        return cls(int(arrays["count"]), arrays["mean"], arrays["factor"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, to be kept: the factor of 2,048 dimensions is 32 MiB."""
        return {"count": np.array(self.count), "mean": self.mean, "factor": self.factor}

    @property
    def trace(self) -> float:
        """The total variance."""
        return float(np.square(self.factor).sum())


def frechet_distance(a: Moments, b: Moments) -> float:
    """Frechet distance of two sets of features: symmetric, and at least 0.

    Rounding stays below 1e-8 of the two total variances, and is mostly 1e-14; so does a set's
    distance to itself.

    Raises:
        ValueError: features of different dimensions.
    """
    same_dimension(a.mean, b.mean)
    shift = np.square(a.mean - b.mean).sum()
    spread = a.trace + b.trace - 2 * _nuclear_norm(a.factor.T @ b.factor)
    # No distance is negative: what is below 0 is rounding, of two traces that nearly cancel.
    return float(max(0.0, shift + spread))


@dataclass(frozen=True)
class Extrapolation:
    """A line through distances of samples of several sizes.

    Attributes:
        value: the distance at infinitely many images, free of the bias in 1/n. It may be below 0.
        slope: slope / n is the bias of a distance of n fakes to n reals.
        sizes: how many images of either set each distance is of, the largest first.
        distances: the mean distance at each size.
    """

    value: float
    slope: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def frechet_infinity(fakes: ArrayLike, reals: ArrayLike, *, seed: int = 0) -> Extrapolation:
    """Frechet distance of infinitely many fakes to infinitely many reals (FID-infinity).

    The bias of a distance is proportional to 1/n (Chong & Forsyth 2020, arXiv 1911.07023). They
    vary n of the fakes alone, which leaves the bias that the reals bring; here both sets have n
    images. n is N, N/2, N/3 and N/4, evenly spaced in 1/n, where N is the size of the smaller set.
    Both are shuffled and cut into parts, which pair off: the mean over 2, 3 or 4 pairs has less
    noise than one pair.

    Only n above D are used, as singular covariances bend the line: N is at least 2 (D + 1).

    Args:
        fakes: [N1, D].
        reals: [N2, D].
        seed: of the shuffling.

    Raises:
        TooFewImages: N is below 2 (D + 1).
        ValueError: features of different dimensions, or not finite.
    """
    a, b = as_features(fakes, least=2), as_features(reals, least=2)
    same_dimension(a, b)
    smaller, dimension = min(len(a), len(b)), a.shape[1]
    sizes = [n for n in (smaller // parts for parts in range(1, MOST_PARTS + 1)) if n > dimension]
    if len(sizes) < 2:
        raise TooFewImages(
            f"{smaller} images are too few to extrapolate from: features of {dimension} "
            f"dimensions need {2 * (dimension + 1)}"
        )
    random = np.random.default_rng(seed)
    a, b = random.permutation(a), random.permutation(b)
    distances = [_mean_distance(a, b, n, smaller // n) for n in sizes]
    slope, value = np.polyfit(1 / np.array(sizes), distances, 1)
    return Extrapolation(float(value), float(slope), tuple(sizes), tuple(distances))


def _mean_distance(a: Floats, b: Floats, size: int, parts: int) -> float:
    """The mean distance of the first parts of `a` to those of `b`."""
    starts = range(0, size * parts, size)
    pairs = [(Moments.of(a[i : i + size]), Moments.of(b[i : i + size])) for i in starts]
    return float(np.mean([frechet_distance(*pair) for pair in pairs]))


def _factor(centred: Floats) -> Floats:
    """F [D, min(N, D)] with F F^T = X^T X, of X [N, D]."""
    if len(centred) <= centred.shape[1]:
        return centred.T
    try:
        return scipy.linalg.cholesky(centred.T @ centred, lower=True)
    except scipy.linalg.LinAlgError:  # dead or repeated features: this takes three times as long
        return scipy.linalg.qr(centred, mode="r")[0][: centred.shape[1]].T


def _nuclear_norm(matrix: Floats) -> float:
    """The sum of the singular values of a matrix.

    As roots of the eigenvalues of its square they take less than half the time, but small ones
    drown in the rounding of the largest.
    """
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    squares = _eigenvalues(matrix @ matrix.T)
    if squares[0] > LEAST_SQUARE * squares[-1]:
        return float(np.sqrt(squares).sum())
    return float(scipy.linalg.svdvals(matrix).sum())


def _eigenvalues(symmetric: Floats) -> Floats:
    """Ascending; by torch, whose LAPACK takes half as long as numpy's."""
    found: Floats = torch.linalg.eigvalsh(torch.from_numpy(symmetric)).numpy()
    return found
