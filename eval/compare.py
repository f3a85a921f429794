"""Which of two is better: arms of runs that differ in nothing but the seed, by Welch's interval.

Only measurements of one protocol are compared, of runs on one data set. A run is measured many
times: `last`, `best` and `at_hours` say which measurement counts.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data.errors import MissingError, UserError
from eval.welch import LEVEL, Effect, welch

ENOUGH = 5  # seeds a side
# The best snapshot is chosen on one sample and reported on another: the least of many noisy
# numbers is less than what it measures.
SELECTION_SEED, REPORT_SEED = 0, 1

# What the runs of an arm have in common. Which images they see may be drawn anew for each seed; how
# many is the same.
ARM = ["options_sha256", "dataset_sha256", "images"]
TOLD_APART_BY = ("budget", "dataset", "images", "label", "options_sha256", "dataset_sha256")

DATA = ["dataset_sha256"]
MEASURED = [
    *("metric", "extractor", "extractor_sha256", "feature_precision", "resize"),
    *("reference_sha256", "reference_images", "fakes", "psi", "batch_norm", "weights"),
]
PROTOCOL = [*MEASURED, "sample_seed"]
RANKING = {"psi": 1.0, "batch_norm": "eval mode", "weights": "ema"}

DISTANCE = re.compile(r"fid|kid|[fk]d_")
HELDOUT_DISTANCE = re.compile(r"(fid\d|fd_(?!inf_)).*_heldout")
THE_MORE_THE_BETTER = ("precision", "recall", "density", "coverage")

RULE = (
    f"The rule: means over training seeds are compared. The lower one wins (of precision, recall, "
    f"density and coverage the higher) if Welch's {LEVEL:.0%} interval of the difference excludes "
    f"0; if not, there is no significant difference. With fewer than {ENOUGH} seeds a side, or "
    "where a run was left out, either is provisional. One run a side tells of these two "
    "checkpoints only: another training seed moves a distance by several times as much as another "
    "sample does."
)

Pick = Callable[[pd.DataFrame], pd.DataFrame]
Protocol = tuple[Any, ...]
Counted = tuple[str, pd.DataFrame]  # a side's name, and the measurement of each of its runs


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison: an arm, or a run.

    Attributes:
        rows: the results table's rows of its runs.
        left_out: runs that belong to it and do not count, each with the reason.
    """

    name: str
    rows: pd.DataFrame
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a comparison says, by RULE.

    Attributes:
        at: which measurement of each run was compared.
        status: "decided", "no significant difference", "provisional" or "two checkpoints".
        winner: the better side's name, where the interval excludes 0.
        effect: None where a side has a single run.
        notes: what else a reader should know, such as which runs were left out.
        a: and `b`, the rows that were compared, one a run.
    """

    metric: str
    at: str
    status: str
    sentence: str
    winner: str | None
    effect: Effect | None
    notes: tuple[str, ...]
    a: pd.DataFrame
    b: pd.DataFrame


# Arms


def arms(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of the finished runs of a results table, by the arm that they belong to."""
    done = table[table["status"] == "finished"]
    return {str(name): rows for name, rows in done.groupby(done["run"].map(arm_names(table)))}


