"""What many tests need: a small store, and trainers small enough to train in a second."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import benchmarks.cli
from data.store import Store, write_store
from models.registry import family
from training.config import RunConfig, resolve
from training.loop import Trainer
from training.run_dir import RunDir
from training.snapshot import save_snapshot

# Where tests are started in the background, Ctrl-C is ignored, by them and by all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = {"z_dim": 8, "g_channels": (16, 8, 8, 8), "d_channels": (8, 8, 8, 16)}
TINY_FLAGS = [
    f"--set={name}={str(value).strip('()').replace(' ', '')}" for name, value in TINY.items()
]
PLAIN = ["--device=cpu", "--precision=fp32", "--memory-format=contiguous", "--batch=4"]
FAST = [*PLAIN, *TINY_FLAGS]
TINY_STYLEGAN = {
    "z_dim": 8,
    "w_dim": 8,
    "mapping_layers": 2,
    "channel_base": 128,
    "channel_max": 8,
    "ops": "ref",
}
TRAINING = {
    "device": "cpu",
    "precision": "fp32",
    "memory_format": "channels_last",
    "batch": 4,
    "kimg": 0.028,  # seven steps
    "tick_kimg": 0.008,
    "snap_kimg": 0.016,
}

Bench = Callable[..., tuple[int, str, str]]
ConfigMaker = Callable[..., RunConfig]
TrainerMaker = Callable[..., Trainer]


def write_pictures(folder: Path, count: int, seed: int = 0) -> Store:
    """A store of blurred noise: pictures with some structure, all different."""
    noise = torch.from_numpy(np.random.default_rng(seed).random((count, 3, 8, 8), np.float32))
    smooth = torch.nn.functional.interpolate(noise, 64, mode="bilinear")
    with write_store(folder, {"kind": "test"}) as (writer, _):
        writer.append((smooth * 255).to(torch.uint8).numpy())
    return Store(folder)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Ten pictures: with batches of four, batches span epochs."""
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", 10)


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    """Run `bench` in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as ending:
            benchmarks.cli.main()
        captured = capsys.readouterr()
        return int(ending.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def make_config(store: Store) -> ConfigMaker:
    def make(
        variant: str = "simple", settings: dict[str, Any] | None = None, **training: Any
    ) -> RunConfig:
        model = "stylegan" if variant in family("stylegan").variants else "dcgan"
        tiny = {"stylegan": TINY_STYLEGAN, "dcgan": {} if variant == "sapienza" else TINY}[model]
        return resolve(
            model, variant, {**tiny, **(settings or {})}, {**TRAINING, **training}, store
        )

    return make


@pytest.fixture
def make_trainer(store: Store, make_config: ConfigMaker) -> TrainerMaker:
    def make(
        variant: str = "simple", settings: dict[str, Any] | None = None, **training: Any
    ) -> Trainer:
        return Trainer(make_config(variant, settings, **training), store)

    return make


def train(
    results: Path, store: Store, model: str, variant: str, tiny: dict, started: float
) -> None:
    """A run of three steps with a snapshot after each of the last two.

    Its average is made to differ from the weights as trained, and each snapshot from the other.
    """
    training = {**TRAINING, "memory_format": "contiguous"}
    config = resolve(model, variant, tiny, training, store)
    trainer = Trainer(config, store)
    run = RunDir.create(results, config)
    (run.path / "snapshots").mkdir()
    for step in range(3):
        trainer.step()
        with torch.no_grad():
            for parameter in trainer.average.module.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        trainer.sheet()  # refreshes the average's statistics
        if step:
            save_snapshot(run.path / "snapshots", trainer)
    run.set_status("finished", started=started)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """A folder with `results`: 00000 is a StyleGAN, 00001 a DCGAN and the latest run."""
    folder = tmp_path_factory.mktemp("trained")
    train(folder / "results", store, "stylegan", "tiny", TINY_STYLEGAN, started=1.0)
    train(folder / "results", store, "dcgan", "simple", TINY, started=2.0)
    return folder
