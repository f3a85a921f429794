"""`bench weights`: networks of others that metrics need."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.options import json_option
from data.errors import UserError

if TYPE_CHECKING:
    from eval.weights import WeightFile

name_argument = click.argument("name", required=False)


@click.group()
def weights() -> None:
    """Fetch Inception's weights, which FID and KID need and nothing else here does.

    They are kept in $GAN_VERSUS_WEIGHTS, or beside the compiled ops in ~/.cache/gan-versus, and
    used only while their SHA-256 is the published one. Either of the two known files will do.

    \b
    bench weights fetch
    bench weights fetch --from inception-2015-12-05.pt     copied from another machine
    bench weights verify
    """


@weights.command()
@name_argument
@click.option("--from", "source", metavar="FILE_OR_URL", help="Take it from there.")
@click.option("--offline", is_flag=True, help="Never touch the network; say what to put where.")
def fetch(name: str | None, source: str | None, offline: bool) -> None:
    """Download a weight file, NVIDIA's Inception by default, and print where it is.

    A download that was cut goes on where it stopped. A file is checked before it gets its name.

    \b
    bench weights fetch
    bench weights fetch pt_inception-2015-12-05-6726825d.pth
    bench weights fetch --from /media/stick/inception-2015-12-05.pt
    """
    from eval.weights import INCEPTION, weight_file
    from eval.weights import fetch as fetch_file

    file = weight_file(name) if name else INCEPTION[0]
    with byte_progress(file.size_bytes) as progress:
        path = fetch_file(file, source, offline=offline, progress=progress)
    click.echo(path)


@weights.command()
@json_option
def verify(as_json: bool) -> None:
    """Read the weight files that are there, and compare their SHA-256 with the published ones.

    Exit code 2 if one is damaged, 3 if there is none.

    \b
    bench weights verify
    """
    import json

    from eval.weights import INCEPTION, find_inception

    rows = [describe(file) for file in INCEPTION]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            click.echo(f"{row['state']:8} {row['path']}")
    if problems := [row["problem"] for row in rows if row["problem"]]:
        raise UserError("; ".join(problems))
    find_inception()  # it says what to do where there is none


@weights.command()
@name_argument
def path(name: str | None) -> None:
    """Print where each weight file is, or would be.

    \b
    bench weights path
    bench weights path inception-2015-12-05.pt
    """
    from eval.weights import INCEPTION, weight_file

    for file in [weight_file(name)] if name else INCEPTION:
        click.echo(file.path)


def describe(file: "WeightFile") -> dict[str, Any]:
    """A file's name, path and state: intact, damaged or missing; and what is the matter with it."""
    from eval.weights import check

    row = {"name": file.name, "path": str(file.path), "state": "missing", "problem": None}
    if not file.path.is_file():
        return row
    try:
        check(file)
    except UserError as error:
        return {**row, "state": "damaged", "problem": str(error)}
    return {**row, "state": "intact"}


@contextmanager
def byte_progress(total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal's stderr: call it with the bytes that are there so far."""
    from tqdm import tqdm

    hidden = not sys.stderr.isatty()
    with tqdm(total=total, unit="B", unit_scale=True, disable=hidden) as bar:

        def show(done: int) -> None:
            bar.update(done - bar.n)

        yield show
