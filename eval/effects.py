"""Effects on attributes of faces: how far each moves, with an interval, in units in common.

An attribute is a vector, [N, k] for N images: a scalar as a share of its range (k = 1), a hue as
its cosine and sine (k = 2), a category as the probabilities of its values (k = K).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap
from torch import Tensor

from eval.attributes import read_attributes, standing
from eval.extractors import Extractor
from eval.faces.targets import TARGETS, Target
from eval.images import BATCH

Floats = NDArray[np.float64]
Vectors = dict[str, Floats]
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


def vectors_of(images: Tensor, extractor: Extractor) -> Vectors:
    """The attributes of images, uint8 [N, 3, H, W], as the `faces` extractor reads them."""
    features = np.concatenate([extractor.embed(x).cpu().numpy() for x in images.split(BATCH)])
    return as_vectors(read_attributes(features))


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
    effects = []
    for name in a:
        way, gone = b[name] - a[name], mixed[name] - a[name]
        parts = (gone * way).sum(1), (way * way).sum(1)
        effects.append(_effect(name, parts, _ratio, seed))
    return effects


def mean_effect(values: Mapping[str, Floats], seed: int = 0) -> list[Effect]:
    """The mean of values [N] of each attribute; intervals by bootstrap over the N."""
    return [_effect(name, (found,), np.mean, seed) for name, found in values.items()]


def slopes(x: Floats, values: Floats) -> Floats:
    """The least-squares slope of each row of values [B, S] against x [S]: [B]."""
    centred = x - x.mean()
    found: Floats = (values - values.mean(1, keepdims=True)) @ centred / (centred @ centred)
    return found


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


def _effect(
    name: str, samples: tuple[Floats, ...], statistic: Callable[..., Floats], seed: int
) -> Effect:
    value = float(statistic(*samples, axis=-1))
    found = bootstrap(
        samples,
        statistic,
        paired=len(samples) > 1,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Effect(name, value, float(found.low), float(found.high), len(samples[0]))


def _ratio(numerators: Floats, denominators: Floats, axis: int) -> Floats:
    found: Floats = numerators.sum(axis) / denominators.sum(axis)
    return found


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
