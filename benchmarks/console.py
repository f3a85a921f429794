"""What people see while they wait: lines and progress bars, all on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

# Where torchrun has started several of us for one run, the first speaks.
SPEAKS = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["RANK"] == "0"


def say(line: str) -> None:
    if SPEAKS:
        click.echo(line, err=True)


@contextmanager
def item_progress(what: str, total: int, unit: str = "image") -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal: call it with the number of items just done."""
    from tqdm import tqdm

    hidden = not sys.stderr.isatty()
    with tqdm(desc=what, total=total, unit=unit, disable=hidden, leave=False) as bar:

        def show(done: int) -> None:
            bar.update(done)

        yield show


@contextmanager
def file_progress() -> Iterator[Callable[[int, int], None]]:
    """The same for a total that is known later: call it with files done and files in all."""
    from tqdm import tqdm

    with tqdm(unit="file", disable=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
