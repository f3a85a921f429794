"""Several commands at a time, each with its share of the machine and a log of its own."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal

from data.errors import UserError
from data.files import storage_errors

Command = list[str]
State = Literal["waiting", "running", "elsewhere", "stopped", "failed", "done"]
Slot = Mapping[str, str]  # environment variables that give a job its share of the machine

BENCH = [sys.executable, "-m", "benchmarks"]  # what `bench` is, wherever it is not on the PATH
POLL_SEC = 0.5
SIGNALS = [signal.SIGINT, signal.SIGTERM] + [signal.SIGHUP] * hasattr(signal, "SIGHUP")
TAIL_BYTES = 4096


class Elsewhere(Exception):
    """Another process is doing the job at this moment."""


@dataclass
class Job:
    """Commands one after another, as long as there is something left to do.

    Attributes:
        remaining: the commands that are still to be run; raises Elsewhere.
        log: what they say is added to it.
        error: why it failed.
    """

    name: str
    remaining: Callable[[], list[Command]]
    log: Path
    state: State = "waiting"
    error: str = ""
    slot: Slot | None = None
    process: subprocess.Popen[bytes] | None = None
    ran: list[Command] = field(default_factory=list)

    def proceed(self, slot: Slot) -> None:
        """Start the next command in a slot; a job without one is done."""
        self.slot = None
        try:
            commands = [command for command in self.remaining() if command not in self.ran]
            if not commands:
                self.state = "done"
                return
            self._start(commands[0], slot)
        except Elsewhere:
            self.state = "elsewhere"
        except UserError as error:
            self.state, self.error = "failed", str(error)

    def _start(self, command: Command, slot: Slot) -> None:
        with storage_errors(self.log):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"$ {shlex.join(command)}\n")
                log.flush()
                # A session of its own: Ctrl-C reaches it once, through us.
                self.process = subprocess.Popen(
                    [*BENCH, *command[1:]] if command[0] == "bench" else command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **slot},
                    start_new_session=True,
                )
        self.ran.append(command)
        self.state, self.slot = "running", slot

    def end(self, code: int) -> None:
        """Take note of how a command ended that did not end well."""
        self.slot = None
        try:
            self.remaining()
        except Elsewhere:  # somebody else was faster
            self.state = "elsewhere"
            self.ran.clear()
            return
        except UserError:
            pass  # what the command itself said is nearer the cause
        self.state, self.error = "failed", self._last_words(code)

    def _last_words(self, code: int) -> str:
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        *_, last = ["", *filter(str.strip, lines)]
        ending = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        said = "" if last.startswith("$ ") else last.strip().removeprefix("error: ")
        return ending if code < 0 else said or ending


class Workers:
    """Runs jobs, as many at a time as there are slots.

    Attributes:
        slots: how many of them run at a time.
        signal: the first signal that asked to stop. It was passed on to the commands, and no other
            was started.
    """

    def __init__(self, jobs: Sequence[Job], slots: Sequence[Slot]) -> None:
        self.jobs = jobs
        self.slots = len(slots)
        self.signal: int | None = None
        self._free = list(slots)

    def work(self, look: Callable[[], None]) -> None:
        """Return when nothing is left to do; what fails does not stop the rest.

        Args:
            look: is called about twice a second.
        """
        with self._listening():
            try:
                self._start()
                while self._running() or (self._waiting() and self.signal is None):
                    look()
                    time.sleep(POLL_SEC)
                    self._collect()
                    self._start()
                look()
            finally:
                self._stop()
                for job in self._running():
                    assert job.process is not None
                    job.process.wait()

    def _start(self) -> None:
        for job in self._waiting():
            if self.signal is None and self._free:
                self._proceed(job, self._free.pop(0))

    def _collect(self) -> None:
        for job in self._running():
            assert job.process is not None
            assert job.slot is not None
            code = job.process.poll()
            if code is None:
                continue
            slot = job.slot
            if code == 0 and self.signal is None:
                self._proceed(job, slot)
                continue
            self._free.append(slot)
            if self.signal is None:
                job.end(code)
            else:
                job.state = "stopped"

    def _proceed(self, job: Job, slot: Slot) -> None:
        job.proceed(slot)
        if job.state != "running":
            self._free.append(slot)
        elif self.signal is not None:  # it came while the command was being started
            self._stop()

    def _running(self) -> list[Job]:
        return [job for job in self.jobs if job.state == "running"]

    def _waiting(self) -> list[Job]:
        return [job for job in self.jobs if job.state in ("waiting", "elsewhere")]

    def _stop(self) -> None:
        for job in self._running():
            assert job.process is not None
            job.process.terminate()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Pass signals on; those that are ignored, as under nohup, stay so."""

        def note(number: int, frame: FrameType | None) -> None:
            self.signal = self.signal or number
            self._stop()

        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        previous = {number: signal.signal(number, note) for number in heard}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def slots(count: int | None) -> list[Slot]:
    """What each of `count` jobs gets: GPUs in turn where there are any, and its share of the cores.

    Args:
        count: by default one a GPU, or one.
    """
    gpus = visible_gpus()
    count = count or max(1, len(gpus))
    shares: list[dict[str, str]] = [{} for _ in range(count)]
    for number, share in enumerate(shares):
        if gpus:
            share["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
        if count > 1 and "OMP_NUM_THREADS" not in os.environ:
            share["OMP_NUM_THREADS"] = str(max(1, cores() // count))
    return list(shares)


def visible_gpus() -> list[str]:
    """The names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    found = torch.cuda.device_count()
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (names.split(",") if names else [str(number) for number in range(found)])[:found]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
