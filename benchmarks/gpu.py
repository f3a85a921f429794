"""`make gpu`: what only a GPU can tell, in stages of at most nine minutes, installing nothing.

python -m benchmarks.gpu                     every stage in turn
python -m benchmarks.gpu compact compact     go on with one of the trainings, twice

Training happens in `--work` and is resumed by the next stage of that name. Everything worth
keeping goes to `--out`: each file is smaller than 16 MiB, and says where it comes from.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import safetensors.torch
import torch
from torch import Tensor

from benchmarks.cli import run_command
from data.errors import MissingError
from data.files import write_json
from training.environment import describe, resolve_device
from training.run_dir import RunDir
from training.snapshot import load_snapshot

STAGE_SEC = 9 * 60
STOPPING_SEC = 30  # to finish a step and save
SHARD_BYTES = 15 * 2**20
KEPT = ("*.json", "*.jsonl", "log.txt", "*.png")
BENCH = [sys.executable, "-m", "benchmarks"]
PYTEST = [sys.executable, "-m", "pytest", "-q", "-m", "gpu"]

# What is measured once, and the options of what is trained.
CHECKS = {
    "build": [*BENCH, "ops", "build", "--device", "all"],
    "tests": PYTEST,
    "ops": [*BENCH, "speed", "ops", "--json"],
    "speed": [*BENCH, "speed", "step", "train", "--json"],
}
TRAININGS = {
    "compact": ["--model", "stylegan", "--precision", "bf16", "--compile"],
    "tutorial": ["--model", "dcgan", "--variant", "tutorial"],
}
STAGES = [*CHECKS, *TRAININGS]


@click.command()
@click.argument("stages", nargs=-1, type=click.Choice(STAGES), metavar=f"[{'|'.join(STAGES)}]...")
@click.option("--data", type=click.Path(path_type=Path), help="A data set.  [default: drawn faces]")
@click.option("--kimg", type=float, default=3500, show_default=True, help="Of each training.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/gpu/report"))
@click.option("--work", type=click.Path(path_type=Path), default=Path("results/gpu/work"))
def gpu(stages: tuple[str, ...], data: Path | None, kimg: float, out: Path, work: Path) -> None:
    """Run STAGES, all by default, and keep what they find."""
    device = torch.device(resolve_device("cuda"))
    out.mkdir(parents=True, exist_ok=True)
    where = {**describe(device), "commit": _commit()}
    failed = []
    for stage in stages or STAGES:
        command = CHECKS.get(stage) or _training(stage, data, kimg, work)
        click.echo(f"{stage}: {' '.join(command[1:])}", err=True)
        found = _run(command, out / f"{stage}.log")
        write_json(
            out / f"{stage}.json", {"stage": stage, "command": command[1:], **found, **where}
        )
        if stage in TRAININGS and RunDir.all(work / stage):
            collect(RunDir.find(work / stage, "latest"), out / stage)
        failed += [stage] if found["exit_code"] not in (0, 130) else []
        click.echo(f"{stage}: exit code {found['exit_code']}, {found['seconds']} s", err=True)
    sys.exit(f"failed: {', '.join(failed)}; see {out}" if failed else 0)


def collect(run: RunDir, folder: Path) -> None:
    """Copy a run's records and pictures, and its newest averaged G in half precision."""
    folder.mkdir(exist_ok=True)
    for pattern in KEPT:
        for path in run.path.glob(pattern):
            shutil.copy(path, folder)
    with suppress(MissingError):  # a stage may end before the first snapshot
        snapshot = run.snapshot()
        weights = load_snapshot(snapshot).G.state_dict()
        halves = {name: tensor.half().contiguous() for name, tensor in weights.items()}
        for number, shard in enumerate(shards(halves, SHARD_BYTES)):
            source = {"snapshot": snapshot.name, "weights": "ema"}
            path = folder / f"G_ema_half_{number}.safetensors"
            safetensors.torch.save_file(shard, path, source)


def shards(tensors: dict[str, Tensor], most_bytes: int) -> list[dict[str, Tensor]]:
    """Tensors in order, in as many groups of at most so many bytes as it takes."""
    groups: list[dict[str, Tensor]] = [{}]
    for name, tensor in tensors.items():
        if sum(each.nbytes for each in groups[-1].values()) + tensor.nbytes > most_bytes:
            groups.append({})
        groups[-1][name] = tensor
    return groups


def _training(name: str, data: Path | None, kimg: float, work: Path) -> list[str]:
    """Start a training, or go on with it."""
    where = ["--kimg", f"{kimg:g}", "--results", str(work / name)]
    if list((work / name).glob("*/checkpoints/*/manifest.json")):
        return [*BENCH, "run", "--resume", "latest", *where]
    chosen = ["--data", str(data)] if data else []
    return [*BENCH, "run", *TRAININGS[name], *chosen, *where]


def _run(command: list[str], log: Path) -> dict[str, Any]:
    """Run a command for a stage's time at most: then it is asked to stop, as by Ctrl-C."""
    started = time.time()
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            process.wait(STAGE_SEC - STOPPING_SEC)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOPPING_SEC)
            except subprocess.TimeoutExpired:
                process.kill()
    return {
        "exit_code": process.wait(),
        "started": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
    }


def _commit() -> str | None:
    """The commit of these sources, where git knows it or whoever copied them says so."""
    told = os.environ.get("GAN_VERSUS_COMMIT")
    root = Path(__file__).parents[1]
    git = shutil.which("git")
    if told or not git:
        return told
    asked = subprocess.run([git, "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    return asked.stdout.strip() or None


if __name__ == "__main__":
    run_command(gpu, "python -m benchmarks.gpu")
