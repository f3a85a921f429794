"""`bench suite`: many runs, planned and run as one."""

import json
import shlex
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.console import say

if TYPE_CHECKING:
    from benchmarks.jobs import Job
    from benchmarks.suite import Planned

SOME_FAILED = 4  # as when an import has left out more than it may: the rest is there
WIDTH = 100

Command = Callable[..., None]


class SuiteGroup(click.Group):
    """`bench suite NAME` is `bench suite run NAME`, and `bench suite` is `bench suite list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["list"]
        elif args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def planning_options(command: Command) -> Command:
    """Of which runs."""
    for option in (
        click.option(
            "--results",
            type=click.Path(path_type=Path),
            help="The folder of run directories.  [default: results/SUITE]",
        ),
        click.option(
            "--num",
            type=click.IntRange(64, 1_000_000),
            help="Measure so many fakes.  [default: as the suite's metrics say]",
        ),
        click.option("--variant", help="Networks for every arm: `tiny` is for a CPU."),
        click.option(
            "--budget", metavar="PERCENT", help="A share of every length, such as 5%.  [all of it]"
        ),
        click.option(
            "--seeds", type=click.IntRange(min=1), metavar="N", help="0 to N - 1.  [the suite's]"
        ),
        click.option(
            "--data",
            multiple=True,
            metavar="DATA|ROLE=DATA",
            help="As `bench run` takes it. Again for another data set.  [default: drawn faces]",
        ),
        click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- FLAG...]"),
        click.argument("name", metavar="NAME|FILE.toml"),
    ):
        command = option(command)
    return command


@click.group(cls=SuiteGroup)
def suite() -> None:
    """Many runs as one: arms times seeds times data sets.

    \b
    bench suite                                          what there is, and what it asks
    bench suite versus --data datasets/photos --budget 5%      short for bench suite run versus
    bench suite plan versus --data datasets/photos > plan.txt  a command a run, for a queue

    `bench suite run --help` lists the options. docs/suites.md has suites of your own, several GPUs
    and job schedulers.
    """


@suite.command("list")
def list_suites() -> None:
    """List the suites that there are, and what each arm asks.

    \b
    bench suite list
    """
    from benchmarks.suite import load_suite, suite_names

    for name in suite_names():
        found = load_suite(name)
        seeds = f"{found.seeds} seed{'s' * (found.seeds > 1)}"
        click.echo(f"{name}: {found.summary}; {len(found.arms)} arms, {seeds}")
        width = max(len(arm.name) for arm in found.arms)
        for arm in found.arms:
            indent = " " * (width + 4)
            text = f"  {arm.name:<{width}}  {arm.asks}"
            click.echo(textwrap.fill(text, WIDTH, subsequent_indent=indent))


@suite.command("plan")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@planning_options
def plan_suite(as_json: bool, **choices: Any) -> None:
    """Print one self-contained command a run, for a scheduler to run in any order.

    \b
    bench suite plan versus --data datasets/photos > plan.txt
    bench suite plan versus --data datasets/photos --json | jq -r '.[3].command' | sh

    A command works in any folder, and takes every core and the first GPU, unless it is told
    otherwise (docs/suites.md). Run again, it goes on where it was, or does nothing.
    """
    planned = planned_runs(**choices)
    if as_json:
        click.echo(json.dumps([run.to_dict() for run in planned], indent=2))
        return
    for run in planned:
        click.echo(run.command)


@suite.command("run")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="At a time, each on a GPU of its own where there are as many.  [default: the GPUs, or 1]",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say where every run stands and what all take; only data is made.",
)
@planning_options
def run_suite(jobs: int | None, dry_run: bool, **choices: Any) -> None:
    """Run a suite: what is done is skipped, and what was interrupted is resumed.

    \b
    bench suite run demo
    bench suite run versus --data datasets/photos --variant tiny --budget 0.2% --seeds 2
    bench suite run data-size --data full=datasets/photos --data small=datasets/some --jobs 2
    bench suite run mine.toml --data cats --data dogs -- --precision bf16

    Every run is trained, and each of its snapshots is measured, against held-out images, which
    `bench data split` sets aside: the best is chosen on one sample, and the best and the last are
    reported on another. What fails is listed and does not stop the rest (exit code 4). Ctrl-C saves
    every run; the same command goes on. Flags after -- go to each `bench run`.
    """
    from benchmarks.board import Board
    from benchmarks.jobs import Job, Workers, slots
    from benchmarks.standing import refuse_others, remaining, standing

    planned = planned_runs(**choices)
    refuse_others(planned)
    results = planned[0].results
    todo = [
        Job(
            run.name,
            partial(remaining, run),
            results / "logs" / f"{run.name}.log",
            "done" if standing(run).stage == "measured" else "waiting",
        )
        for run in planned
    ]
    workers = Workers(todo, slots(jobs))
    board = Board(Path(choices["name"]).stem, planned, workers)
    if dry_run:
        click.echo(board.headline())
        click.echo("\n".join([*board.table(), in_all(planned)]))
        return
    workers.work(board.look)
    sys.exit(conclude(todo, planned, workers.signal))


def in_all(planned: "list[Planned]") -> str:
    """What a suite takes, in a line."""
    from benchmarks.commands.run import disk_bytes
    from benchmarks.report.numbers import with_prefix

    disk = with_prefix(sum(disk_bytes(run.config) for run in planned), "B")
    kimg = sum(run.kimg for run in planned)
    return f"in all: {len(planned)} runs, {kimg:,.6g} kimg, about {disk} of disk"


def conclude(jobs: "list[Job]", planned: "list[Planned]", signal: int | None) -> int:
    """Say how a suite ended, and how to go on; returns the exit code."""
    again = shlex.join(["bench", *sys.argv[1:]])
    failed = [job for job in jobs if job.state == "failed"]
    for job in failed:
        say(f"{job.name} failed: {job.error}\n    its log: {job.log}")
    if signal is not None:
        say(f"stopped, and saved; go on with: {again}")
        return 128 + signal
    if failed:
        say(f"{len(failed)} of {len(jobs)} failed; when that is mended, go on with: {again}")
        return SOME_FAILED
    say(f"all is there; see it with: bench table --results {planned[0].results}")
    return 0


def planned_runs(
    name: str,
    flags: tuple[str, ...],
    data: tuple[str, ...],
    seeds: int | None,
    budget: str | None,
    variant: str | None,
    num: int | None,
    results: Path | None,
) -> "list[Planned]":
    """The plan of a suite."""
    from benchmarks.suite import load_suite, plan

    chosen = load_suite(name)
    where = results or Path("results") / chosen.name
    return plan(chosen, where, data, seeds, budget, variant, num, flags)
