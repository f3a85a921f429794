"""Jensen-Shannon divergence: how differently two samples spread over the same classes or bins."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr

from eval.frechet import Floats


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> float:
    """Divergence in bits, from 0 (the same) to 1 (nothing in common); symmetric (Lin 1991).

    The order of the classes has no say, so bins on a circle are bins like any others.

    Args:
        p: counts or probabilities [K] of each class.
        q: the same of another sample, of whatever size.

    Raises:
        ValueError: numbers of classes differ, or are not those of a distribution.
    """
    first, second = _distribution(p), _distribution(q)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} classes and {len(second)} classes do not compare")
    middle = (first + second) / 2
    nats = (rel_entr(first, middle).sum() + rel_entr(second, middle).sum()) / 2
    # What is outside [0, 1] is rounding.
    return float(np.clip(nats / np.log(2), 0, 1))


def binned(values: ArrayLike, edges: ArrayLike) -> NDArray[np.int64]:
    """How many values [N] are in each bin between ascending edges [K + 1]: counts [K].

    The caller fixes the edges, for attributes have known ranges: numbers then compare between runs
    and references, which they would not with the quantiles of one reference. A bin holds its lower
    edge; what is beyond an end counts in the last bin there, since an estimate that overshoots is
    still a very small or a very large value. Angles are to be brought into one turn first
    (`hue % 360`).

    Raises:
        ValueError: values that are not finite, or edges that do not ascend.
    """
    found, bounds = np.asarray(values, np.float64), np.asarray(edges, np.float64)
    if not np.isfinite(found).all():
        raise ValueError("there are values that are not finite")
    if len(bounds) < 2 or not (np.diff(bounds) > 0).all():
        raise ValueError("the edges of bins must ascend, and be two at least")
    return np.bincount(np.searchsorted(bounds[1:-1], found, "right"), minlength=len(bounds) - 1)


def sampling_floor(classes: int, count_a: int, count_b: int) -> float:
    """The divergence to expect of two samples of one distribution, in bits, if no class is rare.

    To second order it is the sum of (p - q)^2 / p over the classes, over 8 ln 2; the sum is
    (1 / N1 + 1 / N2) times a chi-squared with K - 1 degrees of freedom.
    """
    return (classes - 1) * (1 / count_a + 1 / count_b) / (8 * np.log(2))


def _distribution(weights: ArrayLike) -> Floats:
    found = np.asarray(weights, np.float64)
    if found.ndim != 1 or not np.isfinite(found).all() or (found < 0).any() or not found.sum() > 0:
        raise ValueError("a distribution is a list of counts or probabilities, none below 0")
    return found / found.sum()
