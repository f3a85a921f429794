"""`bench plot`: loss and score curves."""

from pathlib import Path

import click

from benchmarks.commands.options import results_option, run_argument


@click.command()
@run_argument
@results_option
def plot(run: str, results: Path) -> None:
    """Draw the loss and score curves of RUN (an id, a path or `latest`) as PNG pictures.

    \b
    bench plot
    bench plot 00003
    """
    from benchmarks.curves import draw_curves
    from training.run_dir import RunDir

    for path in draw_curves(RunDir.find(results, run)):
        click.echo(path)
