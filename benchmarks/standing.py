"""Where the runs of a suite stand, as their folders tell."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

from benchmarks.evaluation import REPORT_SEED, SELECTION_SEED, WEIGHTS
from benchmarks.jobs import Command, Elsewhere
from benchmarks.suite import Planned
from data.errors import MissingError, UserError
from eval.metrics import DISTANCES, PATH_LENGTH, Metric
from training.run_dir import CONFIG, ENDED, METRICS, STATS, RunDir

Stage = Literal["new", "begun", "training", "trained", "measured"]
# Of which kind of metric, in whose features, of how many fakes, of which weights, against what.
Measurement = tuple[str | None, str | None, int | None, str | None, str]
# How names of measurements begin, and of which kind of metric they are.
KINDS = {
    "fid_inf": "fd_inf",
    "fd_inf": "fd_inf",
    "fid": "fd",
    "fd": "fd",
    "kid": "kd",
    "kd": "kd",
    "precision": "pr",
    "js": "js",
    "ppl": PATH_LENGTH,
}
PARTS = ("heldout", "train")  # of the real images: a suite takes no data without the first


@dataclass(frozen=True)
class Standing:
    """Of one run.

    Attributes:
        status: of its folder: finished, diverged, killed ...; empty where there is none, and
            unreadable where training it will say why.
        kimg: trained so far, as of the last tick.
        sec_per_kimg: of training alone; None before the first tick.
    """

    stage: Stage
    status: str = ""
    kimg: float = 0.0
    sec_per_kimg: float | None = None


def standing(run: Planned) -> Standing:
    """Read a run's folder."""
    folder = RunDir(run.path)
    if not (run.path / CONFIG).is_file():
        return Standing("new")
    status = str(folder.status["state"])
    ticks = folder.rows(STATS)
    kimg = ticks[-1]["kimg"] if ticks else 0.0
    pace = ticks[-1]["seconds"] / kimg if kimg else None
    try:
        return Standing(_stage(run, folder, status), status, kimg, pace)
    except UserError:
        return Standing("begun", "unreadable", kimg, pace)


def _stage(run: Planned, folder: RunDir, status: str) -> Stage:
    if status == "running":
        return "training"
    longer = run.config.training.nimg > folder.config.training.nimg
    if status not in ENDED or longer:
        return "begun"
    return "measured" if is_measured(run, folder) else "trained"


def is_measured(run: Planned, folder: RunDir) -> bool:
    """Whether every snapshot that is reported has been, in whole.

    A kill may cut measurements anywhere. A snapshot that cannot be measured was tried, and a run
    that ended before its first has nothing to measure.
    """
    metrics = [Metric.parse(name) for name in run.metrics]
    asked = {part for metric in metrics for part in _parts(metric)}
    rows = folder.rows(METRICS)
    for nimg in _reported(folder, metrics, rows):
        moment = {"nimg": nimg, "sample_seed": REPORT_SEED}.items()
        mine = [row for row in rows if moment <= row.items()]
        failed = any(row["metric"] == "failed" for row in mine)
        if not failed and not asked <= set(map(_measurement, mine)):
            return False
    return True


def _parts(metric: Metric) -> list[Measurement]:
    """What one metric comes to: of both kinds of weights, against each part of the real images."""
    parts = ("",) if metric.kind == PATH_LENGTH else PARTS
    return [(metric.kind, metric.spec, metric.num, *each) for each in product(WEIGHTS, parts)]


def _reported(folder: RunDir, metrics: list[Metric], rows: list[dict[str, Any]]) -> set[int]:
    """The last snapshot and the best of each kind of weights, by the images seen."""
    there = [int(snapshot.stem) for snapshot in folder.snapshots]
    reported = set(there[-1:])
    ranking = next((_parts(metric) for metric in metrics if metric.kind in DISTANCES), [])
    values: dict[Measurement, dict[int, float]] = {each: {} for each in ranking if PARTS[0] in each}
    for row in rows:
        found = _measurement(row) if row.get("sample_seed") == SELECTION_SEED else None
        if found in values and row["value"] is not None and row["nimg"] in there:
            values[found][row["nimg"]] = row["value"]
    return reported | {min(sorted(of), key=of.__getitem__) for of in values.values() if of}


def _measurement(row: dict[str, Any]) -> Measurement | None:
    """What a row is a measurement of; nothing where it cannot rank."""
    name = re.match("|".join(KINDS), row["metric"])
    if not name or row.get("psi") != 1 or row.get("batch_norm") == "train":
        return None
    part = re.search(rf"_({'|'.join(PARTS)})$", row["metric"])
    kind, whose = KINDS[name.group()], (row.get("extractor"), row.get("fakes"))
    return (kind, *whose, row.get("weights"), part.group(1) if part else "")


def remaining(run: Planned) -> list[Command]:
    """The commands of a run that are still to be run.

    Raises:
        Elsewhere: another process trains it.
        MissingError: its folder cannot be written to.
    """
    stage = standing(run).stage
    if stage == "training" or (stage == "begun" and _is_held(RunDir(run.path))):
        raise Elsewhere
    return {"measured": [], "trained": [run.measure]}.get(stage, [run.train, run.measure])


def refuse_others(runs: Iterable[Planned]) -> None:
    """Refuse to go on with runs that a folder has of another plan.

    Raises:
        UserError: one was started otherwise; the message says in what.
    """
    for run in runs:
        if standing(run).status in ("", "unreadable"):
            continue
        saved, planned = RunDir(run.path).config, run.config
        planned = replace(
            planned,
            training=planned.training.decided_as(saved.training),
            data={**saved.data, **planned.data},
        )
        try:
            saved.refuse_changes(planned, f"--name {run.name}")
        except UserError as error:
            raise UserError(
                f"{run.path} is another plan's: choose another --results. {error}"
            ) from None


def _is_held(folder: RunDir) -> bool:
    """Whether somebody is about to train in a folder, whose status does not say so yet."""
    try:
        with folder.locked():
            return False
    except MissingError:
        raise
    except UserError:
        return True


def seconds_left(
    runs: Iterable[tuple[Planned, Standing]], paces: dict[str, float], slots: int
) -> tuple[float, int]:
    """How long the training of runs takes yet, and how many of them have no pace to tell by.

    Args:
        runs: those that are not trained yet.
        paces: seconds a kimg, by arm.
        slots: how many run at a time.
    """
    left = [
        max(0.0, run.kimg - found.kimg) * paces[run.arm] for run, found in runs if run.arm in paces
    ]
    unknown = sum(run.arm not in paces for run, _ in runs)
    return max([sum(left) / slots, *left]), unknown
