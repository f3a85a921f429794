"""What people see while they wait: lines and progress bars, all on stderr."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

# Where torchrun has started several of us for one run, the first speaks.
SPEAKS = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["RANK"] == "0"
LINE_SEC = 60  # between two lines of progress where there is no terminal


def say(line: str) -> None:
    if SPEAKS:
        click.echo(line, err=True)


@contextmanager
def item_progress(what: str, total: int, unit: str = "image") -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, a line a minute elsewhere: call it with the items just done."""
    from tqdm import tqdm

    if not sys.stderr.isatty():
        yield _line_a_minute(what, total, unit)
        return
    with tqdm(desc=what, total=total, unit=unit, leave=False) as bar:

        def show(done: int) -> None:
            bar.update(done)

        yield show


def _line_a_minute(what: str, total: int, unit: str) -> Callable[[int], None]:
    from tqdm import tqdm

    seen, start = 0, time.monotonic()
    last = start

    def tell(done: int) -> None:
        nonlocal seen, last
        seen += done
        now = time.monotonic()
        if now - last >= LINE_SEC and 0 < seen < total:
            last = now
            left = tqdm.format_interval((now - start) / seen * (total - seen))
            say(f"{what}: {seen:,} of {total:,} {unit}s, {left} left")

    return tell


@contextmanager
def file_progress() -> Iterator[Callable[[int, int], None]]:
    """The same for a total that is known later: call it with files done and files in all."""
    from tqdm import tqdm

    with tqdm(unit="file", disable=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
