"""Options that several commands share."""

from pathlib import Path

import click

results_option = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="The folder of run directories.",
)
run_argument = click.argument("run", default="latest")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
