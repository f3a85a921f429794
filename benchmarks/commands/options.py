"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path

import click

from data.errors import UserError

results_option = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="The folder of run directories.",
)
run_argument = click.argument("run", default="latest")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def written_as(
    *suffixes: str,
) -> Callable[[click.Context, click.Parameter, Path | None], Path | None]:
    """The callback of an --out whose file must have one of these suffixes, in a folder there is."""

    def check(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
        if path and path.suffix.lower() not in suffixes:
            raise UserError(f"--out {path}: let the name end in {' or '.join(suffixes)}")
        if path and not path.parent.is_dir():
            raise UserError(f"--out {path}: there is no folder {path.parent}; make it first")
        return path

    return check
