"""`bench verify`: does every result say all that it takes to believe and repeat it?"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import json_option
from benchmarks.console import item_progress
from data.errors import MissingError
from data.files import matches_digest, written_digest

if TYPE_CHECKING:
    import pandas as pd

    from training.run_dir import RunDir

# What a row has to say, by the columns that say it.
OF_A_RUN = {
    "configuration": ["model", "variant", "options_sha256"],
    "seed": ["seed"],
    "data": ["dataset_sha256", "rows_sha256"],
    "hardware": ["hardware"],
    "versions": ["torch", "gan_versus", "python"],
}
PROTOCOL = [
    *("kimg", "weights", "psi", "batch_norm", "fakes", "sample_seed"),
    *("extractor", "extractor_sha256", "feature_precision", "resize"),
]
REFERENCE = ["reference", "reference_sha256", "reference_images"]
PATH_LENGTHS = "ppl"  # held against nothing
MOMENT = ["kimg", "sample_seed", "psi", "in_train_mode"]
# What is measured, and against which part of the run's own data, which goes with the others.
NAME = r"^(?P<what>.+?)(?:_(?P<part>heldout|train))?$"


@click.command()
@click.argument("results", type=click.Path(path_type=Path), default=Path("results"))
@json_option
def verify(results: Path, as_json: bool) -> None:
    """Check that every row of RESULTS says what it takes to believe and to repeat it.

    \b
    bench verify
    bench verify results/versus

    That is seed, configuration, data, versions, hardware and protocol; the snapshots that were
    measured, with the SHA-256 that they were written with, of averaged and raw weights and against
    all that the run's others were; and each seed once in an arm. Lists the runs that did not
    finish and those that collapsed, and exits with 3 where something is missing.
    """
    from eval.compare import arm_names
    from eval.table import load
    from training.run_dir import RunDir

    table = load(results)
    if table.empty:
        raise MissingError(f"there are no runs in {results} yet: `bench run` makes one")
    arms = arm_names(table)
    checked = []
    for run in RunDir.all(results):
        rows = table[table["run"] == run.id]
        about = {"run": run.id, "arm": arms.get(run.id), "status": rows["status"].iloc[0]}
        collapses = int(rows["collapses"].fillna(0).iloc[0])
        found = {"rows": len(rows), "missing": list(missing(run, rows))}
        checked.append({**about, "collapses": collapses, **found})
    repeated = repeated_seeds(table, arms)
    complete = not repeated and not any(row["missing"] for row in checked)
    if as_json:
        found = {"complete": complete, "runs": checked, "repeated_seeds": repeated}
        click.echo(json.dumps(found, indent=2))
    else:
        show(checked, repeated)
    if not complete:
        lacking_runs = sum(bool(row["missing"]) for row in checked)
        raise MissingError(
            f"{results} is not complete: {lacking_runs} of {len(checked)} runs lack something, and "
            f"{len(repeated)} seeds are there more than once"
        )


def missing(run: "RunDir", rows: "pd.DataFrame") -> Iterator[str]:
    """What a run's rows of the table do not say, a line each."""
    from training.run_dir import ENDED

    status = rows["status"].iloc[0]
    if status == "unreadable":
        yield "configuration: config.json cannot be read"
        return
    if status not in ENDED:
        yield f"its end: it is {status}; `bench run --resume {run.id}` goes on with it"
    for what, columns in OF_A_RUN.items():
        yield from lacking(what, rows, columns)
    measured = rows[~rows["metric"].isin(["training", "failed"]) & rows["metric"].notna()]
    if measured.empty and status in ENDED:
        yield f"measurements: `bench fid {run.id} --snapshot all` makes them"
    yield from lacking("protocol", measured, PROTOCOL)
    compared = measured[~measured["metric"].str.startswith(PATH_LENGTHS)]
    yield from lacking("protocol", compared, REFERENCE)
    for note in rows.loc[rows["metric"] == "failed", "note"]:
        yield f"a measurement, which failed: {note}"
    yield from lacking("weights", measured, ["weights_sha256"])
    yield from cut_short(measured)
    yield from damaged(run, measured.dropna(subset="kimg"))


