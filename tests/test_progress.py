"""Progress: the same latents through a run's snapshots, what changes by hand, and as a command."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import benchmarks.studies
from benchmarks.cli import run_command
from benchmarks.commands.progress import changes, progress, spread, tiled
from benchmarks.grids import SCALE
from tests.test_interpolate import patches
from tests.test_latents import Result, contains, image_of
from training.run_dir import RunDir

Bench = Callable[..., Result]


def test_few_snapshots_are_all_taken_and_many_are_thinned_evenly() -> None:
    every = [4.0 * k for k in range(1, 101)]
    assert spread(every[:20], 20) == every[:20]
    for count in (2, 3, 7, 20, 99):
        chosen = spread(every, count)
        assert len(set(chosen)) == count
        assert (chosen[0], chosen[-1]) == (every[0], every[-1])
        assert chosen == sorted(chosen)
        gaps = np.diff([every.index(kimg) for kimg in chosen])
        assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(
    ("count", "rows", "cols"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (8, 2, 4), (9, 2, 5), (18, 3, 6)]
)
def test_a_frame_shows_every_face_in_its_order(count: int, rows: int, cols: int) -> None:
    images = torch.arange(2 * count).view(2, count, 1, 1, 1).expand(-1, -1, 3, 4, 6)
    frames = tiled(images.to(torch.uint8))
    assert frames.shape == (2, 3, rows * 6, cols * 8)
    for t in range(2):
        for n in range(rows * cols):
            top, left = n // cols * 6, n % cols * 8
            cell = frames[t, :, top : top + 6, left : left + 8]
            face = t * count + n if n < count else 255
            assert (cell[:, 1:-1, 1:-1] == face).all()
            assert (cell[:, 0] == 255).all()
            assert (cell[:, :, -1] == 255).all()


def test_changes_by_hand() -> None:
    start = torch.tensor([[0.0, 0.0], [6.0, 8.0], [0.0, 8.0]]).double()
    moved = start + torch.tensor([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]])
    table = changes(torch.stack([start, moved, moved]), [4.0, 8.0, 16.0])
    assert list(table["kimg"]) == [4.0, 8.0]
    assert list(table["next_kimg"]) == [8.0, 16.0]
    assert list(table["step"]) == pytest.approx([5, 0])
    assert list(table["low"]) == list(table["high"]) == pytest.approx([5, 0])
    assert list(table["faces"]) == [3, 3]
    assert list(table["apart"]) == pytest.approx([(10 + 8 + 6) / 3] * 2)


def test_uneven_changes_have_an_interval() -> None:
    draws = torch.Generator().manual_seed(0)
    step = torch.rand(50, generator=draws).double()
    features = torch.stack([torch.zeros(50), step])[..., None].double()
    row = changes(features, [4.0, 8.0]).iloc[0]
    assert row["step"] == pytest.approx(float(step.mean()))
    error = float(step.std()) / 50**0.5
    assert row["step"] - row["low"] == pytest.approx(1.96 * error, rel=0.2)
    assert row["high"] - row["step"] == pytest.approx(1.96 * error, rel=0.2)


# The command


@pytest.fixture
def bench(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    """Run `bench progress` where there are two runs; features are means of patches."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr(benchmarks.studies, "attribute_extractor", lambda device: patches())

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as ending:
            run_command(progress, "bench progress")
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Result(int(ending.value.code or 0), printed.out, printed.err)

    return call


def frames(path: str) -> list[np.ndarray]:
    with Image.open(path) as film:
        found = []
        for index in range(film.n_frames):
            film.seek(index)
            found.append(np.array(film.convert("RGB")))
    return found


@pytest.mark.parametrize("run", ["00000", "00001"])
def test_the_strip_shows_the_same_seeds_at_each_snapshot(bench: Bench, run: str) -> None:
    result = bench(run, "--seeds=3,8", "--out=p.png")
    assert (result.code, result.out, result.err) == (0, "p.png\np.webp\n", "")
    snapshots = RunDir.find(Path("results"), run).snapshots
    assert len(snapshots) == 2
    for snapshot in snapshots:
        for seed in (3, 8):
            assert contains(Path("p.png"), image_of(snapshot, seed))
            assert not contains(Path("p.png"), image_of(snapshot, seed, "raw"))
    assert not contains(Path("p.png"), image_of(snapshots[0], 4))
    bench(run, "--seeds=3,8", "--raw", "--out=p.png")
    assert contains(Path("p.png"), image_of(snapshots[0], 3, "raw"))
    assert not contains(Path("p.png"), image_of(snapshots[0], 3))


def test_the_animation_has_a_frame_for_each_snapshot(bench: Bench, tmp_path: Path) -> None:
    bench("00001", "--seeds=3,8", "--out=p.png")
    shown = frames("p.webp")
    snapshots = RunDir.find(Path("results"), "00001").snapshots
    assert len(shown) == 2
    for index, pixels in enumerate(shown):
        Image.fromarray(np.pad(pixels, ((0, 9), (0, 9), (0, 0)))).save(tmp_path / "frame.png")
        for other, snapshot in enumerate(snapshots):
            for seed in (3, 8):
                found = contains(tmp_path / "frame.png", image_of(snapshot, seed))
                assert found == (index == other)
        assert pixels.shape[1] == 2 * 66 * SCALE


