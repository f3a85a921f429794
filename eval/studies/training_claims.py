"""Claims on training, measured on arms: what differs between two is over training seeds."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
from scipy import stats

from data.errors import MissingError
from eval.colour import colourfulness
from eval.compare import SELECTION_SEED, choose_metric, comparable
from eval.compare import verdict as compare
from eval.effects import Floats, Vectors, difference
from eval.images import Samples
from eval.studies.cases import FACES, Arm, Case, require_readable
from eval.studies.trials import LONGEST, whole_steps
from eval.studies.verdicts import (
    LEAST_SEEDS,
    Found,
    NotRunError,
    Part,
    UnpriceableError,
    apart,
    one_sided,
    over,
)

MARGIN = 0.1  # of a distance: changes that are smaller count as none
BOUNDS = ((-math.log1p(MARGIN), True), (math.log1p(MARGIN), False))  # above and below which
LOWEST = 0.1  # of the ticks: a loss that is above in all others stays above
LEAST_TICKS, LEAST_SNAPSHOTS = 10, 3
STEPS = (20_000, LONGEST)

LENGTH = ("kimg",)
SIZE = ("images",)
WIDTH = (
    *("g_channels", "d_channels", "g_bias", "d_bias", "d_slope"),
    *("d_norm", "d_first_norm", "z_dim", "init"),
)
CRITIC = ("loss", "d_optimizer", "alpha", "weight_clip", "init", "critic_steps")
AUGMENTED = ("augment",)
RATE = ("lr_d", "lr_g", "lr_milestones_kimg", "lr_gamma")

EYES = ("eye_left_hue", "eye_right_hue", "eye_left_size", "eye_right_size")
MOUTH = ("mouth_clarity",)


def nearer(a: Arm, b: Arm, about: Collection[str] = (), at: str = "last") -> Found:
    """That b is nearer to held-out images than a."""
    return _distances(a, b, about, at, above=False)


def farther(a: Arm, b: Arm, about: Collection[str] = ()) -> Found:
    """That it is farther from them."""
    return _distances(a, b, about, "last", above=True)


def more_data(smaller: Arm, larger: Arm) -> Found:
    """Claim 1."""
    found = nearer(smaller, larger, (*SIZE, *LENGTH))
    lengths = [
        f"{arm.epochs:.4g} epochs of {arm.images:,} images, {arm.kimg:,.6g} kimg"
        for arm in (smaller, larger)
    ]
    return Found(found.parts, f"{found.note}; {lengths[1]}, against {lengths[0]}")


def faster(dcgan: Arm, stylegan: Arm) -> Found:
    """Claim 2, of the time."""
    _require_seeds(dcgan, stylegan)
    machines = {str(name) for arm in (dcgan, stylegan) for name in _hardware(arm)}
    if len(machines) > 1:
        raise NotRunError(f"they ran on different machines: {' and '.join(sorted(machines))}")
    seconds, pace = (
        [[_at_the_end(case, column) for case in arm.cases] for arm in (dcgan, stylegan)]
        for column in ("train_sec", "images_per_sec")
    )
    hours = [[each / 3600 for each in side] for side in seconds]
    parts = (
        apart("hours of training, StyleGAN less DCGAN", hours[0], hours[1]),
        apart("images/s, DCGAN less StyleGAN", pace[1], pace[0]),
    )
    note = (
        f"{np.mean(hours[0]):.3g} and {np.mean(hours[1]):.3g} h, {np.mean(pace[0]):.4g} and "
        f"{np.mean(pace[1]):.4g} images/s; {dcgan.kimg:,.6g} and {stylegan.kimg:,.6g} kimg"
    )
    return Found(parts, note)


def better(dcgan: Arm, stylegan: Arm) -> Found:
    """Claim 2, of what each comes to in the end."""
    return nearer(dcgan, stylegan, _networks(dcgan, stylegan))


def better_for_the_hours(dcgan: Arm, stylegan: Arm) -> Found:
    """Claim 2, of what each comes to in the hours that all of them have had."""
    _require_seeds(dcgan, stylegan)
    cases = [case for arm in (dcgan, stylegan) for case in arm.cases]
    hours = min(_at_the_end(case, "train_sec") for case in cases) / 3600
    found = nearer(dcgan, stylegan, _networks(dcgan, stylegan), f"{hours + 1e-8:.8f}h")
    return Found(found.parts, f"after {hours:.3g} h; {found.note}")


def loss_above(arm: Arm) -> Found:
    """Claim 3, of the losses."""
    _require_seeds(arm)
    above = [_g_above_d(case) for case in arm.cases]
    name = f"loss of G less D's, at the edge of the lowest {LOWEST:.0%} of ticks"
    part = over(name, [np.quantile(ticks, LOWEST) for ticks in above], 0.0)
    shares = ", ".join(f"{np.mean(ticks > 0):.1%}" for ticks in above)
    return Found((part,), f"G's loss is above D's in {shares} of the ticks of each training seed")


def improves(arm: Arm) -> Found:
    """Claim 3, of more epochs."""
    _require_seeds(arm)
    metric, (curves,) = _curves(arm)
    slopes = [np.polyfit(np.log2(curve.index), curve, 1)[0] for curve in curves]
    part = over(f"{metric} for each doubling of kimg", slopes, 0.0, above=False)
    first, last = (np.mean([curve.iloc[at] for curve in curves]) for at in (0, -1))
    return Found(
        (part,),
        f"from {first:.4g} at the first snapshot to {last:.4g} at the last, on average of "
        f"{len(curves)} training seeds",
    )


def no_progress(arm: Arm) -> Found:
    """Claim 3, of late steps: within a run, so that a seed is held against itself."""
    _require_seeds(arm)
    metric, (curves,) = _curves(arm)
    early, late = (arm.kimg * steps / whole_steps(arm) for steps in STEPS)
    for curve in curves:
        if curve.index[0] > early or curve.index[-1] < late * 0.999:
            raise MissingError(
                f"{arm.name} has not been measured from {early:.6g} to {late:.6g} kimg: "
                "`bench fid RUN --snapshot all` does"
            )
    ratios = [math.log(_at(curve, late) / _at(curve, early)) for curve in curves]
    name = f"log ratio of {metric} at {STEPS[1]:,} steps and at {STEPS[0]:,}"
    parts = tuple(one_sided(over(name, ratios, bound, above)) for bound, above in BOUNDS)
    return Found(parts, _equivalence(float(np.mean(ratios))))


def no_better(simple: Arm, larger: Arm) -> Found:
    """Claim 8, of filters and layers."""
    _require_seeds(simple, larger)
    found = compare(simple.side, larger.side)
    logs = np.log(found.a["value"]).tolist(), np.log(found.b["value"]).tolist()
    _require_measured(found.metric, *logs)
    name = f"log ratio of {found.metric}, {larger.name} over {simple.name}"
    parts = tuple(one_sided(apart(name, *logs, bound, above)) for bound, above in BOUNDS)
    ratio = float(np.mean(logs[1]) - np.mean(logs[0]))
    return Found(parts, f"{_equivalence(ratio)}{_besides(simple, larger, WIDTH)}")


def slower(bce: Arm, wgan: Arm) -> Found:
    """Claim 8, of WGAN: the mean of the curve, so that what has caught up in the end counts."""
    _require_seeds(bce, wgan)
    metric, arms = _curves(bce, wgan)
    every = [curve for curves in arms for curve in curves]
    start, end = (pick(curve.index[at] for curve in every) for pick, at in ((max, 0), (min, -1)))
    usual, clipped = ([_mean(curve, start, end) for curve in curves] for curves in arms)
    part = apart(f"mean {metric} along the way, {wgan.name} less {bce.name}", usual, clipped)
    note = f"from {start:,.6g} to {end:,.6g} kimg: {np.mean(usual):.4g} and {np.mean(clipped):.4g}"
    return Found((part,), f"{note}{_besides(bce, wgan, CRITIC)}")


def eyes(smaller: Arm, larger: Arm) -> Found:
    """Claim 9, of the eyes."""
    require_readable(EYES)
    found = _by_size(smaller, larger, "difference of the eyes", _eye_difference, above=False)
    return replace(found, heads=EYES)


def eye_differences(read: Vectors) -> Floats:
    """How different the two eyes of faces are in hue and size, [N]: 0 alike, 1 as can be."""
    left = {f"eye_left_{what}": read[f"eye_right_{what}"] for what in ("hue", "size")}
    apart = difference(read, read | left)
    found: Floats = np.mean([apart[name] for name in left], axis=0)
    return found


def mouths(smaller: Arm, larger: Arm) -> Found:
    """Claim 9, of the mouths."""
    require_readable(MOUTH)
    found = _by_size(smaller, larger, "clarity of the mouth", _mouth_clarity)
    return replace(found, heads=MOUTH)


def more_colourful(smaller: Arm, larger: Arm) -> Found:
    """Claim 11."""
    return _by_size(smaller, larger, "colourfulness (M3)", _colour)


def collapses_late(*arms: Arm) -> Found:
    """Claim 12, of collapse: each run counts until its first."""
    risks = [_at_risk(case) for arm in arms for case in arm.cases]
    early, late, when = (list(column) for column in zip(*risks, strict=True))
    in_early, in_late = when.count("early"), when.count("late")
    exposure = sum(early) + sum(late)
    if not in_early + in_late:
        raise UnpriceableError(f"none of {len(risks)} runs collapsed, in {exposure:,.6g} kimg")
    if not sum(late):
        raise UnpriceableError("no run reached its second half")
    share = sum(late) / exposure
    test = stats.binomtest(in_late, in_early + in_late, share)
    interval = test.proportion_ci()
    part = Part(
        "share of collapses in second halves",
        test.statistic,
        interval.low,
        interval.high,
        share,
        exact=test.pvalue,
    )
    return Found(
        (part,),
        f"{in_early} in {sum(early):,.6g} kimg of first halves, {in_late} in {sum(late):,.6g} of "
        f"second halves, of {len(risks)} runs; the threshold is the second halves' share of kimg",
    )


# Pieces


def _distances(a: Arm, b: Arm, about: Collection[str], at: str, above: bool) -> Found:
    _require_seeds(a, b)
    found = compare(a.side, b.side, at=at)
    values = found.a["value"].tolist(), found.b["value"].tolist()
    _require_measured(found.metric, *values)
    part = apart(f"{found.metric}, {b.name} less {a.name}", *values, above=above)
    shown = ", ".join(
        f"{np.mean(of):.4g} of {arm.name} ({len(of)} seeds)"
        for arm, of in zip((a, b), values, strict=True)
    )
    return Found((part,), f"{'; '.join([shown, *found.notes])}{_besides(a, b, about)}")


def _by_size(
    smaller: Arm, larger: Arm, name: str, of: Callable[[Case], float], above: bool = True
) -> Found:
    """What more data does to a number of a run's faces."""
    _require_seeds(smaller, larger)
    few, many = ([of(case) for case in arm.cases] for arm in (smaller, larger))
    part = apart(f"{name}, more data less less data", few, many, above=above)
    note = (
        f"{np.mean(few):.3g} after {smaller.images:,} training images, {np.mean(many):.3g} after "
        f"{larger.images:,}; {FACES} faces of each run; {len(few)} and {len(many)} training seeds"
    )
    return Found((part,), f"{note}{_besides(smaller, larger, SIZE)}")


