"""Kill a training run without warning, again and again, and show that nothing is lost.

    python -m benchmarks.kill_nine --kills 200

A small model trains on noise and saves at every step. At random moments the process gets SIGKILL
and another one resumes. After every kill the newest checkpoint must be whole and not older than
the last one seen; in the end the run must be, bit for bit, the run that nobody killed.
"""

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

SETTINGS = {"z_dim": 8, "g_channels": (64, 32, 16, 8), "d_channels": (8, 16, 32, 64)}


@click.command()
@click.option("--kills", default=200, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def main(kills: int, seed: int) -> None:
    """Kill a run so many times; exit with 1 if anything was lost."""
    with tempfile.TemporaryDirectory() as folder:
        lost = survive(Path(folder), kills, random.Random(seed))
    click.echo(f"{kills} kills: {lost or 'nothing lost'}")
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
            "kimg": kills * 0.2,  # 50 steps of four images a kill: it must not end before them
            "batch": 4,
            "tick_kimg": 0.02,
            "snap_kimg": 0.2,
            "save_minutes": 0.0,
            "device": "cpu",
            "precision": "fp32",
            "memory_format": "contiguous",
        },
        Store(folder / "noise"),
    )
    straight, killed = (RunDir.create(folder / name, config) for name in ("straight", "killed"))
    finish(start(straight, config))
    seen = 0
    for _ in range(kills):
        process = start(killed, config)
        time.sleep(moments.uniform(0.05, 0.4))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        if not any((killed.path / "checkpoints").glob("0*")):
            continue  # killed before the first save
        damaged: list[str] = []
        newest = load_checkpoint(killed.path / "checkpoints", damaged.append).state["nimg"]
        if damaged or newest < seen:
            return f"after {seen} images: {damaged or f'went back to {newest}'}"
        seen = newest
    if seen >= config.training.nimg:
        return "nothing to say: the run ended before the kills did"
    finish(start(killed, config))
    return differences(straight, killed, config)


def start(run: RunDir, config: RunConfig) -> int:
    """Train in a process of its own, from the newest checkpoint; returns its id."""
    process = os.fork()  # torch is imported already: a start costs milliseconds
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
