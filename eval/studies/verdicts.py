"""From a claim's numbers to what they say of it: holds, does not hold, undecided."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from eval.effects import Floats
from eval.welch import welch

ALPHA = 0.05
LEAST_SEEDS = 2  # a side: with one, nothing says what another seed would change

Verdict = Literal["holds", "does not hold", "undecided"]


class NotRunError(Exception):
    """A claim cannot be measured on these runs; the message says why."""


class UnpriceableError(NotRunError):
    """... and nobody can say how many more would do."""


@dataclass(frozen=True)
class Part:
    """A number that a claim says is on one side of a threshold.

    Attributes:
        low: and `high`, the 95% interval.
        above: the side.
        freedom: degrees of freedom of Student's t, which the interval was taken from.
        exact: p, where it comes from something better than the interval.

    Raises:
        NotRunError: there is no interval.
    """

    name: str
    value: float
    low: float
    high: float
    threshold: float
    above: bool = True
    freedom: float = math.inf
    exact: float | None = None

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.value, self.low, self.high))):
            raise NotRunError(f"{self.name}: nothing varies that an interval could be made of")

    @property
    def holds(self) -> bool:
        return self.value > self.threshold if self.above else self.value < self.threshold

    @property
    def p(self) -> float:
        """Two-sided; below 0.05 where the interval does not reach the threshold."""
        if self.exact is not None:
            return self.exact
        away = self.value - self.threshold
        reach = self.value - self.low if away > 0 else self.high - self.value
        if away == 0 or reach <= 0:
            return float(away == 0)
        quantile = stats.t.ppf(1 - ALPHA / 2, self.freedom)
        return float(2 * stats.t.sf(abs(away) / reach * quantile, self.freedom))


@dataclass(frozen=True)
class Found:
    """What was measured of a claim, which holds if each part does.

    Attributes:
        note: what else a reader should know, such as what was left out.
        sign: of a trend of which only the size was tested, as its sign is arbitrary.
        heads: the attributes that were read for it.
    """

    parts: tuple[Part, ...]
    note: str
    sign: int | None = None
    heads: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return all(part.holds for part in self.parts)

    @property
    def deciding(self) -> Part:
        """The least sure part of a claim that holds; else the surest of those that contradict."""
        if self.holds:
            return max(self.parts, key=lambda part: part.p)
        return min((part for part in self.parts if not part.holds), key=lambda part: part.p)

    @property
    def p(self) -> float:
        """Of all parts holding, or else of any not: for that, Bonferroni's."""
        return self.deciding.p if self.holds else min(1.0, len(self.parts) * self.deciding.p)


def over(name: str, values: ArrayLike, threshold: float, above: bool = True) -> Part:
    """The mean of a few numbers, with Student's interval: a bootstrap of so few is too narrow.

    Raises:
        NotRunError: there are fewer than two.
    """
    found = np.asarray(values, float)
    if len(found) < 2:
        raise NotRunError(f"{name}: a mean over {len(found)} numbers has no interval")
    freedom = len(found) - 1
    reach = stats.t.ppf(1 - ALPHA / 2, freedom) * stats.sem(found)
    mean = found.mean()
    return Part(name, mean, mean - reach, mean + reach, threshold, above, freedom)


def apart(
    name: str, a: Sequence[float], b: Sequence[float], threshold: float = 0.0, above: bool = True
) -> Part:
    """The mean of b less that of a, a value each training seed, with Welch's interval.

    Raises:
        NotRunError: a side has too few.
    """
    if min(len(a), len(b)) < LEAST_SEEDS:
        raise NotRunError(
            f"{name}: {len(a)} and {len(b)} training seeds; at least {LEAST_SEEDS} a side are "
            "needed"
        )
    effect = welch(a, [value - threshold for value in b])
    value, low, high = (x + threshold for x in (effect.difference, effect.low, effect.high))
    return Part(name, value, low, high, threshold, above, exact=effect.p)


def counted(name: str, hits: int, count: int, threshold: float) -> Part:
    """A share of independent trials, with the exact binomial interval and p.

    A bootstrap of a share that is 0 or 1 has no width.
    """
    test = stats.binomtest(hits, count, threshold)
    interval = test.proportion_ci()
    return Part(name, test.statistic, interval.low, interval.high, threshold, exact=test.pvalue)


def one_sided(part: Part) -> Part:
    """The same with the p of its own side alone.

    A claim of equivalence is two such parts, the number above a lower margin and below an upper
    one: two one-sided tests, which hold where the 90% interval is within (Schuirmann 1987).
    """
    return replace(part, exact=part.p / 2)


def pooled(founds: Sequence[Found]) -> Found:
    """What runs that differ in nothing but the seed say together: Student's t over the seeds.

    A threshold that each run has for itself, such as its random directions, is taken off before.
    """
    if len(founds) == 1:
        return founds[0]
    parts = tuple(_pooled(same) for same in zip(*(found.parts for found in founds), strict=True))
    note = "; ".join([f"over {len(founds)} training seeds", *_told(founds)])
    return Found(parts, note, heads=founds[0].heads)


def _pooled(parts: Sequence[Part]) -> Part:
    margin = over(parts[0].name, [part.value - part.threshold for part in parts], 0.0)
    threshold = float(np.mean([part.threshold for part in parts]))
    value, low, high = (x + threshold for x in (margin.value, margin.low, margin.high))
    return Part(margin.name, value, low, high, threshold, parts[0].above, margin.freedom)


def _told(founds: Sequence[Found]) -> list[str]:
    """Each part's values, and whether arbitrary signs agree, which decides nothing."""
    each = [
        f"{same[0].name} {', '.join(f'{part.value:.3g}' for part in same)}"
        for same in zip(*(found.parts for found in founds), strict=True)
    ]
    signs = [found.sign for found in founds if found.sign is not None]
    if signs:
        rising = sum(sign > 0 for sign in signs)
        p = stats.binomtest(rising, len(signs)).pvalue
        each.append(
            f"apart from that, the trend rises in {rising} of {len(signs)} (exact binomial p "
            f"{p:.2g} of its sign being arbitrary)"
        )
    return each


def holm(ps: ArrayLike) -> Floats:
    """p values [N] corrected for their number (Holm 1979): the share of families with an error."""
    found = np.asarray(ps, float)
    order = np.argsort(found, kind="stable")
    steps = found[order] * np.arange(len(found), 0, -1)
    corrected = np.empty_like(found)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def verdict(found: Found, corrected: float) -> Verdict:
    """What a claim's numbers say, when its p has been corrected for the others'."""
    if corrected > ALPHA:
        return "undecided"
    return "holds" if found.holds else "does not hold"
