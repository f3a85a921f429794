"""Exact resume: a run stopped anywhere and resumed is bitwise the run that was not."""

import dataclasses
import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from data.errors import UserError
from data.store import Store
from tests.conftest import TINY_FLAGS, ConfigMaker, TrainerMaker, write_pictures
from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import RunConfig, data_identity
from training.console import Console
from training.loop import Trainer, train
from training.run_dir import STATS, RunDir
from training.stop import StopRequest

TIMES = {"seconds", "sec_per_kimg", "images_per_sec", "peak_memory_bytes"}

# Every optimiser, loss, schedule and augmentation: (variant, its settings, the trainer's).
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "bce": ("tutorial", {}, {}),
    "lsgan": ("template", {}, {}),
    "logistic-r1": ("r1", {"r1_interval": 2}, {}),
    "wgan-rmsprop-weight-clip": ("wgan", {}, {}),
    "wgan-gp-critic-steps": ("wgan-gp", {"critic_steps": 3}, {}),
    "hinge": ("simple", {"loss": "hinge"}, {}),
    "sapienza": ("sapienza", {}, {"batch": 1, "kimg": 0.004}),
    "labels": ("simple", {"label_smoothing": 0.1, "soft_labels": 0.05, "real_weight": 0.9}, {}),
    "inverse-time": ("simple", {"lr_decay": 0.1}, {}),
    "milestones": ("simple", {"lr_milestones_kimg": (0.008, 0.016)}, {}),
    "grad-clip": ("simple", {"grad_clip": 1e-3, "d_optimizer": "rmsprop"}, {}),
    "joint-batch": ("simple", {"joint_batch": True, "latent_std": 0.4}, {}),
    "mirror": ("simple", {}, {"mirror": True}),
    "color-jitter": ("simple", {}, {"augment": ("color-jitter:0.5",)}),
    "brightness-lift": ("simple", {}, {"augment": ("brightness-lift",)}),
    "animerush": ("simple", {}, {"augment": ("animerush:0.8", "equalize:0.5"), "mirror": True}),
    "contiguous": ("simple", {}, {"memory_format": "contiguous"}),
    "diffaug": ("r1", {"diffaug": True}, {}),
    "stylegan": ("compact", {"r1_interval": 2}, {}),
    "stylegan-plain": ("compact-plain", {}, {"mirror": True}),
    "stylegan-path": ("tiny", {"path_weight": 2.0, "path_interval": 3}, {}),
}


def assert_same(a: Trainer, b: Trainer) -> None:
    """Bitwise: weights, averages, optimisers, counters; and the stats so far but for times."""
    ours, theirs = a.weights(), b.weights()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name
    assert flat(a.state()) == flat(b.state())


