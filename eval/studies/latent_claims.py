"""Claims on latent spaces, data and scores, measured on a run."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from eval.effects import RESAMPLES, Floats, Vectors, difference, mean_effect
from eval.images import Samples
from eval.latents import seeded_z
from eval.studies.cases import DIRECTIONS, IMAGES, Arm, Case
from eval.studies.gaussian import DARKNESS, DISTANCES, GROUPS, TREND_BASES
from eval.studies.verdicts import LEAST_SEEDS, Found, NotRunError, Part, apart, over, pooled
from eval.studies.walk import tenths, walk_effects

BASES = 32  # of walks
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


def by_seed(measure: Callable[[Case], Found]) -> Callable[[Arm], Found]:
    """What measures a claim on a run, for an arm: within its only run, or over training seeds.

    Runs that cannot tell are left out; NotRunError where none can.
    """

    def measure_arm(arm: Arm) -> Found:
        founds, reasons = [], []
        for case in arm.cases:
            try:
                founds.append(measure(case))
            except NotRunError as reason:
                reasons.append(reason)
        if not founds:
            raise reasons[0]
        return pooled(founds)

    return measure_arm


def one_variable(case: Case) -> Found:
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


def styles(group: str, case: Case) -> Found:
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


def opposite(case: Case) -> Found:
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


def exaggerated(case: Case) -> Found:
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


def narrow(case: Case) -> Found:
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


def trend(quality: str, case: Case) -> Found:
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
    return Found((part,), note, sign=1 if row["value"] > 0 else -1)


def darkest(case: Case) -> Found:
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


def eyes(smaller: Arm, larger: Arm) -> Found:
    """Claim 9: over training seeds, or else over the faces of a run a side."""
    sides = smaller.cases, larger.cases
    seeds = min(map(len, sides))
    if seeds < LEAST_SEEDS:
        sides = sides[0][:1], sides[1][:1]
    few, many = (
        [eye_differences(case.read(Samples(case.gan, FACES, seed=0))) for case in cases]
        for cases in sides
    )
    means = [[float(faces.mean()) for faces in side] for side in (few, many)]
    name = "difference of the eyes"
    note = (
        f"{np.mean(means[0]):.4f} after {smaller.images:,} training images, "
        f"{np.mean(means[1]):.4f} after {larger.images:,}; {FACES} faces of each run; "
    )
    if seeds < LEAST_SEEDS:
        part = _of_faces(name, few[0], many[0])
        return Found((part,), f"{note}two runs do not tell what a seed changes")
    part = apart(name, means[1], means[0])
    return Found((part,), f"{note}{len(few)} and {len(many)} training seeds")


def _of_faces(name: str, few: Floats, many: Floats) -> Part:
    interval = bootstrap(
        (few, many),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Part(name, few.mean() - many.mean(), interval.low, interval.high, 0.0)


def low_scores(case: Case) -> Found:
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
