"""`bench report`: everything that was found, on one page."""

from pathlib import Path

import click

from benchmarks.commands.options import results_option, written_as
from benchmarks.console import item_progress
from data.errors import MissingError


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "--out",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=written_as(".html", ".htm"),
    help="The page.  [default: report.html in the folder of runs]",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@results_option
def report(runs: tuple[str, ...], out: Path | None, device: str, results: Path) -> None:
    """Write one page about runs: the verdict, the numbers, the pictures, the commands.

    \b
    bench report                                 every run in results
    bench report 00003 00007 --out two.html
    bench report --results results/versus        a suite

    Runs that differ in nothing but the seed are one arm, and arms are compared by the rule that the
    page prints. What a run cannot show is left out, with the reason; `bench fid RUN --snapshot all`
    and `bench claims` come first. The page is one file, and asks no network for anything. It holds
    training images beside generated ones: mind where it goes. Prints where it is. RUN is an id, a
    path or `latest`.
    """
    from benchmarks.report.page import write_report
    from training.run_dir import RunDir

    found = [RunDir.find(results, run) for run in runs] if runs else RunDir.all(results)
    if not found:
        raise MissingError(f"there are no runs in {results} yet; make one with `bench run`")
    chosen = list({run.path.resolve(): run for run in found}.values())
    page = out or results / "report.html"
    write_report(page, results, chosen, device, item_progress)
    click.echo(page)
