"""Claims on latent spaces, data and scores, measured on a run."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eval.effects import Floats, Vectors, difference, intervals, mean_effect, shares, slopes
from eval.faces.targets import TARGETS
from eval.images import Drawn
from eval.latents import seeded_z
from eval.studies.cases import DIRECTIONS, IMAGES, Arm, Case, readable, require_readable
from eval.studies.gaussian import DISTANCES, GROUPS, MEANS, READ_FROM, TREND_BASES
from eval.studies.verdicts import Found, NotRunError, Part, counted, pooled
from eval.studies.walk import (
    FACTORS,
    SINGLE_FACTOR_BREADTH,
    breadth,
    consistency,
    on_lines,
    tenths,
    walks,
)

BASES = 32  # of walks
LOW_SCORE, LEAST_TICKS = 0.05, 5
LEAST_TURNED = 0.1  # of the faces; the source has no number, and this one is ours
TURNED_HUE = 60.0  # degrees: from red to yellow

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
TURNED = ("femininity", "hair_length", "hair_hue")


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
    """Claim 4: means over variables, in each resample of the base latents."""
    heads = readable(target.name for target in TARGETS)
    z = seeded_z(case.gan, range(BASES))
    variables = tenths(z.shape[1])
    lines = walks(z, variables)
    found = on_lines(case.read(Drawn(case.gan.G, lines.flatten(0, 2))), lines.shape[:3])
    spreads = [_breadths(line, heads) for line in found]
    changes = [
        _changes(line, heads) * np.sign(z[:, variable - 1, None].cpu().numpy())
        for line, variable in zip(found, variables, strict=True)
    ]

    def means(times: Floats) -> dict[str, Floats]:
        return {
            "breadth": times @ np.mean(spreads, axis=0) / BASES,
            "consistency": np.mean([consistency(change, times) for change in changes], axis=0),
        }

    measured = intervals(means, BASES)
    parts = (
        Part("breadth", *measured["breadth"], SINGLE_FACTOR_BREADTH),
        Part("consistency", *measured["consistency"], 0.5, above=False),
    )
    shown = "; ".join(_in_words(part) for part in parts)
    note = f"{shown}; over {len(variables)} variables, {BASES} base latents each"
    return Found(parts, note, heads=heads)


def styles(group: str, case: Case) -> Found:
    """Claim 5."""
    a, b, mixed = case.mixed
    if group not in mixed or len(mixed) < 2:
        raise NotRunError(f"this network has no {group} layers, or no others to hold them against")
    heads = readable(DECIDED_BY[group])
    start = {name: a[name] for name in heads}

    def margins(times: Floats) -> dict[str, Floats]:
        gone = {each: shares(start, b, found, times) for each, found in mixed.items()}
        own = gone.pop(group)
        apart = {
            name: own[name] - np.max([other[name] for other in gone.values()], axis=0)
            for name in heads
        }
        return {**apart, "mean": np.mean(list(apart.values()), axis=0)}

    found = intervals(margins, len(a[heads[0]]))
    each = ", ".join(f"{name} {found[name][0]:+.2f}" for name in heads)
    part = Part("margin of the own group's share", *found["mean"], 0.0)
    return Found((part,), f"{each}{_left_out(DECIDED_BY[group], heads)}", heads=heads)


def opposite(case: Case) -> Found:
    """Claim 6, below 0."""
    mean, plain, below = (case.truncated[psi] for psi in (0.0, 1.0, -1.0))
    heads = readable(mean)
    start = {name: mean[name] for name in heads}

    def gone(times: Floats) -> dict[str, Floats]:
        found = shares(start, plain, below, times)
        return {**found, "mean": np.mean(list(found.values()), axis=0)}

    found = intervals(gone, len(mean[heads[0]]))
    surely = sum(found[name][2] < 0 for name in heads)
    note = f"{surely} of {len(heads)} attributes below 0 beyond their own interval"
    part = Part("mean share at psi -1", *found["mean"], 0.0, above=False)
    return Found((part,), f"{note}{_left_out(mean, heads)}", heads=heads)


def turned(case: Case) -> Found:
    """Claim 6, of a large psi."""
    plain, far = case.truncated[1.0], case.truncated[2.0]
    heads = readable(TURNED)
    parts = []
    for name in heads:
        others = crosses(name, plain, far)
        of_faces = f"share of faces that get another {name}"
        parts.append(counted(of_faces, int(others.sum()), len(others), LEAST_TURNED))
    shown = "; ".join(_in_words(part) for part in parts)
    return Found(tuple(parts), f"{shown}{_left_out(TURNED, heads)}", heads=heads)


def crosses(name: str, a: Vectors, b: Vectors) -> NDArray[np.bool_]:
    """Which of N faces have another value in b than in a, [N].

    A scalar is another one across the middle of its range, a hue from TURNED_HUE degrees on.
    """
    if name.endswith("_hue"):
        return difference(a, b)[name] > TURNED_HUE / 180
    return (a[name][:, 0] > 0.5) != (b[name][:, 0] > 0.5)


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
    heads = READ_FROM[quality]
    require_readable(heads)
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
    return Found((part,), note, sign=1 if row["value"] > 0 else -1, heads=heads)


def darkest(case: Case) -> Found:
    """Claim 7, of the middle: darker than the one end and than the other."""
    ends = MEANS[0], MEANS[-1]
    middle, *dark = (case.darkness(mean) for mean in (0.0, *ends))
    apart = {
        f"darkness at mean 0 less at {mean:g}": middle - each
        for mean, each in zip(ends, dark, strict=True)
    }
    parts = tuple(
        Part(effect.attribute, effect.value, effect.low, effect.high, 0.0)
        for effect in mean_effect(apart)
    )
    shown = "; ".join(_in_words(part, 3) for part in parts)
    return Found(parts, f"{shown}; {IMAGES} latents at each mean, of the same noise")


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


def _breadths(line: Vectors, names: Iterable[str]) -> Floats:
    """Over how many attributes each face's movement spreads on a line [B, S, k]: [B].

    In the units of `line_effects`: what two unrelated base faces differ by on average.
    """
    start, end, bases = (
        {name: rows[:, place] for name, rows in line.items()}
        for place in (0, -1, FACTORS.index(1.0))
    )
    moved = difference(start, end)
    usual = difference(bases, {name: np.roll(rows, 1, 0) for name, rows in bases.items()})
    return breadth(
        np.stack([moved[name] / usual[name].mean() for name in names if usual[name].any()])
    )


def _changes(line: Vectors, names: Iterable[str]) -> Floats:
    """The slopes of attributes with the factor on a line [B, S, k], one behind another: [B, K]."""
    whole = np.concatenate([line[name] for name in names], axis=2).swapaxes(1, 2)  # [B, K, S]
    return slopes(np.array(FACTORS), whole.reshape(-1, len(FACTORS))).reshape(whole.shape[:2])


def _row(table: pd.DataFrame, **values: Any) -> Mapping[str, Any]:
    """The one row that has these values."""
    for column, value in values.items():
        table = table[table[column] == value]
    (row,) = table.to_dict("records")
    return {str(column): value for column, value in row.items()}


def _left_out(names: Iterable[str], heads: Collection[str]) -> str:
    unreadable = [name for name in names if name not in heads]
    return f"; left out, as they cannot be read: {', '.join(unreadable)}" if unreadable else ""


def _in_words(part: Part, digits: int = 2) -> str:
    value, low, high = (f"{x:.{digits}f}" for x in (part.value, part.low, part.high))
    return f"{part.name} {value} [{low}, {high}]"
