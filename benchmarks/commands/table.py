"""`bench table`: the results."""

from pathlib import Path

import click

from benchmarks.commands.options import json_option, results_option

# What fits a terminal; --csv and --json have every column.
SHORT = {
    "run": "run",
    "status": "status",
    "metric": "metric",
    "value": "value",
    "floor": "floor",
    "weights": "weights",
    "kimg": "kimg",
    "g_updates": "G updates",
    "train_sec": "train sec",
    "images_per_sec": "img/s",
    "precision": "precision",
    "seed": "seed",
}

# ... and where measurements differ in them, without which a row could not be told from another.
WHERE_THEY_DIFFER = {
    "sample_seed": "sample",
    "psi": "psi",
    "batch_norm": "batch norm",
    "reference": "reference",
    "extractor_sha256": "extractor",
}


@click.command()
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, every column.")
@json_option
@results_option
def table(as_csv: bool, as_json: bool, results: Path) -> None:
    """Print one row for each measurement of each run.

    \b
    bench table
    bench table --csv > results.csv
    In Python: from eval.table import load; load("results")
    """
    from eval.table import load

    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    rows = load(results)
    if as_csv:
        click.echo(rows.to_csv(index=False), nl=False)
    elif as_json:
        click.echo(rows.to_json(orient="records", indent=2))
    elif rows.empty:
        click.echo(f"no runs in {results} yet: bench run", err=True)
    else:
        told = {k: v for k, v in WHERE_THEY_DIFFER.items() if rows[k].dropna().nunique() > 1}
        short = rows[list(SHORT | told)].rename(columns=SHORT | told)
        text = short.to_string(
            index=False,
            na_rep="-",
            float_format="{:,.1f}".format,
            formatters=dict.fromkeys(("value", "floor"), "{:.4g}".format),
        )
        click.echo(text)
