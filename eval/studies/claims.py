"""Claims of the source reports, each as numbers that can contradict it.

The table of claims is at the end; above it is a short function for each, over the studies.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.stats import bootstrap
from torch import Tensor

from eval.attributes import read_attributes
from eval.effects import RESAMPLES, Floats, Vectors, as_vectors, difference, mean_effect
from eval.extractors import Extractor
from eval.features import Watch, extract, unwatched
from eval.images import Images, Pictures, Samples
from eval.latents import seeded_z
from eval.studies.gaussian import (
    DARKNESS,
    DISTANCES,
    GROUPS,
    TREND_BASES,
    RealFaces,
    Seen,
    look,
    random_directions,
    setting_effects,
    trend_effects,
    unit_noise,
)
from eval.studies.mixing import mixing_effects
from eval.studies.truncation import truncation_effects
from eval.studies.walk import tenths, walk_effects
from models.registry import GAN
from models.stylegan.generator import Generator
from models.stylegan.selectors import groups

ALPHA = 0.05
BASES = 32  # of walks
IMAGES = 200  # at each mean and std
# p is at least 1 / (directions + 1), and Holm multiplies it by the number of tests: with fewer, no
# slope could hold when all claims are measured on a run of each family.
DIRECTIONS = 299
FACES = 500  # of each run
LEAST_SCORE = 0.3  # of a head on drawn faces: what it reads below that is mostly not there
LOW_SCORE, LEAST_TICKS = 0.05, 5

# docs/faces.md, "What they let one measure".
DECIDED_BY = {
    "coarse": (
        *("face_width", "chin_sharpness", "head_yaw", "head_tilt"),
        *("hair_style", "hair_length", "mouth_shape", "mouth_openness"),
    ),
    "middle": (
        *("brow_angle", "brow_thickness", "brow_height", "eye_left_hue", "eye_right_hue"),
        *("nose_size", "hair_wave"),
    ),
    "fine": (
        *("hair_hue", "hair_saturation", "hair_lightness", "skin_tone"),
        *("background_hue", "hairline_sharpness", "shading", "light"),
    ),
}
FLIPPED = ("femininity", "hair_length", "hair_hue")

Verdict = Literal["holds", "does not hold", "undecided"]
Needs = Literal["dcgan", "stylegan", "two sizes", "scores"]


class NotRunError(Exception):
    """A claim cannot be measured on this run; the message says why."""


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
    """

    parts: tuple[Part, ...]
    note: str

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


@dataclass(frozen=True)
class Case:
    """A run as claims see it: what they share is measured once, when it is first asked for.

    Attributes:
        load: gives its GAN, with the generator in eval mode.
        load_real: gives its real images.
        images: how many it was trained on.
        ticks: its lines of stats.
    """

    load: Callable[[], GAN]
    load_real: Callable[[], Pictures]
    images: int
    ticks: Sequence[Mapping[str, Any]]
    extractor: Extractor
    watch: Watch = unwatched

    def read(self, images: Images) -> Vectors:
        """The attributes of images."""
        features = extract(self.extractor, images, watch=self.watch)
        return as_vectors(read_attributes(features))

    @cached_property
    def gan(self) -> GAN:
        return self.load()

    @cached_property
    def mixed(self) -> pd.DataFrame:
        assert isinstance(self.gan.G, Generator)
        parts = {name: layers for name, layers in groups(self.gan.G.resolutions).items() if layers}
        return mixing_effects(self.gan, parts, self.extractor, watch=self.watch)

    @cached_property
    def truncated(self) -> pd.DataFrame:
        return truncation_effects(self.gan, (-1.0, 2.0), None, self.extractor)

    @cached_property
    def settings(self) -> pd.DataFrame:
        return setting_effects(self.gan, self._noise(IMAGES), self._look, self._real)

    @cached_property
    def trends(self) -> pd.DataFrame:
        noise = self._noise(TREND_BASES)
        ways = random_directions(DIRECTIONS, noise.shape[1], seed=0).to(noise.device)
        return trend_effects(self.gan, noise, self._look, self._real, ways)

    @cached_property
    def _real(self) -> RealFaces:
        return RealFaces.of(self.extractor, self.load_real(), self.watch)

    def _noise(self, count: int) -> Tensor:
        z = seeded_z(self.gan, [0])
        return unit_noise(range(count), z.shape[1]).to(z.device)

    def _look(self, images: Images) -> Seen:
        return look(self.extractor, images, self.watch)


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


