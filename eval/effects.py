"""Effects on attributes of faces: how far each moves, with an interval, in units in common.

An attribute is a vector, [N, k] for N images: a scalar as a share of its range (k = 1), a hue as
its cosine and sine (k = 2), a category as the probabilities of its values (k = K).
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap

from eval.attributes import read_attributes, standing
from eval.extractors import Extractor
from eval.faces.targets import TARGETS, Target
from eval.features import Watch, extract, unwatched
from eval.images import Images

Floats = NDArray[np.float64]
Vectors = dict[str, Floats]
Interval = tuple[float, float, float]  # a value, and its 95% interval
Key = TypeVar("Key", bound=Hashable)
RESAMPLES = 2000


@dataclass(frozen=True)
class Effect:
    """A number of an attribute, with its 95% interval.

    Attributes:
        count: base latents, or pairs of them, that it is a mean over.
    """

    attribute: str
    value: float
    low: float
    high: float
    count: int

    @property
    def is_none(self) -> bool:
        """Whether it cannot be told from nothing."""
        return self.low <= 0 <= self.high


def read(
    extractor: Extractor, images: Images, what: str = "images", watch: Watch = unwatched
) -> Vectors:
    """The attributes of images, as the `faces` extractor reads them."""
    return as_vectors(read_attributes(extract(extractor, images, what, watch)))


def as_vectors(read: Mapping[str, Floats]) -> Vectors:
    """What `read_attributes` gives, as vectors."""
    return {target.name: _as_vector(target, read[target.name]) for target in TARGETS}


def difference(a: Vectors, b: Vectors) -> dict[str, Floats]:
    """How different a's and b's images are, [N] for each attribute: 0 the same, 1 as can be.

    Scalars as a share of their range, hues of the half circle, categories as the total variation.
    """
    return {target.name: _difference(target, a[target.name], b[target.name]) for target in TARGETS}


def share_moved(a: Vectors, b: Vectors, mixed: Vectors, seed: int = 0) -> list[Effect]:
    """How much of the way from a's to b's attributes `mixed` has gone: 0 is a, 1 is b.

    The projection of (mixed - a) on (b - a), over all pairs: sum (m - a).(b - a) / sum |b - a|^2,
    so that pairs which hardly differ do not count. Intervals by bootstrap over pairs.
    """
    count = len(next(iter(a.values())))
    return _effects(partial(shares, a, b, mixed), count, seed)


def shares(a: Vectors, b: Vectors, mixed: Vectors, times: Floats) -> dict[str, Floats]:
    """The same in resamples, [R] of each attribute.

    Args:
        times: how often each of the pairs counts, [R, N].
    """
    found = {}
    for name in a:
        way, gone = b[name] - a[name], mixed[name] - a[name]
        found[name] = ratio(times @ (gone * way).sum(1), times @ (way * way).sum(1))
    return found


def mean_effect(values: Mapping[str, Floats], seed: int = 0) -> list[Effect]:
    """The mean of values [N] of each attribute; intervals by bootstrap over the N."""
    count = len(next(iter(values.values())))
    return _effects(
        lambda times: {name: times @ found / count for name, found in values.items()}, count, seed
    )


def intervals(
    statistics: Callable[[Floats], Mapping[Key, Floats]], count: int, seed: int = 0
) -> dict[Key, Interval]:
    """Numbers of `count` things, each with its interval by bootstrap over the things.

    All share their resamples.

    Args:
        statistics: the numbers, [R], of `times` [R, count]: how often each resample has each thing.
    """

    def of_resamples(taken: Floats, axis: int) -> Floats:
        times = np.stack([np.bincount(each, minlength=count) for each in taken.reshape(-1, count)])
        return np.stack(list(statistics(times.astype(float)).values()))

    values = statistics(np.ones((1, count)))
    found = bootstrap(
        (np.arange(count),),
        of_resamples,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return {
        key: (float(values[key][0]), float(low), float(high))
        for key, low, high in zip(values, found.low, found.high, strict=True)
    }


def slopes(x: Floats, values: Floats) -> Floats:
    """The least-squares slope of each row of values [B, S] against x [S]: [B]."""
    centred = x - x.mean()
    found: Floats = (values - values.mean(1, keepdims=True)) @ centred / (centred @ centred)
    return found


def ratio(numerators: Floats, denominators: Floats) -> Floats:
    """Their ratios; 0 where there is nothing to divide by."""
    nothing = np.zeros_like(denominators)
    return np.divide(numerators, denominators, out=nothing, where=denominators > 0)


def frame(effects: Iterable[Effect], **columns: Any) -> pd.DataFrame:
    """Effects as rows, with what else there is to say of all of them, and of what reads them.

    `effect` is `none` where the interval holds 0.
    """
    trust = standing()
    rows = [
        {
            **columns,
            **asdict(effect),
            "effect": "none" if effect.is_none else "yes",
            **trust.get(effect.attribute, {}),
        }
        for effect in effects
    ]
    return pd.DataFrame(rows)


def _effects(
    statistics: Callable[[Floats], Mapping[str, Floats]], count: int, seed: int
) -> list[Effect]:
    found = intervals(statistics, count, seed)
    return [Effect(name, *interval, count) for name, interval in found.items()]


def _as_vector(target: Target, values: Floats) -> Floats:
    if target.kind == "category":
        return values
    if target.kind == "hue":
        angle = np.deg2rad(values)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return ((values - target.low) / (target.high - target.low))[:, None]


def _difference(target: Target, a: Floats, b: Floats) -> Floats:
    if target.kind == "category":
        found: Floats = np.abs(a - b).sum(1) / 2
    elif target.kind == "hue":
        found = np.arccos(np.clip((a * b).sum(1), -1, 1)) / np.pi
    else:
        found = np.abs(a - b)[:, 0]
    return found