def _require_seeds(*arms: Arm) -> None:
    few = [arm for arm in arms if len(arm.cases) < LEAST_SEEDS]
    if few:
        counts = " and ".join(f"{arm.name} has {len(arm.cases)}" for arm in few)
        raise NotRunError(f"it takes {LEAST_SEEDS} training seeds of each arm, and {counts}")


def _require_measured(metric: str, *values: Sequence[float]) -> None:
    if min(map(len, values)) < LEAST_SEEDS:
        raise MissingError(
            f"{metric} has been measured of too few of these runs: `bench fid RUN --snapshot all` "
            "measures it"
        )


def _besides(a: Arm, b: Arm, about: Collection[str]) -> str:
    """What else the arms differ in than what the claim is about."""
    differing = a.unlike(b, about)
    if not differing:
        return ""
    shown = ", ".join(f"{name} ({x} and {y})" for name, (x, y) in differing.items())
    return f"; confounded, as they differ besides in {shown}"


def _networks(a: Arm, b: Arm) -> set[str]:
    """The options of two families, which the whole comparison is about."""
    return {*asdict(a.config.options), *asdict(b.config.options)}


def _hardware(arm: Arm) -> set[str]:
    return {name for case in arm.cases for name in case.rows["hardware"].dropna()}


def _at_the_end(case: Case, column: str) -> float:
    """What the results table says of the training up to the newest snapshot."""
    said = case.rows.sort_values("kimg")[column].dropna()
    if said.empty:
        raise MissingError(f"{case.run.id} has no snapshot that says how long it took")
    return float(said.iloc[-1])