def _one_variable(case: Case) -> Found:
    """Claim 4."""
    z = seeded_z(case.gan, range(BASES))
    variables = tenths(z.shape[1])
    table = walk_effects(case.gan, z, variables, case.read)
    whole = table[table["attribute"] == "all"].set_index("measure")["value"]
    parts = (
        over("breadth", whole.loc[["breadth"]], 2.0),
        over("consistency", whole.loc[["consistency"]], 0.5, above=False),
    )
    shown = "; ".join(_in_words(part) for part in parts)
    return Found(parts, f"{shown}; over {len(variables)} variables, {BASES} base latents each")


def _styles(group: str, case: Case) -> Found:
    """Claim 5."""
    shares = case.mixed.pivot(index="attribute", columns="group", values="value")
    if group not in shares or shares.shape[1] < 2:
        raise NotRunError(f"this network has no {group} layers, or no others to hold them against")
    readable, unreadable = _readable(case.mixed, DECIDED_BY[group])
    chosen = shares.loc[readable]
    margins = chosen[group] - chosen.drop(columns=group).max(axis=1)
    each = ", ".join(f"{name} {margin:+.2f}" for name, margin in margins.items())
    note = f"{each}{_left_out(unreadable)}"
    return Found((over("margin of the own group's share", margins, 0.0),), note)


def _opposite(case: Case) -> Found:
    """Claim 6, below 0."""
    at = case.truncated[case.truncated["psi"] == -1].set_index("attribute")
    readable, unreadable = _readable(case.truncated, at.index)
    shares = at.loc[readable]
    surely = (shares["high"] < 0).sum()
    note = (
        f"{surely} of {len(readable)} attributes below 0 beyond their own interval"
        f"{_left_out(unreadable)}"
    )
    return Found((over("mean share at psi -1", shares["value"], 0.0, above=False),), note)


def _exaggerated(case: Case) -> Found:
    """Claim 6, beyond 1."""
    readable, unreadable = _readable(case.truncated, FLIPPED)
    if not readable:
        raise NotRunError(f"no attribute can be read{_left_out(unreadable)}")
    rows = {name: _row(case.truncated, psi=2, attribute=name) for name in readable}
    parts = tuple(
        Part(f"share of {name} at psi 2", row["value"], row["low"], row["high"], 1.0)
        for name, row in rows.items()
    )
    shown = "; ".join(_in_words(part) for part in parts)
    return Found(parts, f"{shown}{_left_out(unreadable)}")


def _narrow(case: Case) -> Found:
    """Claim 7, of the spread."""

    def at(std: float, name: str) -> Mapping[str, Any]:
        return _row(case.settings, std=std, mean=0, attribute=name)

    narrow, wide = at(0.4, "fd"), at(1.0, "fd")
    value = narrow["value"] - wide["value"]
    reach = math.hypot(narrow["high"] - narrow["value"], wide["high"] - wide["value"])
    part = Part("distance", value, value - reach, value + reach, 0.0, False, GROUPS - 1)
    shown = "; ".join(
        f"{name} {at(0.4, name)['value']:.2f} at 0.4, {at(1.0, name)['value']:.2f} at 1"
        for name in DISTANCES
    )
    return Found((part,), f"{shown}; {IMAGES} images each")


def _trend(quality: str, case: Case) -> Found:
    """Claim 7, of a quality's slope with the mean: its size, as the sign of z is arbitrary."""
    row = _row(case.trends, trend="slope", attribute=quality)
    value, low, high = row["value"], row["low"], row["high"]
    if value < 0:
        value, low, high = -value, -high, -low
    part = Part("size of the slope", value, low, high, row["random_median"], exact=row["p"])
    note = (
        f"here it {'rises' if row['value'] > 0 else 'falls'} with the mean; the threshold is the "
        f"median of {DIRECTIONS} random directions, of which 95% have "
        f"{row['random_low']:.3f} to {row['random_high']:.3f}; {TREND_BASES} latents at each mean"
    )
    return Found((part,), note)