def lacking(what: str, rows: "pd.DataFrame", columns: list[str]) -> Iterator[str]:
    empty = rows[columns].isna()
    if empty.any(axis=None):
        names = ", ".join(empty.columns[empty.any()])
        yield f"{what}: {names} of {empty.any(axis=1).sum()} of {len(rows)} rows"


def cut_short(measured: "pd.DataFrame") -> Iterator[str]:
    """The samples that were measured in part: not of both weights, or against fewer references."""
    from benchmarks.evaluation import WEIGHTS

    named = measured.join(measured["metric"].str.extract(NAME).fillna(""))
    rows = named.assign(in_train_mode=named["batch_norm"] == "train")
    if rows.empty or rows[[*MOMENT, "weights"]].isna().any(axis=None):
        return  # said already: there is no telling what such a row measures
    own = rows.groupby("metric")["reference_sha256"].transform(most_frequent)
    rows = rows[rows["reference_sha256"].isna() | (rows["reference_sha256"] == own)]
    parts = rows.groupby("what")["part"].agg(set)
    for (kimg, seed, *_), sample in rows.groupby(MOMENT):
        there = set(sample[["what", "weights", "part"]].itertuples(index=False, name=None))
        asked = {
            (what, weights, part)
            for what in sample["what"]
            for weights in WEIGHTS
            for part in parts[what]
        }
        if absent := sorted(asked - there):
            what, weights, part = absent[0]
            example = f"{'_'.join(filter(None, (what, part)))} of {weights} weights"
            yield (
                f"measurements: at kimg {kimg:.10g}, sample seed {seed:.0f}, {len(absent)} of "
                f"{len(asked)} values, such as {example}: measure it again with `bench eval`"
            )


def most_frequent(values: "pd.Series[Any]") -> Any:
    found = values.mode()
    return found.iloc[0] if len(found) else None


def damaged(run: "RunDir", measured: "pd.DataFrame") -> Iterator[str]:
    """The snapshots that were measured and are not as they were then."""
    said_of: dict[float, set[str]] = {}
    for kimg, said in zip(measured["kimg"], measured["weights_sha256"], strict=True):
        said_of.setdefault(kimg, set()).update({said} if isinstance(said, str) else ())
    with item_progress(f"reading {run.id}", len(said_of), "snapshot") as progress:
        for kimg, said in sorted(said_of.items()):
            path = run.path / "snapshots" / f"{round(kimg * 1000):09d}.safetensors"
            try:
                intact = matches_digest(path) and said <= {written_digest(path)}
            except (OSError, IndexError) as error:
                yield f"weights: {path.name} or its SHA-256 cannot be read: {error}"
            else:
                if not intact:
                    yield f"weights: {path.name} is not what was written, or what was measured"
            progress(1)


def repeated_seeds(table: "pd.DataFrame", arms: "pd.Series[str]") -> list[dict[str, Any]]:
    """The seeds that an arm has more than once: such runs are no draws of their own."""
    runs = table.drop_duplicates("run").assign(arm=lambda rows: rows["run"].map(arms))
    groups = runs.dropna(subset="arm").groupby(["arm", "seed"])["run"].apply(list)
    repeated = groups[groups.map(len) > 1].reset_index()
    found: list[dict[str, Any]] = json.loads(repeated.to_json(orient="records"))
    return found


def show(checked: list[dict[str, Any]], repeated: list[dict[str, Any]]) -> None:
    width = max(len(row["run"]) for row in checked)
    for row in checked:
        verdict = "missing:" if row["missing"] else "complete"
        click.echo(f"{row['run']:{width}}  {row['status']:10}  {row['rows']:5} rows  {verdict}")
        for line in row["missing"]:
            click.echo(f"    {line}")
    for again in repeated:
        click.echo(f"{again['arm']}: seed {again['seed']:.0f} of {' and '.join(again['run'])}")
    ended = [f"{row['run']} ({row['status']})" for row in checked if row["status"] != "finished"]
    click.echo(f"not finished: {', '.join(ended) or 'none'}")
    fell = [f"{row['run']} (times: {row['collapses']})" for row in checked if row["collapses"]]
    click.echo(f"collapsed: {', '.join(fell) or 'none'}")