def _g_above_d(case: Case) -> np.ndarray:
    losses = [(tick.get("loss_g"), tick.get("loss_d")) for tick in case.ticks]
    found = np.array([g - d for g, d in losses if g is not None and d is not None])
    if len(found) < LEAST_TICKS:
        raise NotRunError(f"{case.run.id} has {len(found)} ticks; {LEAST_TICKS} are needed")
    return found


def _curves(*arms: Arm) -> tuple[str, list[list["pd.Series[float]"]]]:
    """The metric, and of each arm each run's distance to held-out images, by kimg."""
    sides = [arm.side for arm in arms]
    metric = choose_metric(sides[0], sides[-1])
    tables = comparable(sides[0], sides[-1], metric)[: len(arms)]
    return metric, [
        [_curve(case, rows) for case in arm.cases] for arm, rows in zip(arms, tables, strict=True)
    ]


def _curve(case: Case, rows: pd.DataFrame) -> "pd.Series[float]":
    mine = rows[(rows["run"] == case.run.id) & (rows["sample_seed"] == SELECTION_SEED)]
    curve = mine[mine["kimg"] > 0].set_index("kimg")["value"].sort_index()
    if len(curve) < LEAST_SNAPSHOTS:
        raise MissingError(
            f"{case.run.id} has been measured at {len(curve)} snapshots; {LEAST_SNAPSHOTS} are "
            f"needed: `bench fid {case.run.id} --snapshot all`"
        )
    return curve


