"""Kill a training run without warning, again and again, and show that nothing is lost.

    python -m benchmarks.kill_nine --kills 200

A small model trains on noise and saves at every step. At random moments the process gets SIGKILL
and another one resumes. After every kill the newest checkpoint must be whole and not older than
the last one seen; in the end the run must be, bit for bit, a run of that length that nobody killed.
"""

import dataclasses
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from contextlib import redirect_stderr
from pathlib import Path

import click
import numpy as np
import torch

from data.store import Store, write_store
from training.checkpoint import load_checkpoint
from training.config import RunConfig, resolve
from training.console import Console
from training.loop import Trainer, train
from training.run_dir import STATS, RunDir
from training.stop import StopRequest

SNAP_KIMG = 0.2
SETTINGS = {"z_dim": 8, "g_channels": (64, 32, 16, 8), "d_channels": (8, 16, 32, 64)}


@click.command()
@click.option("--kills", default=200, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def main(kills: int, seed: int) -> None:
    """Kill a run so many times; exit with 1 if anything was lost."""
    with tempfile.TemporaryDirectory() as folder:
        lost = survive(Path(folder), kills, random.Random(seed))
    click.echo(lost or "nothing lost")
    sys.exit(1 if lost else 0)


def survive(folder: Path, kills: int, moments: random.Random) -> str | None:
    """Run, kill and resume; returns what was lost, or None."""
    with write_store(folder / "noise", {}) as (writer, _):
        pixels = np.random.default_rng(0).integers(0, 256, (64, 3, 64, 64), dtype=np.uint8)
        writer.append(pixels)
    config = resolve(
        "dcgan",
        "simple",
        SETTINGS,
        {
            "kimg": float(kills),  # far more than the kills will let it see
            "batch": 4,
            "tick_kimg": 0.02,
            "snap_kimg": SNAP_KIMG,
            "save_minutes": 0.0,
            "device": "cpu",
            "precision": "fp32",
            "memory_format": "contiguous",
        },
        Store(folder / "noise"),
    )
    killed = RunDir.create(folder / "killed", config)
    longest = 2 * seconds_to_a_step(killed, config)
    seen = first = newest_save(killed)
    for _ in range(kills):
        process = start(killed, config)
        time.sleep(moments.uniform(0, longest))
        kill(process)
        newest = newest_save(killed)
        if newest < seen:
            return f"after {seen} images: went back to {newest}"
        seen = newest
    click.echo(f"{kills} kills in {(seen - first) // config.training.batch} steps")
    if seen == first:
        return "nothing to say: no process came as far as a step"
    config = ending_after(config, seen)
    finish(start(killed, config))
    straight = RunDir.create(folder / "straight", config)
    finish(start(straight, config))
    return differences(straight, killed, config)


def newest_save(run: RunDir) -> int:
    """Images seen by the newest checkpoint. Damaged ones are an error: none may be."""

    def damaged(line: str) -> None:
        raise AssertionError(line)

    return load_checkpoint(run.path / "checkpoints", damaged).state["nimg"]


def seconds_to_a_step(run: RunDir, config: RunConfig) -> float:
    """From a process's start to its first step's checkpoint, and what comes before: a sheet."""
    begun = time.monotonic()
    process = start(run, config)
    while not any((run.path / "checkpoints").glob("0*[1-9]")):
        time.sleep(0.01)
        ended, status = os.waitpid(process, os.WNOHANG)
        assert not ended, f"the run failed with status {status}"
    kill(process)
    return time.monotonic() - begun


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def ending_after(config: RunConfig, nimg: int) -> RunConfig:
    """The same run, as long as to its next snapshot."""
    kimg = (nimg // (1000 * SNAP_KIMG) + 1) * SNAP_KIMG
    return dataclasses.replace(config, training=dataclasses.replace(config.training, kimg=kimg))


def start(run: RunDir, config: RunConfig) -> int:
    """Train in a process of its own, from the newest checkpoint; returns its id."""
    process = os.fork()  # torch is imported already
    if process:
        return process
    try:
        torch.set_num_threads(1)
        trainer = Trainer(config, Store(Path(config.data["path"])))
        with run.locked(), Console(run.path / "log.txt", config.training.nimg) as console:
            if any((run.path / "checkpoints").glob("0*")):
                trainer.load(load_checkpoint(run.path / "checkpoints", console.say))
                run.forget_after(trainer.nimg, trainer.rollbacks)
            with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
                train(run, trainer, console, StopRequest(), lambda *_: None)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)  # whatever happened, the parent's clean-up is not ours to do


def finish(process: int) -> None:
    _, status = os.waitpid(process, 0)
    assert status == 0, f"the run failed with status {status}"


def differences(straight: RunDir, killed: RunDir, config: RunConfig) -> str | None:
    """What the killed run has otherwise than the straight one, but for times."""
    nimg = f"{config.training.nimg:09d}"
    names = [f"checkpoints/{nimg}/weights.safetensors", f"snapshots/{nimg}.safetensors"]
    for name in names:
        if (straight.path / name).read_bytes() != (killed.path / name).read_bytes():
            return f"{name} differs"
    losses = [
        [(row["nimg"], row["loss_g"]) for row in run.rows(STATS)] for run in (straight, killed)
    ]
    return None if losses[0] == losses[1] else "the stats differ"


if __name__ == "__main__":
    main()
