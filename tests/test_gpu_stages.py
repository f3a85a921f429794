"""`make gpu`'s own machinery, which needs no GPU: stages that end in time, and what they keep."""

import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from benchmarks import gpu
from tests.conftest import TrainerMaker
from training.console import Console
from training.loop import train
from training.run_dir import RunDir
from training.snapshot import load_snapshot
from training.stop import StopRequest


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_stage_that_takes_too_long_is_stopped_as_by_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "STAGE_SEC", 6)
    monkeypatch.setattr(gpu, "STOPPING_SEC", 3)
    saves = """
import sys, time
try:
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(print("saved") or 130)
"""
    found = gpu._run(python(saves), tmp_path / "log")
    assert found["exit_code"] == 130
    assert (tmp_path / "log").read_text() == "saved\n"
    assert gpu._run(python("print('quick')"), tmp_path / "log")["exit_code"] == 0


def test_stages_leave_their_log_and_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        gpu, "CHECKS", {"build": python("print(1)"), "ops": python("raise OSError")}
    )
    monkeypatch.setattr(gpu, "resolve_device", lambda name: "cpu")
    monkeypatch.setattr(gpu, "describe", lambda device: {"hardware": "a GPU"})
    out = tmp_path / "out"
    result = CliRunner().invoke(gpu.gpu, ["build", "ops", "--out", str(out)])
    assert result.exit_code == 1
    assert "failed: ops" in result.output
    assert (out / "build.log").read_text() == "1\n"
    assert '"hardware": "a GPU"' in (out / "ops.json").read_text()


def test_a_training_is_started_once_and_then_resumed(
    tmp_path: Path, make_trainer: TrainerMaker
) -> None:
    first = gpu._training("compact", None, 10, tmp_path)
    assert first[-5:] == ["--compile", "--kimg", "10", "--results", str(tmp_path / "compact")]
    run = RunDir.create(tmp_path / "compact", make_trainer("tiny").config)
    assert "--resume" not in gpu._training("compact", None, 10, tmp_path)  # nothing saved yet
    with run.locked():
        make_trainer("tiny").save(run)
    assert "--resume" in gpu._training("compact", None, 10, tmp_path)
    assert "--resume" not in gpu._training("tutorial", None, 10, tmp_path)


def test_what_is_kept_of_a_run_is_small_and_whole(
    tmp_path: Path, make_trainer: TrainerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "SHARD_BYTES", 8000)
    trainer = make_trainer("tiny")
    run = RunDir.create(tmp_path / "runs", trainer.config)
    with run.locked(), Console(run.path / "log.txt", trainer.config.training.nimg) as console:
        train(run, trainer, console, StopRequest(), lambda *_: None)
    gpu.collect(run, tmp_path / "kept")
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    assert {"config.json", "stats.jsonl", "log.txt", "reals.png"} <= kept
    shards = sorted((tmp_path / "kept").glob("*.safetensors"))
    assert len(shards) > 1
    weights = {k: v for path in shards for k, v in safetensors.torch.load_file(path).items()}
    expected = load_snapshot(run.snapshot()).G.state_dict()
    assert weights.keys() == expected.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, expected[name].half()), name


def test_shards_keep_within_their_bytes() -> None:
    tensors = {str(size): torch.zeros(size, dtype=torch.uint8) for size in (5, 3, 4, 9, 1)}
    groups = gpu.shards(tensors, 9)
    assert [list(group) for group in groups] == [["5", "3"], ["4"], ["9"], ["1"]]
