"""The command: help, errors, and every command that does not train for long."""

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import benchmarks.cli
from data.store import Store
from eval.table import COLUMNS, load
from tests.conftest import FAST, ConfigMaker, write_pictures
from training.loop import Trainer
from training.run_dir import EVENTS, METRICS, RunDir


def test_help_answers_without_heavy_libraries() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from benchmarks.cli import bench\n"
        "assert 'bench run' in CliRunner().invoke(bench, ['--help']).output\n"
        "heavy = {'torch', 'pandas', 'seaborn', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.skipif(
    platform.libc_ver() < ("glibc", "2.35"), reason="another malloc, or an older one"
)
def test_memory_of_tensors_is_used_again() -> None:
    """Page faults of 64 MB, allocated again and again: each time, or hardly any."""

    def faults(before: str) -> int:
        script = (
            "import resource, torch; from benchmarks.cli import keep_freed_memory\n"
            f"{before}\n"
            "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
            "for _ in range(3): torch.ones(2**24)\n"
            "start = faults()\n"
            "for _ in range(5): torch.ones(2**24)\n"
            "print(faults() - start)"
        )
        return int(subprocess.check_output([sys.executable, "-c", script]))

    # Where pages are of 2 MB, there are few in any case.
    assert faults("keep_freed_memory()") < faults("pass") / 2


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, command in getattr(group, "commands", {}).items():
        found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(benchmarks.cli.bench), ids=" ".join)
def test_every_help_teaches_with_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(benchmarks.cli.bench, [*path, "--help"])
    assert result.exit_code == 0
    assert " ".join(("bench", *path)) in result.output.partition("Options:")[0].partition("\n")[2]


def test_a_run_from_data_to_table_and_curves(bench: Any, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 10)
    code, _, words = bench(
        "run", "--data=pictures", "--kimg=0.04", "--tick=0.008", "--snap=0.02", *FAST
    )
    assert code == 0, words
    run = RunDir.find(tmp_path / "results", "latest")
    assert run.id == "00000-dcgan-tutorial-pictures"
    for name in ("reals.png", "fakes_000000000.png", "fakes_000000040.png", "losses.png"):
        assert (run.path / name).read_bytes().startswith(b"\x89PNG")

    code, out, _ = bench("table", "--json")
    rows = json.loads(out)
    assert [row["kimg"] for row in rows] == [0.02, 0.04]
    assert rows[-1]["g_updates"] == 10
    assert {row["status"] for row in rows} == {"finished"}
    code, out, _ = bench("table", "--csv")
    assert out.startswith("run,status,model")
    code, out, _ = bench("table")
    assert "00000-dcgan-tutorial-pictures" in out

    (run.path / "losses.png").unlink()
    code, out, _ = bench("plot", "0")
    assert code == 3, "a number is matched as it is written"
    code, out, _ = bench("plot", "00000")
    assert out.split() == [f"results/{run.id}/losses.png", f"results/{run.id}/scores.png"]
    assert (run.path / "losses.png").exists()


def test_a_run_too_short_for_a_curve_or_a_batch_ends_well(bench: Any, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 1)  # one picture has no variety to compare with
    code, _, words = bench("run", "--data=pictures", "--kimg=0.001", *FAST)
    assert code == 0, words
    assert "Traceback" not in words


def test_a_tick_in_which_g_had_no_turn(bench: Any, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 10)
    flags = ["--variant=wgan-gp", "--kimg=0.024", "--tick=0.02", *FAST]  # G's turn is the fifth
    code, _, words = bench("run", "--data=pictures", *flags)
    assert code == 0, words
    assert "loss G nan" in words


def test_a_signal_before_the_first_tick_saves_and_says_how_to_go_on(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "pictures", 10)
    step = Trainer.step

    def interrupted_step(trainer: Trainer) -> None:
        step(trainer)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "step", interrupted_step)
    code, _, words = bench("run", "--data=pictures", *FAST)
    assert code == 130, words
    assert "bench run --resume results/00000-dcgan-tutorial-pictures" in words
    monkeypatch.undo()


