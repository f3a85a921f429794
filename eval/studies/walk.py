"""Walks through latents on straight lines: what moves along each, and whether it always does.

One variable of z at a time is the experiment of Radford et al. 2015 (arXiv 1511.06434, section 6):
variable i of a base latent is multiplied by K, and all the others stay.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from eval.effects import (
    Effect,
    Floats,
    Interval,
    Vectors,
    difference,
    frame,
    intervals,
    ratio,
    slopes,
)
from eval.images import Drawn, Images
from models.registry import GAN

FACTORS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # K
TENTHS = 10
LEAST_BASES = 8  # of fewer, resamples of the same base alone are no rarity

# What drawn faces read as of which one factor alone changes, printed with its table in
# docs/metrics.md by `python -m eval.studies.confusion`: 1 and 0, if heads confused nothing.
# The breadth is the mean over all factors of their pairs' mean: what claims hold against it is
# likewise a mean over variables of their bases' mean. Walks along a factor read 1.9, as less is
# confused of a larger change; of the two, 2.7 is the harder to exceed.
SINGLE_FACTOR_BREADTH = 2.7
# How far an attribute drifts while another factor walks over its range, in units of how far it
# moves between any two faces: 95% drift less.
CROSS_TALK = 0.24

Read = Callable[[Images], Vectors]


def tenths(z_dim: int) -> list[int]:
    """The 1st, 10th, 20th ... 90th of a hundred variables, and such ones of any other number."""
    return list(dict.fromkeys(max(1, z_dim * tenth // TENTHS) for tenth in range(TENTHS)))


def walks(z: Tensor, variables: Sequence[int]) -> Tensor:
    """Latents [V, B, S, z_dim]: of z [B, z_dim], each variable, from 1, times each of FACTORS."""
    walked = z[None, :, None].repeat(len(variables), 1, len(FACTORS), 1)
    for row, variable in enumerate(variables):
        walked[row, :, :, variable - 1] *= z.new_tensor(FACTORS)
    return walked


def walk_effects(
    gan: GAN, z: Tensor, variables: Sequence[int], read: Read, seed: int = 0
) -> pd.DataFrame:
    """The rows of `line_effects` for each variable, counted from 1, over the bases z [B, z_dim].

    Slopes are per unit of the variable, whatever its sign in a base.

    Args:
        read: the attributes of images.
    """
    lines = walks(z, variables)
    found = on_lines(read(Drawn(gan.G, lines.flatten(0, 2))), lines.shape[:3])
    base = FACTORS.index(1.0)
    rows = [
        line_effects(line, FACTORS, base, z[:, variable - 1].double().cpu().numpy(), seed)
        for variable, line in zip(variables, found, strict=True)
    ]
    return pd.concat(
        [each.assign(variable=variable) for variable, each in zip(variables, rows, strict=True)],
        ignore_index=True,
    )


def on_lines(vectors: Vectors, shape: Sequence[int]) -> list[Vectors]:
    """Attributes [L * B * S, k] as those of each of L lines, [B, S, k]."""
    lines, bases, steps = shape
    apart = {name: rows.reshape(lines, bases, steps, -1) for name, rows in vectors.items()}
    return [{name: rows[line] for name, rows in apart.items()} for line in range(lines)]


def line_effects(
    line: Vectors, steps: Sequence[float], base: int, lengths: Floats, seed: int = 0
) -> pd.DataFrame:
    """What moves on a line through B bases, with bootstrap intervals over them.

    A row for each measure and attribute; "all" stands for all of them together:
    - `moved`: the mean `difference` between the line's ends. `usual` beside it is the mean
      difference between two unrelated bases. `effect` is none unless it is more than CROSS_TALK of
      the usual, beyond the interval of what is left;
    - `count`, of all: how many attributes moved, by that rule;
    - `slope`: the change of a scalar, as a share of its range, for each unit of length;
    - `consistency`: the mean cosine between what the line does to two bases, weighted by how much
      it does to them: 1 if always the same, 0 if it has nothing in common;
    - `consistent`, of all: how many attributes' consistency is above 0 beyond its interval;
    - `breadth`, of all: over how many attributes the movement of a face spreads, as the mean of
      (sum m^2)^2 / sum m^4, where m is an attribute's movement in units of the usual. 1: one
      attribute alone. `effect` is none where no attribute moved.

    A movement is never below 0, so that 0 is no null for it. Nor is the movement between adjacent
    steps: heads are smooth, and what they confuse drifts along a line as steadily as what really
    changes, so that 99% of the attributes of drawn faces whose factor stayed would have moved. How
    far they drift, drawn faces tell. One number serves for all attributes: the usual, which is its
    unit, holds what everything that differs between two faces does to an attribute's head.

    Args:
        line: attributes [B, S, k].
        steps: where on the line each of the S images is.
        base: which of them is the base itself.
        lengths: what a step of 1 is worth in each base, [B].

    Raises:
        ValueError: fewer than LEAST_BASES bases.
    """
    count = len(lengths)
    if count < LEAST_BASES:
        raise ValueError(f"{count} base latents: at least {LEAST_BASES} are needed")
    along = np.array(steps)
    step_slopes = {name: _slopes(along, rows) for name, rows in line.items()}  # [B, k] each
    upward = {name: np.sign(lengths)[:, None] * rows for name, rows in step_slopes.items()}
    everything = np.concatenate(list(upward.values()), axis=1)
    moved, unrelated = _movements(line, base)
    usual = {name: float(rows.mean()) for name, rows in unrelated.items()}
    shares = [ratio(moved[name], np.full(count, usual[name])) for name in moved]
    widths = breadth(np.stack(shares))

    def statistics(times: Floats) -> dict[tuple[str, str], Floats]:
        """Each number [R], where resample r has taken base b `times`[r, b] times."""
        found = {("moved", name): times @ rows / count for name, rows in moved.items()}
        for name, rows in unrelated.items():
            found["beyond", name] = found["moved", name] - CROSS_TALK * (times @ rows) / count
        for name, rows in step_slopes.items():
            if rows.shape[1] == 1:
                change = times @ (lengths * rows[:, 0])
                found["slope", name] = ratio(change, times @ np.square(lengths))
        for name, rows in upward.items():
            found["consistency", name] = consistency(rows, times)
        found["consistency", "all"] = consistency(everything, times)
        found["breadth", "all"] = times @ widths / count
        return found

    return _rows(intervals(statistics, count, seed), usual, count)


def _movements(line: Vectors, base: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """How far each attribute moves from end to end, and how far two unrelated bases are apart."""
    start, end, bases = ({name: rows[:, at] for name, rows in line.items()} for at in (0, -1, base))
    others = {name: np.roll(rows, 1, 0) for name, rows in bases.items()}
    return difference(start, end), difference(bases, others)


def _rows(
    found: Mapping[tuple[str, str], Interval], usual: Mapping[str, float], count: int
) -> pd.DataFrame:
    """The table of `line_effects`, where a null decides `effect` if an interval cannot."""
    effects: dict[str, list[Effect]] = {}
    for (measure, attribute), interval in found.items():
        effects.setdefault(measure, []).append(Effect(attribute, *interval, count))
    beyond = [each.low > 0 for each in effects.pop("beyond")]
    alike = [each.low > 0 for each in effects["consistency"] if each.attribute != "all"]
    for measure, surely in (("count", beyond), ("consistent", alike)):
        effects[measure] = [Effect("all", float(sum(surely)), np.nan, np.nan, count)]
    table = pd.concat([frame(each, measure=measure) for measure, each in effects.items()])
    moved = table["measure"] == "moved"
    table["usual"] = table["attribute"].map(usual).where(moved)
    some = [any(beyond)]
    decided = {"moved": beyond, "breadth": some, "count": some, "consistent": [any(alike)]}
    for measure, surely in decided.items():
        table.loc[table["measure"] == measure, "effect"] = np.where(surely, "yes", "none")
    return table.reset_index(drop=True)


def consistency(slopes: Floats, times: Floats) -> Floats:
    """The mean cosine [R] between slopes [B, k] of different bases, weighted by their lengths.

    Of pairs of different bases only: a base resembles itself, and a resample has it several times.

    Args:
        times: how often each base counts, [R, B].
    """
    squares = np.square(slopes).sum(1)
    itself = np.square(times) @ squares
    together = np.square(times @ slopes).sum(1) - itself
    whole = np.square(times @ np.sqrt(squares)) - itself
    return ratio(together, np.where(whole > 1e-9 * itself, whole, 0.0))


def breadth(shares: Floats) -> Floats:
    """Over how many of A attributes each movement [A, B] spreads, [B]: 1 to A; 0 if none moves."""
    squares = np.square(shares)
    return ratio(np.square(squares.sum(0)), np.square(squares).sum(0))


def _slopes(along: Floats, rows: Floats) -> Floats:
    """Slopes [B, k] of attributes [B, S, k]."""
    bases, _, size = rows.shape
    return slopes(along, rows.swapaxes(1, 2).reshape(bases * size, -1)).reshape(bases, size)
