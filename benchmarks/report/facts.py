"""What a report is about: runs, the arms that they are seeds of, and what ranks them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError

from benchmarks.trained import Trained, load_trained
from data.errors import UserError
from eval.compare import RANKING, Side, arm_names, heldout_distances
from eval.features import Watch
from eval.metrics import DISTANCES, INCEPTION_NAMES
from eval.table import load
from training.environment import resolve_device
from training.run_dir import STATS, RunDir

MOST_DRAWN = 4  # arms that pictures are made of
NUMBERS = (
    *("images", "seed", "value", "floor", "psi", "fakes", "sample_seed", "reference_images"),
    *("kimg", "g_updates", "train_sec", "images_per_sec", "peak_memory_bytes"),
    *("g_parameters", "d_parameters", "batch", "collapses", "rollbacks"),
)
# What else two distances must have in common to be of one kind; `weights` may differ.
YARDSTICK = (
    *("extractor", "extractor_sha256", "feature_precision", "resize"),
    *("reference_sha256", "reference_images", "fakes"),
)
FINISHED = "finished"
# What the weights of a run may raise that are not what they should be.
UNREADABLE = (UserError, SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, eq=False)
class Arm:
    """Runs that differ in nothing but the seed.

    Attributes:
        index: its place among the arms, and so its colour.
        runs: by the name that they have in the table.
        rows: the table's, of all of them.
        counting: those of them that means are of: the finished ones, or all where none is.
    """

    name: str
    index: int
    runs: dict[str, RunDir]
    rows: pd.DataFrame
    counting: Sequence[str]

    @property
    def model(self) -> str:
        return str(self.rows["model"].iloc[0])

    @property
    def side(self) -> Side:
        """It as a comparison takes it."""
        aside = [run for run in self.runs if run not in self.counting]
        rows = self.rows[self.rows["run"].isin(self.counting)]
        statuses = self.rows.drop_duplicates("run").set_index("run")["status"]
        return Side(self.name, rows, tuple(f"{run} ({statuses[run]})" for run in aside))

    def stats(self) -> dict[str, pd.DataFrame]:
        """What each run recorded as it trained, of those that did."""
        found = {name: pd.DataFrame(run.rows(STATS)) for name, run in self.runs.items()}
        return {
            name: stats.apply(pd.to_numeric, errors="coerce")
            for name, stats in found.items()
            if "kimg" in stats
        }


@dataclass(frozen=True, eq=False)
class Headline:
    """The distance that ranks the arms, and its rows: of one protocol but for the weights.

    Attributes:
        apart: runs whose measurements are of another kind, or that have none.
    """

    metric: str
    rows: pd.DataFrame
    apart: Sequence[str]

    def of(self, run: str, weights: str = "ema") -> pd.DataFrame:
        return self.rows[(self.rows["run"] == run) & (self.rows["weights"] == weights)]

    @property
    def name(self) -> str:
        """`FID`, where it is that."""
        kind = self.metric.partition("_")[0].rstrip("0123456789.k")
        return "FID" if kind == "fid" else "Fréchet distance"


@dataclass(frozen=True, eq=False)
class Drawn:
    """A run that pictures are made of: the first of its arm that has a generator to show."""

    arm: Arm
    run: str
    trained: Trained


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything that a page's sections draw on.

    Attributes:
        results: the folder that claims are looked for in.
        runs: by their names in the table.
        table: as `eval.table` has it, of these runs.
        unread: runs whose configuration cannot be read.
        undrawn: why some arms have no pictures.
    """

    results: Path
    runs: dict[str, RunDir]
    table: pd.DataFrame
    arms: Sequence[Arm]
    headline: Headline | None
    drawn: Sequence[Drawn]
    undrawn: Sequence[str]
    device: str
    watch: Watch

    @cached_property
    def unread(self) -> list[str]:
        in_arms = {run for arm in self.arms for run in arm.runs}
        return [run for run in self.runs if run not in in_arms]


def gather(results: Path, runs: Sequence[RunDir], device: str, watch: Watch) -> Facts:
    """Read everything there is to know of runs.

    Raises:
        MissingError: there is no such device.
    """
    resolve_device(device)
    named = names_of(runs)
    table = table_of(named)
    arms = arms_of(named, table)
    drawn, undrawn = load_drawn(arms, device)
    return Facts(results, named, table, arms, headline_of(table), drawn, undrawn, device, watch)


def names_of(runs: Sequence[RunDir]) -> dict[str, RunDir]:
    """Runs by their ids; by folder and id, where two have the same id."""
    ids = [run.id for run in runs]
    return {run.id if ids.count(run.id) == 1 else str(run.path): run for run in runs}


def table_of(runs: dict[str, RunDir]) -> pd.DataFrame:
    """The results table of these runs; what should be a number and is none is missing."""
    tables = {folder: load(folder) for folder in {run.path.parent for run in runs.values()}}
    found = []
    for name, run in runs.items():
        rows = tables[run.path.parent]
        found.append(rows[rows["run"] == run.id].assign(run=name))
    table = pd.concat(found, ignore_index=True)
    for column in NUMBERS:
        table[column] = pd.to_numeric(table[column], errors="coerce")
    return table


def arms_of(runs: dict[str, RunDir], table: pd.DataFrame) -> list[Arm]:
    """Arms in the order of their first runs."""
    if table["model"].isna().all():
        return []
    names = arm_names(table)
    found = []
    for index, name in enumerate(dict.fromkeys(names)):
        members = [run for run in runs if run in names.index and names[run] == name]
        rows = table[table["run"].isin(members)]
        finished = rows.loc[rows["status"] == FINISHED, "run"].unique()
        found.append(
            Arm(name, index, {run: runs[run] for run in members}, rows, list(finished) or members)
        )
    return found


def headline_of(table: pd.DataFrame) -> Headline | None:
    """The distance that most runs have, of one protocol; None where nothing was measured.

    Distances to held-out images come first, and FID among them.
    """
    known = table["value"].notna() & (table["psi"] == RANKING["psi"])
    rows = table[known & (table["batch_norm"] != "train")]
    metrics = heldout_distances(rows) or other_distances(rows)
    if not metrics:
        return None
    runs = [rows.loc[rows["metric"] == metric, "run"].nunique() for metric in metrics]
    metric = metrics[runs.index(max(runs))]
    rows = rows[rows["metric"] == metric]
    kinds = rows.groupby(list(YARDSTICK), dropna=False, sort=False)
    _, rows = max(kinds, key=lambda kind: kind[1]["run"].nunique())
    return Headline(
        metric, rows, [run for run in table["run"].unique() if run not in {*rows["run"]}]
    )


def other_distances(rows: pd.DataFrame) -> list[str]:
    """Distances to anything else, where nothing was held out."""
    kinds = "|".join((*INCEPTION_NAMES.values(), *DISTANCES))
    found = rows["metric"].dropna().astype(str).unique()
    return sorted(name for name in found if re.match(rf"({kinds})[_\d]", name))


def load_drawn(arms: Sequence[Arm], device: str) -> tuple[list[Drawn], list[str]]:
    """The generators of the first arms' first runs that have one, and what is missing."""
    drawn: list[Drawn] = []
    missing = []
    for arm in arms:
        if len(drawn) == MOST_DRAWN:
            missing.append(f"{arm.name}: pictures are of the first {MOST_DRAWN} arms.")
            continue
        for name, run in arm.runs.items():
            try:
                drawn.append(Drawn(arm, name, load_trained(run, None, False, device)))
                break
            except UNREADABLE as error:
                missing.append(f"{name} is not drawn: {error}.")
    return drawn, missing
