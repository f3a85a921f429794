"""`bench table`: the results."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import json_option, results_option

if TYPE_CHECKING:
    import pandas as pd

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
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a table for a README.")
@json_option
@results_option
def table(as_csv: bool, as_markdown: bool, as_json: bool, results: Path) -> None:
    """Print one row for each measurement of each run.

    \b
    bench table
    bench table --csv > results.csv
    bench table --markdown > results.md
    In Python: from eval.table import load; load("results")
    """
    from eval.table import load

    if as_csv + as_markdown + as_json > 1:
        raise click.UsageError("--csv, --markdown and --json exclude each other")
    rows = load(results)
    if as_csv:
        click.echo(rows.to_csv(index=False), nl=False)
    elif as_json:
        click.echo(rows.to_json(orient="records", indent=2))
    elif rows.empty:
        click.echo(f"no runs in {results} yet: bench run", err=True)
    elif as_markdown:
        click.echo(markdown(short(rows)))
    else:
        click.echo(short(rows).to_string(index=False))


def short(rows: "pd.DataFrame") -> "pd.DataFrame":
    """What fits a terminal, as text."""
    import pandas as pd

    told = {k: v for k, v in WHERE_THEY_DIFFER.items() if rows[k].dropna().nunique() > 1}
    columns = SHORT | told
    cells = {title: [in_words(name, x) for x in rows[name]] for name, title in columns.items()}
    return pd.DataFrame(cells)


def in_words(column: str, value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if column in ("value", "floor") else f"{value:,.1f}"
    return str(value)


def markdown(table: "pd.DataFrame") -> str:
    """A table as GitHub reads it, in which names stand as they are."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(map(escaped, line))} |" for line in lines)


def escaped(text: str) -> str:
    """On one line, and free of Markdown's signs."""
    return re.sub(r"([\\|`*<\[])", r"\\\1", " ".join(text.split()))
