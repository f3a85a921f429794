"""Run directories: one folder a run, made of files that a person can read.

config.json       every choice, resolved
environment.json  versions and hardware, a record for each start or resumption
status.json       where it stands
log.txt           what was said on the screen
stats.jsonl       a line a tick
metrics.jsonl     a line a measurement, or a list of those that were made together
events.jsonl      a line for what went wrong: collapses, rollbacks, divergence
reals.png, fakes_*.png, snapshots/, checkpoints/
"""

import json
import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import compress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from data.errors import MissingError, UserError
from data.files import read_json, storage_errors, sweep_partial, write_atomic, write_json
from training.config import RunConfig
from training.environment import describe
from training.world import broadcast, by_writer, is_writer

CONFIG = "config.json"
ENVIRONMENT = "environment.json"
STATS = "stats.jsonl"
METRICS = "metrics.jsonl"
EVENTS = "events.jsonl"

ENDED = ("finished", "diverged", "collapsed")  # others can be gone on with


class RunDir:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, results: Path, config: RunConfig, name: str | None = None) -> "RunDir":
        """Make `name` under `results`, or by default the next free `NNNNN-model-variant-data`.

        Raises:
            UserError: something else has that name.
        """
        return cls(broadcast(cls._make(results, config, name) if is_writer() else results))

    @staticmethod
    def _make(results: Path, config: RunConfig, name: str | None) -> Path:
        label = re.sub(r"[^\w.-]+", "_", f"{config.model}-{config.variant}-{config.data['name']}")
        with storage_errors(results):
            results.mkdir(parents=True, exist_ok=True)
            with FileLock(results / ".lock"):  # two runs started together get two numbers
                taken = [int(p.name[:5]) for p in results.iterdir() if re.match(r"\d{5}-", p.name)]
                path = results / (name or f"{max(taken, default=-1) + 1:05d}-{label}")
                path.mkdir(exist_ok=name is not None)
                if not all(file.name.startswith(".") for file in path.iterdir()):
                    raise UserError(f"--name {name}: {path} is there already; choose another")
                write_json(path / CONFIG, config.to_dict())
        return path

    @classmethod
    def find(cls, results: Path, run: str, model: str | None = None) -> "RunDir":
        """A run by path, by id, by the number its id begins with, or `latest`.

        Args:
            model: `latest` is the latest run of this family; of any by default.

        Raises:
            MissingError: there is none.
        """
        if run == "latest":
            runs = [each for each in cls.all(results) if model is None or each._is_of(model)]
            if not runs:
                kind, flag = (f"{model} run", f" --model {model}") if model else ("run", "")
                raise MissingError(
                    f"there is no {kind} in {results} yet; make one with `bench run{flag}`"
                )
            return max(runs, key=lambda r: r.status.get("started", 0.0))
        numbered = [each.path for each in cls.all(results) if each.id.startswith(f"{run}-")]
        for path in (Path(run), results / run, *numbered):
            if (path / CONFIG).is_file():
                return cls(path)
        raise MissingError(f"there is no run {run} in {results}; `bench table` lists the runs")

    @classmethod
    def all(cls, results: Path) -> list["RunDir"]:
        """The runs directly under `results`, by name."""
        return [cls(path.parent) for path in sorted(results.glob(f"*/{CONFIG}"))]

    @property
    def id(self) -> str:
        return self.path.resolve().name

    @property
    def config(self) -> RunConfig:
        try:
            return RunConfig.from_dict(read_json(self.path / CONFIG))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path / CONFIG} cannot be read: {error}") from error

    @property
    def status(self) -> dict[str, Any]:
        """The last status; a run that says it is running and holds no lock was killed."""
        try:
            status: dict[str, Any] = read_json(self.path / "status.json")
        except (OSError, ValueError):
            return {"state": "unknown"}
        if status.get("state") == "running" and not self._is_locked():
            status["state"] = "killed"
        return status

    @property
    def environments(self) -> list[dict[str, Any]]:
        """What each start or resumption ran on, from which `nimg`; none if it cannot be read."""
        try:
            return list(read_json(self.path / ENVIRONMENT))
        except (OSError, ValueError, TypeError):
            return []

    @property
    def snapshots(self) -> list[Path]:
        """Every snapshot, in the order of training."""
        return sorted(self.path.glob("snapshots/[0-9]*.safetensors"))

    def snapshot(self, kimg: float | None = None, flag: str = "--kimg") -> Path:
        """The newest snapshot, or the one that was made when training reached `kimg`.

        Raises:
            MissingError: there is none; the message lists those that there are.
        """
        paths = self.snapshots
        if not paths:
            raise MissingError(f"{self.path} has no snapshot yet: one is made every `--snap` kimg")
        if kimg is None:
            return paths[-1]
        # The step that reaches `kimg` may go beyond it, but not as far as the next one.
        near = self.config.training.snap_kimg * 1000 / 2
        for path in paths:
            if -0.5 < int(path.stem) - kimg * 1000 < near:
                return path
        existing = ", ".join(f"{int(path.stem) / 1000:.10g}" for path in paths)
        raise MissingError(f"{flag} {kimg:g}: {self.path} has no snapshot there; it has {existing}")

    @by_writer
    def begin(self, config: RunConfig, nimg: int, device: torch.device) -> None:
        """Record that training starts, or goes on, from `nimg` images."""
        write_json(self.path / CONFIG, config.to_dict())
        start = {"nimg": nimg, **describe(device)}
        write_json(self.path / ENVIRONMENT, [*self.environments, start])
        status = {"state": "running", "nimg": nimg, "started": time.time()}
        write_json(self.path / "status.json", status)

    @by_writer
    def set_status(self, state: str, **details: Any) -> None:
        """Record where the run stands, keeping what is not named."""
        write_json(self.path / "status.json", {**self.status, "state": state, **details})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process, or the writer's; the lock dies with it.

        Raises:
            UserError: another process is training it.
            MissingError: the folder cannot be written to.
        """
        if not is_writer():
            yield
            return
        lock = FileLock(self.path / ".lock", timeout=1)  # whoever only looks lets go at once
        try:
            with storage_errors(self.path):
                lock.acquire()
                for folder in (self.path, self.path / "snapshots", self.path / "checkpoints"):
                    folder.mkdir(exist_ok=True)
                    sweep_partial(folder)
            yield
        except Timeout:
            raise UserError(f"{self.path} is being trained by another process") from None
        finally:
            lock.release()

    def _is_of(self, model: str) -> bool:
        try:
            return self.config.model == model
        except UserError:
            return False

    def _is_locked(self) -> bool:
        try:
            with FileLock(self.path / ".lock", timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # a folder that only root may write to: nobody trains there
            return False

    @by_writer
    def append(self, name: str, *rows: Mapping[str, Any]) -> None:
        """Add a line to one of the .jsonl files. What is not finite has no JSON form: null.

        Several rows are one line, a list: whatever kills the writer, all are there or none is.
        """
        found = [{key: _finite(value) for key, value in row.items()} for row in rows]
        line = json.dumps(found[0] if len(found) == 1 else found) + "\n"
        path = self.path / name
        with storage_errors(path, len(line)), path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                torn = file.read(1) != b"\n"
                line = "\n" * torn + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())  # never behind a checkpoint, even after a power cut

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of one of the .jsonl files; a line that a kill cut short does not count."""
        path = self.path / name
        rows: list[Any] = []
        for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
            with suppress(json.JSONDecodeError):
                found = json.loads(line)
                rows += found if isinstance(found, list) else [found]
        return [row for row in rows if isinstance(row, dict)]

    @by_writer
    def forget_after(self, nimg: int, rollbacks: int) -> None:
        """Drop what was recorded beyond a checkpoint, before training goes on from it.

        A collapse that a rollback has answered stays on record.
        """
        for name in (STATS, METRICS):
            self._rewrite(name, [row for row in self.rows(name) if row["nimg"] <= nimg])
        events = self.rows(EVENTS)
        reached = [(e["rollbacks"], e["nimg"]) for e in events]
        answered = [r < rollbacks or (r == rollbacks and n <= nimg) for r, n in reached]
        self._rewrite(EVENTS, list(compress(events, answered)))
        for path in [*self.path.glob("fakes_*.png"), *self.path.glob("snapshots/[0-9]*")]:
            if int(re.sub(r"\D", "", path.name.partition(".")[0])) > nimg:
                with storage_errors(path):
                    path.unlink()

    def _rewrite(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        write_atomic(self.path / name, "".join(json.dumps(row) + "\n" for row in rows).encode())


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