def test_many_snapshots_are_thinned_aloud(bench: Bench, tmp_path: Path) -> None:
    found = RunDir.find(Path("results"), "00001")
    long = tmp_path / "long"
    (long / "snapshots").mkdir(parents=True)
    (long / "config.json").write_bytes((found.path / "config.json").read_bytes())
    for nimg in range(10, 70, 10):
        for end in ("safetensors", "sha256"):
            source = found.snapshots[nimg // 10 % 2].with_suffix(f".{end}")
            copy = long / "snapshots" / f"{nimg:09d}.{end}"
            copy.write_bytes(source.read_bytes())
    result = bench(str(long), "--seeds=0", "--max-rows=3", "--out=p.png")
    assert "3 of 6 snapshots, evenly spread: kimg 0.01, 0.03, 0.06" in result.err
    assert result.out == "p.png\np.webp\n"
    whole = bench(str(long), "--seeds=0", "--out=w.png")
    assert whole.err == ""
    with Image.open("p.png") as few, Image.open("w.png") as all_of_them:
        assert (all_of_them.height - few.height) == 3 * (64 * SCALE + 4)


def test_the_same_run_twice_is_the_same_bytes(bench: Bench) -> None:
    written = []
    for _ in range(2):
        bench("00000", "--seeds=0-2", "--measure", "--out=p.png")
        written.append([Path(f"p.{end}").read_bytes() for end in ("png", "webp", "csv", "json")])
    assert written[0] == written[1]


def test_pictures_lie_in_the_run_by_default(bench: Bench) -> None:
    folder = "results/00001-dcgan-simple-pictures"
    assert bench().out.split() == [f"{folder}/progress.png", f"{folder}/progress.webp"]


def test_measuring_leaves_tables(bench: Bench) -> None:
    result = bench("00000", "--seeds=0", "--measure", "--raw", "--out=m.png")
    assert result.code == 0, result.err
    assert result.out.split("\n")[:4] == ["m.png", "m.webp", "m.csv", "m.json"]
    snapshots = RunDir.find(Path("results"), "00000").snapshots
    before, after = (
        torch.stack([patches().embed(image_of(path, s, "raw")[None])[0] for s in range(64)])
        for path in snapshots
    )
    row = pd.read_csv("m.csv").iloc[0]
    assert (row["kimg"], row["next_kimg"], row["faces"]) == (0.008, 0.012, 64)
    assert row["step"] == pytest.approx(float((after - before).norm(dim=1).mean()), rel=1e-3)
    assert row["low"] < row["step"] < row["high"]
    about = json.loads(Path("m.json").read_text())
    assert (about["weights"], about["extractor"]) == ("raw", "patches")
    assert (about["seed"], about["seeds"]) == (0, list(range(64)))
    assert about["rows"][0]["step"] == pytest.approx(row["step"])
    bench("00000", "--seeds=0", "--measure", "--raw", "--seed=2", "--out=o.png")
    assert Path("o.png").read_bytes() == Path("m.png").read_bytes()
    other = json.loads(Path("o.json").read_text())
    assert (other["seed"], other["seeds"]) == (2, list(range(128, 192)))
    assert other["rows"][0]["step"] != about["rows"][0]["step"]


def test_one_snapshot_is_a_picture_but_no_change(bench: Bench, tmp_path: Path) -> None:
    run = RunDir.find(Path("results"), "00001")
    one = tmp_path / "one"
    (one / "snapshots").mkdir(parents=True)
    (one / "config.json").write_bytes((run.path / "config.json").read_bytes())
    for end in ("safetensors", "sha256"):
        source = run.snapshots[0].with_suffix(f".{end}")
        (one / "snapshots" / source.name).write_bytes(source.read_bytes())
    assert bench(str(one), "--seeds=0", "--out=p.png").out == "p.png\np.webp\n"
    result = bench(str(one), "--seeds=0", "--out=q.png", "--measure")
    assert (result.code, result.out) == (2, "")
    assert "--measure: one has one snapshot" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--seeds=a"], 2, "--seeds: 'a' is no whole number"),
        (["--seeds=0-4000"], 2, "--seeds, --max-rows: they make 8,002 images"),
        (["--max-rows=1"], 2, "--max-rows"),
        (["--kimg=7"], 2, "--kimg"),
        (["--out=p.webp"], 2, "end in .png"),
        (["--results=elsewhere"], 3, "there is no run in elsewhere"),
        (["00007"], 3, "no run 00007"),
    ],
)
def test_mistakes_get_one_line_and_an_exit_code(
    bench: Bench, arguments: list[str], code: int, words: str
) -> None:
    result = bench(*arguments)
    assert (result.code, words in result.err) == (code, True), result.err
    assert result.out == ""


def test_a_run_without_snapshots_says_so(bench: Bench, tmp_path: Path) -> None:
    config = RunDir.find(Path("results"), "00001").path / "config.json"
    (tmp_path / "config.json").write_bytes(config.read_bytes())
    result = bench(str(tmp_path))
    assert (result.code, result.out) == (3, "")
    assert "no snapshot yet" in result.err


def test_help_teaches_with_an_example() -> None:
    printed = CliRunner().invoke(progress, ["--help"]).output
    assert "bench progress 00003 --seeds 0-11 --raw" in printed
