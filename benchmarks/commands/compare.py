"""`bench compare`: which of two is better, and whether that can be told."""

import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import json_option, results_option
from data.errors import MissingError, UserError

if TYPE_CHECKING:
    import pandas as pd

    from eval.compare import Side, Verdict

    Pair = tuple[Side, Side]

WIDTH = 100


@click.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--metric",
    metavar="NAME",
    help="As `bench table` calls it.  [default: FID against held-out images, else another Frechet "
    "distance]",
)
@click.option(
    "--at",
    default="last",
    metavar="last|best|HOURSh",
    show_default=True,
    help="Which snapshot of each run counts; 8h is the newest within 8 hours of training.",
)
@json_option
@results_option
def compare(a: str, b: str, metric: str | None, at: str, as_json: bool, results: Path) -> None:
    """Say which of A and B is better, with an interval over training seeds.

    \b
    bench compare stylegan-tiny dcgan-r1            two arms: their finished runs
    bench compare 00000,00002,00004 00001,00003     the same, run by run
    bench compare 00000 00001                       two runs: these two checkpoints only
    bench compare stylegan-tiny dcgan-r1 --at 8h

    An arm is all runs that differ in nothing but the seed. It is called as its suite calls it, by
    its recipe, or by its model and variant. Measurements of different protocols, and runs on
    different data, are not compared.
    """
    from eval.compare import RULE, parse_at, verdict
    from eval.table import load

    parse_at(at)
    table = load(results)
    sides = find_side(results, table, a), find_side(results, table, b)
    if shared := sorted({*sides[0].rows["run"]} & {*sides[1].rows["run"]}):
        raise UserError(f"{a} and {b} share {', '.join(shared)}: name two that do not")
    found = verdict(*sides, metric, at)
    if as_json:
        click.echo(json.dumps(as_dict(sides, found), indent=2, allow_nan=False))
        return
    click.echo(summary(sides, found).to_string(index=False))
    for line in (found.sentence, *found.notes, protocol_in_words(found), RULE):
        click.echo("\n" + textwrap.fill(line, WIDTH, break_on_hyphens=False))


def find_side(results: Path, table: "pd.DataFrame", name: str) -> "Side":
    """An arm by one of its names; or else a run, or several with commas.

    Raises:
        UserError: it may be several arms, or the runs differ in more than their seeds.
        MissingError: there is no such thing, or nothing of it has finished.
    """
    import pandas as pd

    from eval.compare import Side, arm_names

    arm_of = arm_names(table)
    runs_in_arms = table.drop_duplicates("run").assign(arm=table["run"].map(arm_of))
    rows = runs_in_arms.dropna(subset="arm").to_dict("records")
    found = {str(row["arm"]) for row in rows if name in names_of(row)}
    found = {name} if name in found else found  # of others it is only a beginning
    if len(found) > 1:
        raise UserError(f"{name} may be {' or '.join(sorted(found))}: write which")
    if found:
        (arm,) = found
        return finished(arm, table[table["run"].map(arm_of) == arm])
    runs = [rows_of(results, table, run) for run in name.split(",")]
    return finished(name, pd.concat(runs)) if len(runs) > 1 else Side(name, runs[0])


def names_of(row: Mapping[Any, Any]) -> set[str]:
    """What the arm of a run may be called: in full, without its additions, as by a suite, by its
    recipe or its network.
    """
    suite, network = row["run"].rpartition("-seed")[0], f"{row['model']}-{row['variant']}"
    return {row["arm"], row["arm"].partition(":")[0], suite, row["recipe"], network}


def finished(name: str, rows: "pd.DataFrame") -> "Side":
    """The finished runs of an arm."""
    from eval.compare import Side, left_out

    waiting = left_out(rows)
    if len(waiting) > 1:
        raise UserError(f"{name} are runs of several arms: {', '.join(waiting)}; a side is one arm")
    (out,) = waiting.values()
    done = rows[rows["status"] == "finished"]
    if done.empty:
        raise MissingError(f"{name}: no run of it has finished: {', '.join(out)}")
    return Side(name, done, out)


def rows_of(results: Path, table: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """A run's rows; one from elsewhere goes by its path."""
    from eval.table import load
    from training.run_dir import CONFIG, RunDir

    try:
        run = RunDir.find(results, name)
    except MissingError as missing:
        raise MissingError(f"{missing}; nor is there an arm of that name") from None
    here = run.path.resolve().parent == results.resolve()
    rows = table if here else load(run.path.resolve().parent)
    rows = rows[rows["run"] == run.id]
    if rows["model"].isna().any():
        raise UserError(f"{run.path / CONFIG} cannot be read")
    return rows if here else rows.assign(run=str(run.path))


def summary(sides: "Pair", found: "Verdict") -> "pd.DataFrame":
    """A row a side: the metric over the runs that count, last and best, and what it took."""
    import pandas as pd

    from eval.compare import best, comparable, last, parse_at

    picks = {"last": last, "best": best, found.at: parse_at(found.at)}
    table = []
    for side, rows, counted in zip(
        sides, comparable(*sides, found.metric), (found.a, found.b), strict=True
    ):
        rows = rows[rows["run"].isin(counted["run"])]
        values = {name: mean_in_words(pick(rows)["value"]) for name, pick in picks.items()}
        hours = counted["train_sec"].mean() / 3600
        took = {"kimg": f"{counted['kimg'].mean():,.1f}", "hours": f"{hours:.3g}"}
        table.append({found.metric: side.name, "seeds": len(counted), **values, **took})
    return pd.DataFrame(table)


def mean_in_words(values: "pd.Series[float]") -> str:
    """With the standard deviation, where there is one."""
    if values.empty:
        return "-"
    spread = f" s.d. {values.std():.2g}" if len(values) > 1 else ""
    return f"{values.mean():.4g}{spread}"


def protocol_in_words(found: "Verdict") -> str:
    import pandas as pd

    row = found.a.iloc[0]
    against = ""  # a path length is held against nothing
    if pd.notna(row["reference"]):
        against = f", against {row['reference']} ({row['reference_images']:,.0f} images)"
    return (
        f"{found.metric}: features of {row['extractor']} {row['extractor_sha256'][:8]}, "
        f"{row['fakes']:,.0f} fakes of sample seed {row['sample_seed']:.0f}, averaged weights, "
        f"psi 1{against}."
    )


def as_dict(sides: "Pair", found: "Verdict") -> dict[str, Any]:
    """Everything that there is to say, as JSON can hold it."""
    from eval.compare import PROTOCOL, RULE

    said = {
        name: getattr(found, name)
        for name in ("metric", "at", "status", "winner", "sentence", "notes")
    }
    effect = asdict(found.effect) if found.effect else {}
    for name, side, rows in zip("ab", sides, (found.a, found.b), strict=True):
        runs = rows[["run", "seed", "kimg", "train_sec", "value"]]
        said[name] = {"name": side.name, "runs": json.loads(runs.to_json(orient="records"))}
    protocol = json.loads(found.a[PROTOCOL].iloc[0].to_json())
    finite = {name: value if math.isfinite(value) else None for name, value in effect.items()}
    return {**said, "effect": finite or None, "protocol": protocol, "rule": RULE}
