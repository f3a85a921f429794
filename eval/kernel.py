"""Kernel distance (KID): the squared maximum mean discrepancy of two sets of features, unbiased.

The kernel is (x.y / D + 1)^3 (Binkowski et al. 2018, arXiv 1801.01401).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eval.frechet import Floats, as_features, same_dimension


@dataclass(frozen=True)
class KernelDistance:
    """A mean over random subsets of both sets.

    Attributes:
        value: the distance. Unbiased, and so below 0 half of the time where there is none.
        subset_std: the standard deviation (n - 1) of one subset's distance. It is not the standard
            error of `value`, for subsets overlap; where a subset is the whole of both sets, it
            is 0.
    """

    value: float
    subset_std: float


def kernel_distance(
    *,
    reals: ArrayLike,
    fakes: ArrayLike,
    seed: int = 0,
    subsets: int = 100,
    subset_size: int = 1000,
) -> KernelDistance:
    """Kernel distance of fakes [N1, D] to reals [N2, D].

    The subsets are those that clean-fid draws after `np.random.seed(seed)`, so the value is its,
    computed in float64.

    Args:
        subset_size: how many images of either set; those of the smaller set at most.

    Raises:
        ValueError: fewer than two images or two subsets, features of different dimensions, or not
            finite.
    """
    real, fake = as_features(reals, least=2), as_features(fakes, least=2)
    same_dimension(real, fake)
    size = min(len(real), len(fake), subset_size)
    if min(subsets, size) < 2:
        raise ValueError("a kernel distance needs at least 2 subsets of at least 2 images")
    random = np.random.RandomState(seed)
    distances = []
    for _ in range(subsets):
        fake_subset = fake[random.choice(len(fake), size, replace=False)]
        real_subset = real[random.choice(len(real), size, replace=False)]
        distances.append(_mmd(fake_subset, real_subset))
    return KernelDistance(float(np.mean(distances)), float(np.std(distances, ddof=1)))


def _mmd(x: Floats, y: Floats) -> float:
    """Squared MMD of x and y, [M, D] each, without bias: no image is compared with itself."""
    size = len(x)
    within = sum(kernel.sum() - kernel.trace() for kernel in (_kernel(x, x), _kernel(y, y)))
    return float(within / (size * (size - 1)) - 2 * _kernel(x, y).mean())


def _kernel(x: Floats, y: Floats) -> Floats:
    linear = x @ y.T / x.shape[1] + 1
    return linear * linear * linear  # a power takes ten times as long