def test_a_dry_run_prints_a_plan_and_leaves_nothing(bench: Any, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 10)
    code, out, _ = bench("run", "--data=pictures", "--dry-run", "--kimg=1000", *FAST)
    assert code == 0
    plan = json.loads(out)
    assert plan["config"]["training"]["kimg"] == 1000
    assert plan["config"]["options"]["g_channels"] == [16, 8, 8, 8]
    assert plan["estimate"]["hours"] > 0
    assert plan["estimate"]["disk_mb"] >= 0
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--model=dcgam"], 2, "did you mean dcgan?"),
        (["run", "--variant=simpel"], 2, "did you mean simple?"),
        (["run", "--set=lr_q=1"], 2, "--set lr_q"),
        (["run", "--data=nowhere"], 3, "nowhere"),
        (["run", "--data=pictures", "--kimg=-1"], 2, "--kimg -1"),
        (["run", "--data=pictures", "--kimg=nan"], 2, "--kimg nan"),
        (["run", "--kimg=nan"], 2, "--kimg nan"),
        (["run", "--data=pictures", "--seed=99999999999999999999"], 2, "--seed 9999"),
        (["run", "--data=pictures", "--set=real_weight=nan"], 2, "--set real_weight nan"),
        (["run", "--data=pictures", "--set=soft_labels=1.5"], 2, "--set soft_labels"),
        (["run", "--resume=/nowhere"], 3, "no run /nowhere"),
        (["run", "--data=pictures", "--tick=inf"], 2, "--tick inf"),
        (["run", "--data=pictures", "--seed=-1"], 2, "--seed -1"),
        (["run", "--data=pictures", "--set=lr_g=nan"], 2, "--set lr_g nan"),
        (["run", "--data=pictures", "--set=betas=2,2"], 2, "--set betas"),
        (["run", "--data=pictures", "--set=d_channels=8,0,8,8"], 2, "channels 0"),
        (["run", "--resume"], 3, "no run in results yet"),
        (["table", "--csv", "--json"], 2, "exclude each other"),
        (["run", "--data=pictures", "--augment=blur"], 2, "--augment blur"),
        (["run", "--resume=latest"], 3, "no run in results yet"),
        (["run", "--precision=fp8"], 2, "--precision"),
        (["plot"], 3, "no run"),
        (["models", "stylegam"], 2, "stylegam"),
    ],
)
def test_mistakes_get_one_line_and_an_exit_code(
    bench: Any, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    write_pictures(tmp_path / "pictures", 10)
    got, _, err = bench(*arguments)
    assert (got, words in err) == (code, True), err
    assert "Traceback" not in err
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "datasets").exists()


def test_models_are_listed_with_their_sizes(bench: Any) -> None:
    code, out, _ = bench("models", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {"family", "variant", "g_parameters", "d_parameters", "summary"} == set(rows[0])
    code, out, _ = bench("models")
    assert "3,576,704" in out
    code, out, _ = bench("models", "dcgan")
    assert "lr_milestones_kimg" in out


def test_doctor_finds_its_own_packages(bench: Any, tmp_path: Path) -> None:
    code, out, _ = bench("doctor")
    assert code == 0, out
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "__init__.py").touch()
    script = "import sys; sys.path.insert(0, '.'); from benchmarks.cli import main; main()"
    shadowed = subprocess.run(
        [sys.executable, "-c", script, "doctor"], cwd=tmp_path, capture_output=True, text=True
    )
    assert shadowed.returncode == 3
    assert "package ops is shadowed" in shadowed.stdout


def test_latest_is_the_run_most_recently_started_or_resumed(
    make_config: ConfigMaker, tmp_path: Path
) -> None:
    first, second = (RunDir.create(tmp_path, make_config()) for _ in range(2))
    first.set_status("finished", started=1.0)
    second.set_status("finished", started=2.0)
    assert RunDir.find(tmp_path, "latest").id == second.id
    first.set_status("running", started=3.0)
    assert RunDir.find(tmp_path, "latest").id == first.id
    demo = RunDir.create(tmp_path / "demo", make_config())
    demo.set_status("finished", started=9.0)
    assert RunDir.find(tmp_path, "latest").id == first.id


def test_the_table_is_derived_from_the_runs(
    make_config: ConfigMaker, store: Store, tmp_path: Path
) -> None:
    assert load(tmp_path).empty
    measured = RunDir.create(tmp_path, make_config("template", seed=3))
    for kimg in (1.0, 2.0):
        row = {"metric": "training", "nimg": int(kimg * 1000), "kimg": kimg, "train_sec": kimg}
        measured.append(METRICS, row)
    measured.append(EVENTS, {"event": "collapse", "nimg": 1, "rollbacks": 0})
    (tmp_path / "00009-broken").mkdir()
    (tmp_path / "00009-broken" / "config.json").write_text("{")
    RunDir.create(tmp_path, make_config("wgan"))
    table = load(tmp_path)
    assert tuple(table.columns) == COLUMNS
    assert list(table["kimg"].dropna()) == [1.0, 2.0]
    assert table["run"].nunique() == 3, "a run without a measurement has a row"
    assert list(table["status"]) == ["unknown", "unknown", "unreadable", "unknown"]
    assert load(str(tmp_path)).equals(table)
    row = table.iloc[0]
    assert (row["variant"], row["seed"], row["collapses"]) == ("template", 3, 1)
    assert row["dataset_sha256"] == store.card["sha256"]
    assert table["metric"].isna().tolist() == [False, False, True, True]
    # 8-16-8-8-8 channels, 4x4 kernels, biases; two numbers for each normalised channel.
    weights = 16 * (8 * 16 + 16 * 8 + 8 * 8 + 8 * 8 + 8 * 3)
    assert row["g_parameters"] == weights + (16 + 8 + 8 + 8 + 3) + 2 * (16 + 8 + 8 + 8)
