"""The progress of a suite: a table that is drawn again in place, or a line an event."""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence

import click

from benchmarks.console import say
from benchmarks.jobs import Job, Workers
from benchmarks.standing import Standing, seconds_left, standing
from benchmarks.suite import Planned
from training.run_dir import ENDED

LIVE_SEC, PLAIN_SEC = 2, 60  # between two tables, and between two lines of how far all is
ACTIVE = ("running", "elsewhere")


class Board:
    """Watches jobs, and says how far they are.

    Attributes:
        live: whether someone watches; then lines are drawn over.
    """

    def __init__(self, title: str, runs: Sequence[Planned], workers: Workers) -> None:
        """Look where each run stands; `workers` have a job for each."""
        self.live = sys.stderr.isatty()
        self._title = title
        self._runs = runs
        self._jobs = workers.jobs
        self._workers = workers
        self._found = {run.name: standing(run) for run in runs}
        self._said = {job.name: "" for job in workers.jobs}
        self._drawn = 0  # lines on the terminal
        self._next = 0.0

    def look(self) -> None:
        """Say what is new; called at any rate."""
        for run, job in zip(self._runs, self._jobs, strict=True):
            doing = doing_of(job)
            if doing != self._said[job.name]:
                self._found[run.name] = standing(run)
                self._said[job.name] = doing
                self._next = 0.0 if self.live else self._next
                if not self.live and doing:
                    say(f"{job.name}: {doing}")
        if time.monotonic() >= self._next:
            self.show()

    def show(self) -> None:
        """Draw the table, or say in a line how far all is."""
        self._next = time.monotonic() + (LIVE_SEC if self.live else PLAIN_SEC)
        for run, job in zip(self._runs, self._jobs, strict=True):
            if job.state in ACTIVE:
                self._found[run.name] = standing(run)
        if not self.live:
            say(self.headline())
            return
        size = shutil.get_terminal_size()
        lines = fit([self.headline(), *self.table()], size.lines - 1)
        back = f"\x1b[{self._drawn}A\x1b[J" if self._drawn else ""
        click.echo(back + "\n".join(line[: size.columns - 1] for line in lines), err=True)
        self._drawn = len(lines)

    def headline(self) -> str:
        """How many runs stand where, and how long it takes yet."""
        counts = Counter(job.state for job in self._jobs)
        states = ", ".join(f"{number} {state}" for state, number in counts.items())
        stopping = self._workers.signal is not None
        rest = "stopping when each has saved" if stopping else self._time_left()
        return f"{self._title}: {states}; {rest}"

    def table(self) -> list[str]:
        """A line an arm, and a column a seed."""
        rows: dict[str, list[str]] = {}
        for run, job in zip(self._runs, self._jobs, strict=True):
            row = run.name.removesuffix(f"-seed{run.seed}")
            rows.setdefault(row, []).append(cell(run, job, self._found[run.name]))
        seeds = list(dict.fromkeys(f"seed {run.seed}" for run in self._runs))
        width = max(map(len, rows))
        return [
            f"{name:<{width}}  " + "".join(f"{text:<14}" for text in texts).rstrip()
            for name, texts in {"": seeds, **rows}.items()
        ]

    def _time_left(self) -> str:
        paces = {
            run.arm: pace for run in self._runs if (pace := self._found[run.name].sec_per_kimg)
        }
        open_runs = [
            (run, self._found[run.name])
            for run, job in zip(self._runs, self._jobs, strict=True)
            if job.state not in ("done", "failed") and self._found[run.name].status not in ENDED
        ]
        if not open_runs:
            return "all is trained"
        seconds, unknown = seconds_left(open_runs, paces, self._workers.slots)
        if unknown == len(open_runs):
            return "time left unknown before the first tick"
        if unknown:
            return f"at least {in_words(seconds)} of training left; {unknown} runs of unknown pace"
        return f"about {in_words(seconds)} of training left"


def doing_of(job: Job) -> str:
    """What a job does, in a line; nothing before it starts, nor of what was done before."""
    if job.state == "waiting" or (job.state == "done" and not job.ran):
        return ""
    if job.state == "failed":
        return f"failed: {job.error}"
    if job.state != "running":
        return {"elsewhere": "another process trains it: waiting"}.get(job.state, job.state)
    gpu = job.slot.get("CUDA_VISIBLE_DEVICES") if job.slot else None
    return ("measuring" if is_measuring(job) else "training") + (f" on GPU {gpu}" if gpu else "")


def is_measuring(job: Job) -> bool:
    return job.state == "running" and job.ran[-1][1] == "eval"


def cell(run: Planned, job: Job, found: Standing) -> str:
    """Where a run stands, in a word or two."""
    share = f"{found.kimg / run.kimg:.0%}"
    if is_measuring(job):
        return "measuring"
    if job.state == "running":
        return share if found.kimg else "starting"
    if job.state == "elsewhere":
        return f"elsewhere {share}"
    if job.state == "waiting":
        return {"new": "-", "trained": "to measure"}.get(found.stage, f"waits at {share}")
    return found.status if job.state == "done" and found.status != "finished" else job.state


def fit(lines: list[str], height: int) -> list[str]:
    """As many lines as there is room for."""
    if len(lines) <= max(height, 3):
        return lines
    shown = lines[: max(height, 3) - 1]
    return [*shown, f"... and {len(lines) - len(shown)} more lines"]


def in_words(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 5 min`, `2 d 3 h`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