def _at(curve: "pd.Series[float]", kimg: float) -> float:
    """Straight from one snapshot to the next."""
    return float(np.interp(kimg, curve.index, curve))


def _mean(curve: "pd.Series[float]", start: float, end: float) -> float:
    """Over kimg, from one snapshot to another, by trapezia."""
    inside = [kimg for kimg in curve.index if start < kimg < end]
    kimg = np.array([start, *inside, end])
    return float(np.trapezoid(np.interp(kimg, curve.index, curve), kimg) / (end - start))


def _equivalence(log_ratio: float) -> str:
    return (
        f"a change of {math.expm1(log_ratio):+.1%}; changes of less than {MARGIN:.0%} count as "
        "none, by two one-sided tests"
    )


def _colour(case: Case) -> float:
    # Not `case.gan`, which stays: there may be many runs.
    with case.watch(f"faces, {case.run.id}", FACES) as progress:
        values = []
        for images in Samples(case.load(), FACES, seed=0).batches():
            values.append(colourfulness(images))
            progress(len(images))
    return float(np.concatenate(values).mean())


def _eye_difference(case: Case) -> float:
    return float(eye_differences(case.faces).mean())


def _mouth_clarity(case: Case) -> float:
    return float(case.faces["mouth_clarity"].mean())


def _at_risk(case: Case) -> tuple[float, float, str]:
    """Kimg without a collapse in each half of a run as it was planned, and when one came."""
    half = case.config.training.kimg / 2
    first = min((e["nimg"] / 1000 for e in case.events if e["event"] == "collapse"), default=None)
    reached = case.ticks[-1]["kimg"] if case.ticks else 0.0
    until = reached if first is None else first
    when = "never" if first is None else "late" if first > half else "early"
    return min(until, half), max(until - half, 0.0), when