def _darkest(case: Case) -> Found:
    """Claim 7, of the middle."""
    row = _row(case.trends, trend="bend", attribute=DARKNESS)
    part = Part("bend of darkness", row["value"], row["low"], row["high"], 0.0, above=False)
    note = (
        f"median of {DIRECTIONS} random directions {row['random_median']:.4f}, and p "
        f"{row['p']:.2f} against them; {TREND_BASES} latents at each mean"
    )
    return Found((part,), note)


def eye_differences(read: Vectors) -> Floats:
    """How different the two eyes of faces are in hue and size, [N]: 0 alike, 1 as can be."""
    left = {f"eye_left_{what}": read[f"eye_right_{what}"] for what in ("hue", "size")}
    apart = difference(read, read | left)
    found: Floats = np.mean([apart[name] for name in left], axis=0)
    return found


def _eyes(smaller: Case, larger: Case) -> Found:
    """Claim 9."""
    few, many = (
        eye_differences(case.read(Samples(case.gan, FACES, seed=0))) for case in (smaller, larger)
    )
    interval = bootstrap(
        (few, many),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    part = Part(
        "difference of the eyes", few.mean() - many.mean(), interval.low, interval.high, 0.0
    )
    note = (
        f"{few.mean():.4f} after {smaller.images:,} training images, {many.mean():.4f} after "
        f"{larger.images:,}; {FACES} faces each; two runs do not tell what a seed changes"
    )
    return Found((part,), note)


def _low_scores(case: Case) -> Found:
    """Claim 10."""
    scores = np.array([tick["d_fake"] for tick in case.ticks if tick.get("d_fake") is not None])
    if not len(scores):
        raise NotRunError(
            "its ticks have no probabilities: its loss gives D none, or none was made"
        )
    low = scores[scores <= LOW_SCORE]
    if len(low) < LEAST_TICKS:
        raise NotRunError(
            f"D(fake) is at most {LOW_SCORE:g} in {len(low)} of {len(scores)} ticks; at least "
            f"{LEAST_TICKS} are needed"
        )
    (effect,) = mean_effect({"D(fake) less 0.5": low - 0.5})
    part = Part(effect.attribute, effect.value, effect.low, effect.high, 0.0)
    return Found((part,), f"{len(low)} of {len(scores)} ticks have such a score")


def _readable(table: pd.DataFrame, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names of attributes that a table's heads can read, and of those that they cannot."""
    scores = table.drop_duplicates("attribute").set_index("attribute")["head_score"]
    readable: list[str] = []
    unreadable: list[str] = []
    for name in names:
        (readable if scores[name] >= LEAST_SCORE else unreadable).append(name)
    return readable, unreadable


def _row(table: pd.DataFrame, **values: Any) -> Mapping[str, Any]:
    """The one row that has these values."""
    for column, value in values.items():
        table = table[table[column] == value]
    (row,) = table.to_dict("records")
    return {str(column): value for column, value in row.items()}


def _left_out(names: Sequence[str]) -> str:
    return f"; left out, as they cannot be read: {', '.join(names)}" if names else ""


def _in_words(part: Part) -> str:
    return f"{part.name} {part.value:.2f} [{part.low:.2f}, {part.high:.2f}]"


@dataclass(frozen=True)
class Claim:
    """A claim of a source.

    Attributes:
        number: as in the list of claims, with a letter where a claim says several things.
        source: the report.
        measured: what, and when it holds.
        needs: a run of a family, two runs on data of different sizes, or scores in a run's stats.
        measure: of the case, or of two: the one with less data, the one with more.
        draw: the command that draws it; `{run}` is the run's folder.
    """

    number: str
    statement: str
    source: str
    measured: str
    needs: Needs
    measure: Callable[..., Found]
    draw: str


MIXED = (
    "How far attributes of {} go from A to B with B's {} styles, less how far they go with those "
    "of whichever other group moves them most; mean over attributes. Holds above 0."
)
SLOPE = (
    "Slope of {} with the mean of the latents, at std 0.4: its size, as the sign of z is "
    "arbitrary. Holds where it is larger than in random directions: p is the share of those at "
    "least as large."
)
TRENDS = "bench latents {run} --study gaussian"

CLAIMS = (
    Claim(
        "4",
        "One z variable of a DCGAN changes several attributes at once, and other ones in other "
        "faces.",
        "003",
        "Walks along ten variables. Holds where both: movement spreads over more than 2 attributes "
        "(breadth), and what a variable does to two faces agrees by less than 0.5 (consistency: 1 "
        "if alike); means over variables.",
        "dcgan",
        _one_variable,
        "bench latents {run} --study walk",
    ),
    Claim(
        "5a",
        "Coarse styles set the shape of the face, pose, hair style and mouth.",
        "003",
        MIXED.format("face shape, pose, hair style and mouth", "coarse"),
        "stylegan",
        partial(_styles, "coarse"),
        "bench mix {run} --layers coarse",
    ),
    Claim(
        "5b",
        "Middle styles set eyebrows, eye colour, nose and the texture of the hair.",
        "003",
        MIXED.format("brows, eye colour, nose and hair texture", "middle"),
        "stylegan",
        partial(_styles, "middle"),
        "bench mix {run} --layers middle",
    ),
    Claim(
        "5c",
        "Fine styles set the colours, the sharpness of the hairline and shading.",
        "003",
        MIXED.format("colours, hairline and shading", "fine"),
        "stylegan",
        partial(_styles, "fine"),
        "bench mix {run} --layers fine",
    ),
    Claim(
        "6a",
        "psi 0 gives one mean face, and below 0 come opposite attributes.",
        "003",
        "How far attributes are at psi -1, as a share of the way from the mean face to the plain "
        "one; mean over attributes. Holds below 0. That psi 0 gives one face is so by construction "
        "and not tested.",
        "stylegan",
        _opposite,
        "bench truncate {run}",
    ),
    Claim(
        "6b",
        "A large psi turns gender, hair length and hair colour into others.",
        "003",
        "The same share at psi 2, of femininity, hair length and hair hue. Holds where each is "
        "above 1: beyond the plain face, which is less than a turn.",
        "stylegan",
        _exaggerated,
        "bench truncate {run} --psi 2,1,0",
    ),
    Claim(
        "7a",
        "A DCGAN's faces are better from latents of std 0.4 than of std 1.",
        "002",
        "Distance to real images in `faces` features, at std 0.4 less at std 1, both of mean 0; by "
        "jackknife, as if the two were independent. Holds below 0.",
        "dcgan",
        _narrow,
        TRENDS,
    ),
    *(
        Claim(
            "7b",
            f"Latents of a larger mean give {words}.",
            "002",
            SLOPE.format(quality),
            "dcgan",
            partial(_trend, quality),
            TRENDS,
        )
        for quality, words in (
            ("hair warmth", "warmer hair"),
            ("eye roundness", "rounder eyes"),
            ("eye symmetry", "more symmetric eyes"),
            ("mouth clarity", "a clearer mouth"),
        )
    ),
    Claim(
        "7c",
        "Faces at the middle mean are darker than those at either end.",
        "002",
        "Bend of a parabola through darkness (1 less the mean luma) against the mean of the "
        "latents, at std 0.4. Holds below 0.",
        "dcgan",
        _darkest,
        TRENDS,
    ),
    Claim(
        "9",
        "After training on less data, the two eyes of a face differ more in colour and size.",
        "003",
        "Mean difference of the eyes' hue and size, as shares of what can be, of the run with less "
        "data less the one with more. Holds above 0.",
        "two sizes",
        _eyes,
        "bench generate {run}",
    ),
    Claim(
        "10",
        "Where D scores fakes at 0.02, D takes the fakes for real.",
        "001",
        f"D's probability that fakes are real, less 0.5, over the ticks that score them at most "
        f"{LOW_SCORE:g}. Holds above 0, where D would call them real; below 0 by construction, as "
        "the claim has a score the wrong way round.",
        "scores",
        _low_scores,
        "bench plot {run}",
    ),
)
