"""Checkpoints survive kills, flipped bits and full disks."""

import errno
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from data.errors import MissingError, UserError
from data.files import PARTIAL, atomic_folder, write_atomic
from tests.conftest import ConfigMaker, TrainerMaker
from training.checkpoint import damage, load_checkpoint, save_checkpoint
from training.run_dir import METRICS, RunDir
from training.snapshot import load_snapshot, save_snapshot

ROOT = Path(__file__).parents[1]
WEIGHTS = {"G.weight": torch.arange(12.0).view(3, 4)}


def save(folder: Path, nimg: int, healthy: bool = True, rollbacks: int = 0) -> None:
    weights = {"G.weight": WEIGHTS["G.weight"] + nimg}
    save_checkpoint(folder, weights, {"nimg": nimg, "rollbacks": rollbacks}, healthy)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_two_stay(tmp_path: Path) -> None:
    for nimg in (1, 2, 3):
        save(tmp_path, nimg)
    assert names(tmp_path) == ["000000002", "000000003"]
    loaded = load_checkpoint(tmp_path, pytest.fail)
    assert loaded.state["nimg"] == 3
    assert torch.equal(loaded.weights["G.weight"], WEIGHTS["G.weight"] + 3)


def test_the_newest_healthy_one_stays_for_a_rollback(tmp_path: Path) -> None:
    save(tmp_path, 1)
    for nimg in (2, 3, 4):
        save(tmp_path, nimg, healthy=False)
    assert names(tmp_path) == ["000000001", "000000003", "000000004"]
    assert load_checkpoint(tmp_path, pytest.fail).state["nimg"] == 4
    assert load_checkpoint(tmp_path, pytest.fail, healthy=True).state["nimg"] == 1


def test_what_follows_a_rollback_is_newer_than_what_it_undid(tmp_path: Path) -> None:
    save(tmp_path, 16)
    save(tmp_path, 24, healthy=False)
    save(tmp_path, 32, healthy=False)
    save(tmp_path, 16, rollbacks=1)
    assert names(tmp_path) == ["000000016-1", "000000032"]
    loaded = load_checkpoint(tmp_path, pytest.fail)
    assert (loaded.state["nimg"], loaded.state["rollbacks"]) == (16, 1)


def test_damaged_checkpoints_push_no_whole_one_out(tmp_path: Path) -> None:
    for nimg in (8, 16, 24, 32):
        save(tmp_path, nimg)
    for name in names(tmp_path):
        (tmp_path / name / "state.pt").write_bytes(b"")
    save(tmp_path, 12)
    save(tmp_path, 16)
    assert names(tmp_path) == ["000000012", "000000016"]
    assert load_checkpoint(tmp_path, pytest.fail).state["nimg"] == 16


def test_saving_the_same_state_again_writes_nothing_and_mends_what_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)
    fail_after(monkeypatch, 0, errno.ENOSPC)
    save(tmp_path, 1)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path, pytest.fail).state["nimg"] == 1
    (tmp_path / "000000001" / "state.pt").write_bytes(b"")
    save(tmp_path, 1)
    assert load_checkpoint(tmp_path, pytest.fail).state["nimg"] == 1


@pytest.mark.parametrize("file", ["weights.safetensors", "state.pt", "manifest.json"])
def test_a_flipped_bit_is_found_and_the_one_before_is_used_aloud(tmp_path: Path, file: str) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    path = tmp_path / "000000002" / file
    content = bytearray(path.read_bytes())
    for position in random.Random(0).sample(range(len(content)), 20):
        flipped = content.copy()
        flipped[position] ^= 1
        path.write_bytes(flipped)
        words: list[str] = []
        if file == "manifest.json" and damage(tmp_path / "000000002") is None:
            continue  # white space, or a word that nobody reads: the state is what it was
        assert load_checkpoint(tmp_path, words.append).state["nimg"] == 1
        assert "000000002 is damaged" in words[0]
    path.write_bytes(content)
    assert load_checkpoint(tmp_path, pytest.fail).state["nimg"] == 2


