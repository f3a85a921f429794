"""`bench log`: a run in the line that the reports print."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from benchmarks.commands.options import results_option, run_argument
from data.errors import MissingError

# The reports' names of what a tick calls otherwise, in their order.
SCORES = {
    "loss_g": "loss_g",
    "loss_d": "loss_d",
    "d_real": "real_score",
    "d_fake": "fake_score",
}


@click.command()
@run_argument
@results_option
def log(run: str, results: Path) -> None:
    """Print a line for each epoch of RUN (an id, a path or `latest`), as the reports do.

    \b
    bench log
    bench log 00003

    Means over the ticks that ended in an epoch; real_score and fake_score are D's mean probability
    of "real", and a critic has none.
    """
    from training.run_dir import STATS, RunDir

    found = RunDir.find(results, run)
    config = found.config
    epochs = config.training.nimg / config.data["images"]
    lines = epoch_lines(found.rows(STATS), config.data["images"], math.ceil(epochs))
    if not lines:
        raise MissingError(f"{found.path} has no stats yet: it ended before its first tick")
    for line in lines:
        click.echo(line)


def epoch_lines(ticks: Iterable[Mapping[str, Any]], images: int, epochs: int) -> list[str]:
    """A line for each epoch of so many images in which a tick ended."""
    by_epoch: dict[int, list[Mapping[str, Any]]] = {}
    for tick in ticks:  # the last step may go beyond the end
        epoch = min(math.ceil(tick["nimg"] / images), epochs)
        by_epoch.setdefault(epoch, []).append(tick)
    return [_line(epoch, epochs, rows) for epoch, rows in by_epoch.items()]


def _line(epoch: int, epochs: int, ticks: list[Mapping[str, Any]]) -> str:
    parts = [f"Epoch [{epoch}/{epochs}]"]
    for name, title in SCORES.items():
        values = [tick[name] for tick in ticks if tick.get(name) is not None]
        if values:
            parts.append(f"{title}: {fmean(values):.4f}")
    return ", ".join(parts)