def flat(value: Any) -> Any:
    """A state with its tensors as bytes and without its times."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        timeless = {**value, "seconds": None}
        if "tick_start" in value:
            timeless["tick_start"] = value["tick_start"][0]  # images, and seconds
        return {k: flat(v) for k, v in timeless.items()}
    if isinstance(value, list | tuple):
        return [flat(item) for item in value]
    return value


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_trainer_is_the_uninterrupted_one(
    case: str, make_trainer: TrainerMaker, tmp_path: Path
) -> None:
    variant, settings, training = CASES[case]
    uninterrupted = make_trainer(variant, settings, **training)
    steps = uninterrupted.config.training.nimg // uninterrupted.config.training.batch
    cuts = (1, steps // 2, steps - 1)
    for step in range(1, steps + 1):
        uninterrupted.step()
        if step in cuts:
            folder = tmp_path / str(step)
            save_checkpoint(folder, uninterrupted.weights(), uninterrupted.state(), True)
    for cut in cuts:
        resumed = make_trainer(variant, settings, **training)
        torch.rand(cut)  # whatever else was drawn must not matter
        resumed.load(load_checkpoint(tmp_path / str(cut), pytest.fail))
        while resumed.nimg < uninterrupted.nimg:
            resumed.step()
        assert_same(resumed, uninterrupted)


def test_another_seed_is_another_run(make_trainer: TrainerMaker) -> None:
    one, other = make_trainer(seed=1), make_trainer(seed=2)
    one.step()
    other.step()
    assert not torch.equal(next(one.gan.G.parameters()), next(other.gan.G.parameters()))


def stop_after(trainer: Trainer, steps: int) -> StopRequest:
    """A stop request that comes true in the course of a later step."""
    stop, step, left = StopRequest(), trainer.step, itertools.count(steps - 1, -1)

    def counted_step() -> None:
        step()
        if next(left) <= 0:
            stop.signal = signal.SIGINT

    trainer.step = counted_step  # type: ignore[method-assign]
    return stop


def advance(run: RunDir, config: RunConfig, store: Store, steps: int) -> str:
    """Train a run for some steps more, from its checkpoint if it has one."""
    trainer = Trainer(config, store)
    with run.locked(), Console(run.path / "log.txt", config.training.nimg) as console:
        if list((run.path / "checkpoints").iterdir()):
            trainer.load(load_checkpoint(run.path / "checkpoints", pytest.fail))
            run.forget_after(trainer.nimg, trainer.rollbacks)
        return train(run, trainer, console, stop_after(trainer, steps), lambda *_: None)


def stats(run: RunDir) -> list[dict[str, Any]]:
    rows = run.rows(STATS)
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def test_five_stops_in_a_row_equal_none(
    make_config: ConfigMaker, store: Store, tmp_path: Path
) -> None:
    config = make_config("tutorial")
    straight = RunDir.create(tmp_path, config)
    assert advance(straight, config, store, 100) == "finished"
    broken = RunDir.create(tmp_path, config)
    for _ in range(5):
        assert advance(broken, config, store, 1) == "stopped"
    assert advance(broken, config, store, 100) == "finished"

    assert stats(broken) == stats(straight)
    assert len(stats(broken)) == 4
    for name in ("snapshots/000000028.safetensors", "fakes_000000028.png", "fakes_000000016.png"):
        assert (broken.path / name).read_bytes() == (straight.path / name).read_bytes()
    weights = "checkpoints/000000028/weights.safetensors"
    assert (broken.path / weights).read_bytes() == (straight.path / weights).read_bytes()


def test_what_a_kill_left_beyond_the_checkpoint_is_forgotten(
    make_config: ConfigMaker, store: Store, tmp_path: Path
) -> None:
    config = make_config("tutorial")
    straight, killed = RunDir.create(tmp_path, config), RunDir.create(tmp_path, config)
    advance(straight, config, store, 100)
    advance(killed, config, store, 3)
    killed.append(STATS, {"nimg": 20, "kimg": 0.02, "loss_g": 123.0})
    with (killed.path / STATS).open("a") as file:
        file.write('{"nimg": 24, "torn')
    (killed.path / "fakes_000000020.png").write_bytes(b"beyond")
    advance(killed, config, store, 100)
    assert stats(killed) == stats(straight)
    assert not (killed.path / "fakes_000000020.png").exists()


def test_resuming_otherwise_is_refused_with_the_fields(
    make_config: ConfigMaker, tmp_path: Path
) -> None:
    saved = make_config()
    saved.refuse_changes(make_config())
    saved.refuse_changes(make_config(kimg=1))
    moved = dataclasses.replace(saved, data={**saved.data, "path": "elsewhere"})
    saved.refuse_changes(moved)
    with pytest.raises(UserError, match=r"options.lr_g was 0.0002, now 0.001.*training.batch"):
        saved.refuse_changes(make_config(settings={"lr_g": 1e-3}, batch=2))
    with pytest.raises(UserError, match="longer, not shorter"):
        saved.refuse_changes(make_config(kimg=0.01))
    another = write_pictures(tmp_path / "other", 10, seed=1)
    with pytest.raises(UserError, match=r"data\.sha256"):
        saved.refuse_changes(dataclasses.replace(saved, data=data_identity(another)))
    same = write_pictures(tmp_path / "same", 10)
    same.split(3)
    before = data_identity(same)
    (same.folder / "split.json").write_text('{"heldout": [0, 1, 2]}')
    split_otherwise = dataclasses.replace(saved, data=data_identity(same))
    with pytest.raises(UserError, match=r"data\.rows_sha256"):
        dataclasses.replace(saved, data=before).refuse_changes(split_otherwise)


def test_a_configuration_survives_json(make_config: ConfigMaker) -> None:
    config = make_config(augment=("animerush:0.2",))
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def bench(cwd: Path, *arguments: str, signal_at_tick: int | None = None) -> tuple[int, str]:
    """Run `bench` and give its exit code and its words; a signal may be sent at the first tick."""
    command = [sys.executable, "-c", "from benchmarks.cli import main; main()", *arguments]
    with subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        words = []
        for line in process.stderr:
            if line.startswith("tick") and signal_at_tick:
                process.send_signal(signal_at_tick)
                signal_at_tick = None
            words.append(line)
        return process.wait(), "".join(words)


@pytest.mark.slow
def test_signals_save_and_the_resumed_run_is_the_same(tmp_path: Path) -> None:
    store = write_pictures(tmp_path / "pictures", 10)
    command = ["run", "--data=pictures", "--kimg=2", "--batch=4", "--tick=0.04", "--snap=2"]
    command += ["--device=cpu", "--precision=fp32", "--memory-format=contiguous", *TINY_FLAGS]
    for arguments, number in (command, signal.SIGINT), (["run", "--resume"], signal.SIGTERM):
        code, words = bench(tmp_path, *arguments, signal_at_tick=number)
        assert code == 128 + number, words
        assert "go on with: bench run --resume results/00000-dcgan-tutorial-pictures" in words
        assert "Traceback" not in words

    code, words = bench(tmp_path, "run", "--resume=latest", "--batch=8")
    assert (code, "training.batch was 4, now 8" in words) == (2, True), words
    code, words = bench(tmp_path, "run", "--resume=latest")
    assert code == 0, words

    broken = RunDir.find(tmp_path / "results", "latest")
    assert broken.status["state"] == "finished"
    straight = RunDir.create(tmp_path / "straight", broken.config)
    assert advance(straight, broken.config, store, 10_000) == "finished"
    name = "snapshots/000002000.safetensors"
    assert (broken.path / name).read_bytes() == (straight.path / name).read_bytes()
    assert stats(broken) == stats(straight)