def test_a_cut_or_missing_file_is_found(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "000000002" / "state.pt").unlink()
    assert load_checkpoint(tmp_path, lambda _: None).state["nimg"] == 1
    (tmp_path / "000000001" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(MissingError, match="no checkpoint"):
        load_checkpoint(tmp_path, lambda _: None)


def fail_after(monkeypatch: pytest.MonkeyPatch, calls: int, code: int) -> None:
    """Let the disk fail at a later write."""
    write = Path.write_bytes
    left = [calls]

    def failing(path: Path, content: Any) -> int:
        left[0] -= 1
        if left[0] < 0:
            write(path, bytes(content)[:10])
            raise OSError(code, os.strerror(code))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", failing)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_failing_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, calls: int
) -> None:
    save(tmp_path, 1)
    fail_after(monkeypatch, calls, code)
    with pytest.raises(MissingError, match=r"needs [\d,]+ bytes, [\d,]+ bytes are free") as caught:
        save(tmp_path, 2)
    assert caught.value.exit_code == 3
    assert os.strerror(code) in str(caught.value)
    monkeypatch.undo()
    assert names(tmp_path) == ["000000001"]
    assert load_checkpoint(tmp_path, pytest.fail).state["nimg"] == 1


def test_other_errors_are_not_called_storage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ours"), atomic_folder(tmp_path / "x"):
        raise ValueError("ours")
    assert names(tmp_path) == []


def test_an_atomic_file_is_whole_or_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "file", b"before")
    fail_after(monkeypatch, 0, errno.ENOSPC)
    with pytest.raises(MissingError):
        write_atomic(tmp_path / "file", b"after")
    monkeypatch.undo()
    assert (tmp_path / "file").read_bytes() == b"before"
    assert names(tmp_path) == ["file"]


@pytest.mark.slow
def test_kill_9_loses_nothing() -> None:
    """The short form of the script that kills two hundred times."""
    command = [sys.executable, "-m", "benchmarks.kill_nine", "--kills=5"]
    killed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert killed.returncode == 0, killed.stderr
    assert re.fullmatch(r"5 kills in [1-9]\d* steps\nnothing lost\n", killed.stdout)


def test_rows_that_were_made_together_are_all_there_or_none_is(
    tmp_path: Path, make_config: ConfigMaker
) -> None:
    run = RunDir.create(tmp_path, make_config())
    before = {"nimg": 1, "metric": "training"}
    together = [{"nimg": 2, "metric": name, "value": 0.5} for name in ("fd", "precision", "recall")]
    run.append(METRICS, before)
    path = run.path / METRICS
    start = path.stat().st_size
    run.append(METRICS, *together)
    content = path.read_bytes()
    assert run.rows(METRICS) == [before, *together]
    for size in range(start, len(content) - 1):  # torn anywhere; the end of the line says nothing
        path.write_bytes(content[:size])
        assert run.rows(METRICS) == [before]
    run.append(METRICS, *together)  # what was torn stays behind, and harms nothing
    assert run.rows(METRICS) == [before, *together]
    run.append(METRICS, {"nimg": 3, "metric": "failed"})
    run.forget_after(2, 0)
    assert run.rows(METRICS) == [before, *together]


def test_a_run_is_held_by_one_process_and_a_dead_one_holds_nothing(
    tmp_path: Path, make_config: ConfigMaker
) -> None:
    run = RunDir.create(tmp_path, make_config())
    with run.locked():
        run.set_status("running")
        assert RunDir(run.path).status["state"] == "running"
        with pytest.raises(UserError, match="another process"), RunDir(run.path).locked():
            pass
    assert run.status["state"] == "killed"
    (run.path / "checkpoints" / f"{PARTIAL}1-000000004").mkdir()
    with run.locked():
        assert names(run.path / "checkpoints") == []


def test_a_snapshot_comes_back_as_it_was_sampled(
    tmp_path: Path, make_trainer: TrainerMaker
) -> None:
    trainer = make_trainer("tutorial")
    for _ in range(3):
        trainer.step()
    expected = {"ema": trainer.sheet(), "raw": trainer.samples(trainer.gan.G)}
    save_snapshot(tmp_path, trainer)
    path = tmp_path / "000000012.safetensors"
    for weights in ("ema", "raw"):
        loaded = load_snapshot(path, weights).G.to(memory_format=torch.channels_last)
        assert torch.equal(trainer.samples(loaded), expected[weights])
    assert not torch.equal(expected["ema"], expected["raw"])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        load_snapshot(path)


def test_the_second_signal_leaves_at_once() -> None:
    script = (
        "import time\n"
        "from training.stop import StopRequest\n"
        "with StopRequest():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(1) or time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None, "the first signal only asks"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
