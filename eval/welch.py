"""Differences of means whose variances may differ: of two samples, and in a 2 x 2 design."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from eval.effects import Floats

LEVEL = 0.95


@dataclass(frozen=True)
class Effect:
    """A difference of two means, b less a.

    Attributes:
        low: and `high`, its 95% interval.
        p: two-sided, of there being none.
        n_a: and `n_b`, of how many values.
        hedges_g: the difference in pooled standard deviations, corrected for small samples.
    """

    difference: float
    low: float
    high: float
    p: float
    n_a: int
    n_b: int
    hedges_g: float

    @property
    def is_none(self) -> bool:
        """Whether it cannot be told from nothing."""
        return self.low <= 0 <= self.high

    def reversed(self) -> "Effect":
        """The same of a less b."""
        interval = -self.difference, -self.high, -self.low
        return Effect(*interval, self.p, self.n_b, self.n_a, -self.hedges_g)


def welch(a: Sequence[float], b: Sequence[float]) -> Effect:
    """The mean of b less that of a, with Welch's interval (1947): variances may differ.

    Raises:
        ValueError: a side has fewer than two values.
    """
    samples = [np.asarray(values, float) for values in (a, b)]
    return Effect(*_contrast(samples, [-1, 1]), len(a), len(b), _hedges_g(*samples))


def factorial(cells: Mapping[tuple[str, str], Sequence[float]]) -> pd.DataFrame:
    """What each of two factors does in a 2 x 2 design, and what they do together.

    Args:
        cells: the values at each (network, training); effects are counted from the levels of the
            first one.

    Returns:
        Rows `network`, `training`, `interaction`; columns `of`, `value`, `low`, `high`, `p`. A
        factor's effect is the mean of its effects at the two levels of the other one. The
        interaction is the second network's effect of training, less the first one's.

    Raises:
        ValueError: the design is no 2 x 2, or a cell has fewer than two values.
    """
    networks, trainings = ([*dict.fromkeys(levels)] for levels in zip(*cells, strict=True))
    if (len(cells), len(networks), len(trainings)) != (4, 2, 2):
        raise ValueError(f"it takes four cells, of two networks and two trainings: {[*cells]}")
    samples = [np.asarray(cells[n, t], float) for n in networks for t in trainings]
    network, training = (" less ".join(levels[::-1]) for levels in (networks, trainings))
    contrasts = {
        "network": (network, [-0.5, -0.5, 0.5, 0.5]),
        "training": (training, [-0.5, 0.5, -0.5, 0.5]),
        "interaction": (f"{training} of {network}", [1.0, -1.0, -1.0, 1.0]),
    }
    rows = {name: (of, *_contrast(samples, weights)) for name, (of, weights) in contrasts.items()}
    return pd.DataFrame.from_dict(rows, "index", columns=["of", "value", "low", "high", "p"])


def _contrast(
    samples: Sequence[Floats], weights: Sequence[float]
) -> tuple[float, float, float, float]:
    """A weighted sum of means, its interval and p; degrees of freedom by Satterthwaite (1946)."""
    counts = np.array([len(sample) for sample in samples])
    if counts.min() < 2:
        raise ValueError("an interval takes at least two values of each")
    value = float(np.dot(weights, [sample.mean() for sample in samples]))
    variances = np.square(weights) * [sample.var(ddof=1) for sample in samples] / counts
    error = math.sqrt(variances.sum())
    if error == 0:
        return value, value, value, float(value == 0)
    shares = variances / variances.sum()
    freedom = 1 / (shares**2 / (counts - 1)).sum()
    reach = error * stats.t.ppf((1 + LEVEL) / 2, freedom)
    p = 2 * stats.t.sf(abs(value) / error, freedom)
    return value, float(value - reach), float(value + reach), float(p)


def _hedges_g(a: Floats, b: Floats) -> float:
    """Hedges (1981), with the exact correction for small samples."""
    difference, freedom = float(b.mean() - a.mean()), len(a) + len(b) - 2
    pooled = math.sqrt((len(a) * a.var() + len(b) * b.var()) / freedom)
    if pooled == 0:
        return math.copysign(math.inf, difference) if difference else 0.0
    log_ratio = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    return float(difference / pooled * np.exp(log_ratio) / math.sqrt(freedom / 2))