def left_out(table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The runs of each arm that have not finished, each with its status."""
    status = dict(zip(table["run"], table["status"], strict=True))
    found: dict[str, tuple[str, ...]] = {}
    for run, name in arm_names(table).items():
        waiting = () if status[run] == "finished" else (f"{run} ({status[run]})",)
        found[name] = (*found.get(name, ()), *waiting)
    return found


def arm_names(table: pd.DataFrame) -> "pd.Series[str]":
    """What the arm of each run is called, by the run: as its suite does, where all runs of it are
    a suite's, or else by its recipe, or its model and variant.

    Where that is the name of several, what tells them apart is added to it. A run whose
    configuration cannot be read belongs to none.
    """
    runs = table[table["model"].notna()].drop_duplicates("run").set_index("run")
    labels = [_suite_label(str(run), seed) for run, seed in runs["seed"].items()]
    kinds = runs.assign(label=pd.Series(labels, runs.index, object)).groupby(ARM, sort=False)
    first = kinds.first().reset_index()
    shared = (kinds["label"].nunique(dropna=False) == 1).to_numpy() & first["label"].notna()
    first["dataset"] = first.groupby("dataset_sha256")["dataset"].transform("first")
    first["budget"] = pd.to_numeric(first["budget"]).map(_percent, na_action="ignore")
    names = first["model"] + "-" + first["variant"]
    names = names.where(first["recipe"].isna(), first["recipe"].astype(object))
    names = names.where(~shared, first["label"])
    for column in TOLD_APART_BY:
        said = first[column].map(_text)
        names = names.where(said.groupby(names).transform("nunique") == 1, names + ":" + said)
    return kinds.ngroup().map(names)


def _suite_label(run: str, seed: Any) -> str | None:
    """What a suite calls the arm: its runs are LABEL-seedN."""
    label, found, number = run.rpartition("-seed")
    return label if found and number == _text(seed) else None


# Measurements


def last(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows of one protocol, one a run: the newest snapshot, on the sample that is reported."""
    return _newest(rows[rows["sample_seed"] == REPORT_SEED])


def best(rows: pd.DataFrame) -> pd.DataFrame:
    """One a run: the snapshot with the least value on one sample, as measured on the other.

    A run whose best snapshot has not been measured on the other has none.
    """
    chosen = rows[rows["sample_seed"] == SELECTION_SEED].sort_values("value", kind="stable")
    chosen = chosen.drop_duplicates("run")[["run", "kimg"]]
    return rows[rows["sample_seed"] == REPORT_SEED].merge(chosen)


def at_hours(rows: pd.DataFrame, hours: float) -> pd.DataFrame:
    """One a run: the newest snapshot that was reached within so many hours of training.

    On the sample that every snapshot is measured on: here it is not the value that chooses.
    """
    within = rows["train_sec"] <= hours * 3600
    return _newest(rows[within & (rows["sample_seed"] == SELECTION_SEED)])


def parse_at(text: str) -> Pick:
    """`last`, `best`, or hours such as `8h`.

    Raises:
        UserError: it is none of these.
    """
    if text in ("last", "best"):
        return {"last": last, "best": best}[text]
    hours = re.fullmatch(r"(\d+(?:\.\d+)?)h", text)
    if not hours:
        raise UserError(f"--at {text}: write last, best, or hours of training such as 8h")
    return lambda rows: at_hours(rows, float(hours[1]))


def _newest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("kimg", kind="stable").drop_duplicates("run", keep="last")


def heldout_distances(rows: pd.DataFrame) -> list[str]:
    """The Frechet distances to held-out images that were measured, FID before others."""
    names = rows.loc[rows["value"].notna(), "metric"].unique()
    found = [name for name in names if HELDOUT_DISTANCE.fullmatch(name)]
    return sorted(found, key=lambda name: (not name.startswith("fid"), name))


def choose_metric(a: Side, b: Side) -> str:
    """The Frechet distance to held-out images that both sides have: FID, or else another.

    Raises:
        MissingError: a side has none.
        UserError: they have none in common.
    """
    ours, theirs = heldout_distances(a.rows), heldout_distances(b.rows)
    for side, found in ((a, ours), (b, theirs)):
        if not found:
            raise MissingError(f"{side.name} has no distance to held-out images{_remedy(side)}")
    both = [name for name in ours if name in theirs]
    if not both:
        raise _refusal(a, b, [("metric", ours[0], theirs[0])])
    return both[0]


def _remedy(side: Side) -> str:
    """What to do about a distance to held-out images that is not there."""
    known = side.rows.loc[side.rows["value"].notna(), "metric"].astype(str)
    others = sorted({name for name in known if DISTANCE.match(name)})
    if not others:
        return " yet: measure it with `bench fid RUN --snapshot all`, or name a --metric"
    return (
        f": {others[0]} is all that its data allows, unless `bench data split DIR --heldout 2000` "
        f"sets some aside before training. Train it again on that, or name --metric {others[0]}"
    )


def comparable(a: Side, b: Side, metric: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each side's rows of a metric in one protocol: of several, the one that a has most rows of.

    The sample's seed is still open. Without batch norm, a network is as one in eval mode.

    Raises:
        MissingError: a side has not been measured so.
        UserError: the sides differ in their protocol or their data; the message has the fields.
    """
    ours, theirs = _measured(a, metric), _measured(b, metric)
    of_ours, of_theirs = _protocols(ours), _protocols(theirs)
    known, others = (list(found.value_counts().index) for found in (of_ours, of_theirs))
    both = [each for each in known if each in others and _ranks(each)]
    one, other = (both[0], both[0]) if both else (_nearest(known), _nearest(others))
    data = [(field, a.rows[field].iloc[0], b.rows[field].iloc[0]) for field in DATA]
    fields = [*data, *zip(MEASURED, one, other, strict=True)]
    if differing := [(field, x, y) for field, x, y in fields if x != y]:
        raise _refusal(a, b, differing)
    if not both:
        raise UserError(
            f"{metric} of {a.name} and {b.name} does not rank: that takes averaged weights, psi 1 "
            "and batch norm in eval mode; `bench fid RUN` measures them"
        )
    return ours[of_ours == one], theirs[of_theirs == one]


def _measured(side: Side, metric: str) -> pd.DataFrame:
    known = side.rows[side.rows["value"].notna()]
    rows = known[known["metric"] == metric]
    if rows.empty:
        have = ", ".join(sorted(known["metric"].unique())) or "no measurement"
        raise MissingError(
            f"{side.name} has no {metric}: `bench eval RUN` measures it; it has {have}"
        )
    return rows


def _protocols(rows: pd.DataFrame) -> "pd.Series[Any]":
    """What must be the same, as a tuple for each row."""
    said = rows[MEASURED].astype(object).where(rows[MEASURED].notna(), None)
    said["batch_norm"] = np.where(rows["batch_norm"] == "train", "train", "eval mode")
    return pd.Series([*said.itertuples(index=False, name=None)], rows.index, object)


def _ranks(protocol: Protocol) -> bool:
    return RANKING.items() <= dict(zip(MEASURED, protocol, strict=True)).items()


def _nearest(protocols: Sequence[Protocol]) -> Protocol:
    return next(filter(_ranks, protocols), protocols[0])


def _refusal(a: Side, b: Side, differing: Sequence[tuple[str, Any, Any]]) -> UserError:
    fields = "; ".join(f"{field} is {_text(x)} and {_text(y)}" for field, x, y in differing)
    return UserError(
        f"{a.name} and {b.name} cannot be compared: {fields}. Take runs on the same data, and "
        "measure them alike with `bench fid RUN --snapshot all`"
    )


# Verdicts


def verdict(a: Side, b: Side, metric: str | None = None, at: str = "last") -> Verdict:
    """Which side is better, by RULE.

    Args:
        metric: by default the one of `choose_metric`.
        at: which measurement of each run counts: `last`, `best`, or hours such as `8h`.

    Raises:
        MissingError: a side has not been measured so.
        UserError: the sides cannot be compared.
    """
    metric = metric or choose_metric(a, b)
    if at == "best" and not DISTANCE.match(metric):
        raise UserError(f"--at best: {metric} is no distance, by which the best is chosen")
    rows = comparable(a, b, metric)
    ours, out_of_a = _counted(a, rows[0], at)
    theirs, out_of_b = _counted(b, rows[1], at)
    out = (*out_of_a, *out_of_b)
    notes = (*(f"left out: {run}" for run in out), *_unlike(ours, theirs, rows, at))
    given = (a.name, ours), (b.name, theirs)
    better, worse = sorted(given, key=_mean, reverse=not lower_is_better(metric))
    if min(len(ours), len(theirs)) == 1:
        pair = len(ours) == len(theirs)
        status = "two checkpoints" if pair else "provisional"
        sentence = _two_means(better, worse, metric, at)
        sentence = f"{'These two checkpoints only' if pair else 'Provisional'}: {sentence}"
        return Verdict(metric, at, status, sentence, None, None, notes, ours, theirs)
    effect = _effect(*given)
    winner = None if effect.is_none else better[0]
    if winner:
        status, sentence = "decided", _beats(better, worse, metric, at)
    else:
        status, sentence = "no significant difference", _no_difference(*given, metric, at)
    if out or min(effect.n_a, effect.n_b) < ENOUGH:
        status, sentence = "provisional", f"Provisional: {sentence}"
    return Verdict(metric, at, status, sentence, winner, effect, notes, ours, theirs)


def lower_is_better(metric: str) -> bool:
    return not metric.startswith(THE_MORE_THE_BETTER)


def _counted(side: Side, rows: pd.DataFrame, at: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The measurement of each run that counts, one a seed; and who is left out, and why."""
    picked = parse_at(at)(rows).sort_values("run")
    if at == "last":  # a newer snapshot without a measurement is the last one all the same
        ends = side.rows.groupby("run")["kimg"].max()
        picked = picked[picked["kimg"] == picked["run"].map(ends)]
    if picked.empty:
        raise MissingError(
            f"{side.name} has no {rows['metric'].iloc[0]} at {at} in this protocol: measure it "
            "with `bench fid RUN --snapshot all`"
        )
    absent = sorted({*side.rows["run"]} - {*picked["run"]})
    again = picked["seed"].duplicated()
    repeated = picked.loc[again, ["run", "seed"]].itertuples(index=False)
    out = [f"{run} (not measured at {at})" for run in absent]
    out += [f"{run} (seed {_text(seed)} again)" for run, seed in repeated]
    return picked[~again], (*side.left_out, *out)


def _unlike(
    ours: pd.DataFrame, theirs: pd.DataFrame, rows: Sequence[pd.DataFrame], at: str
) -> list[str]:
    """What else a reader should know that the sides differ in."""
    told = {"trained on": [_span(each["images"]) + " images" for each in (ours, theirs)]}
    if at == "best":
        chances = [each[each["sample_seed"] == SELECTION_SEED] for each in rows]
        counts = [each.groupby("run").size() for each in chances]
        told["the best of"] = [_span(count) + " snapshots" for count in counts]
    if at.endswith("h"):
        told["hours are of"] = [
            ", ".join(sorted({*each["hardware"].map(_text)})) for each in (ours, theirs)
        ]
    return [f"{what} {one} and {other}" for what, (one, other) in told.items() if one != other]


# Words: of sides by their names, with the measurements that count


def _mean(side: Counted) -> float:
    return float(side[1]["value"].mean())


def _effect(a: Counted, b: Counted) -> Effect:
    return welch(a[1]["value"].tolist(), b[1]["value"].tolist())


def _beats(better: Counted, worse: Counted, metric: str, at: str) -> str:
    effect = _effect(better, worse)
    gain = effect if lower_is_better(metric) else effect.reversed()
    about = _details(effect, better, worse, at)
    return f"{better[0]} beats {worse[0]} on {metric} by {_interval(gain)} {about}."


def _no_difference(a: Counted, b: Counted, metric: str, at: str) -> str:
    effect = _effect(a, b)
    return (
        f"no significant difference between {a[0]} and {b[0]} on {metric}: {b[0]} less {a[0]} is "
        f"{_interval(effect)} {_details(effect, a, b, at)}."
    )


def _two_means(better: Counted, worse: Counted, metric: str, at: str) -> str:
    """Where a side has a single run, and the means are all there is."""
    counts = len(better[1]), len(worse[1])
    seeds = "" if counts == (1, 1) else f"{counts[0]} and {counts[1]} seeds, "
    return (
        f"{better[0]} has {_mean(better):.4g} on {metric} and {worse[0]} has {_mean(worse):.4g} "
        f"({seeds}{_when(better, worse, at)}); a single run has no interval."
    )


def _interval(effect: Effect) -> str:
    """With as many decimals as the interval is good for."""
    reach = effect.high - effect.difference
    decimals = max(0, 1 - math.floor(math.log10(reach))) if reach else 4
    numbers = effect.difference, effect.low, effect.high
    value, low, high = (f"{number:,.{decimals}f}" for number in numbers)
    return f"{value} [{low}, {high}]"


def _details(effect: Effect, a: Counted, b: Counted, at: str) -> str:
    size, seeds = f"{abs(effect.hedges_g):.2g}", f"{effect.n_a} and {effect.n_b} seeds"
    return f"(Hedges g {size}, {seeds}, {_when(a, b, at)})"


def _when(a: Counted, b: Counted, at: str) -> str:
    """`at kimg 3,500`, `at their best, kimg 3,000 to 3,500 and 3,500`, `within 8h, ...`."""
    kimgs = dict.fromkeys(_span(rows["kimg"].map(_in_three_digits)) for _, rows in (a, b))
    words = {"last": "at", "best": "at their best,"}.get(at, f"within {at},")
    return f"{words} kimg {' and '.join(kimgs)}"


def _in_three_digits(kimg: float) -> float:
    """The last step may go beyond where a run was to end by a part of a batch."""
    return float(f"{kimg:.3g}")


def _span(numbers: "pd.Series[Any]") -> str:
    return " to ".join(dict.fromkeys(f"{end:,.10g}" for end in (numbers.min(), numbers.max())))


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _text(value: Any) -> str:
    """A value of the table in a few characters."""
    if pd.isna(value):
        return "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    return value[:8] if re.fullmatch("[0-9a-f]{64}", str(value)) else str(value)
