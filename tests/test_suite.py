"""Suites: their files, their plans, their runs, and how all of it is told."""

import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import benchmarks.jobs
from benchmarks.board import Board, fit, in_words
from benchmarks.jobs import Command, Elsewhere, Job, Workers, slots
from benchmarks.report.numbers import with_prefix
from benchmarks.standing import refuse_others, remaining, seconds_left, standing
from benchmarks.suite import NAME, Planned, load_suite, plan, refuse_unsplit, suite_names
from data.errors import UserError
from data.faces import write_faces
from data.files import write_json
from data.store import Store
from eval.metrics import Metric
from models.registry import parameter_counts
from tests.conftest import FAST, Bench, write_pictures
from training.config import data_identity
from training.run_dir import CONFIG, ENVIRONMENT, METRICS, STATS, RunDir

TINY_RUN = shlex.join([*FAST, "--kimg=0.04", "--tick=0.008", "--snap=0.02"])
RATES = f"""
summary = "Is a lower rate better?"
seeds = 2
metrics = "fd_faces64,pr_faces100"
run = '''{TINY_RUN}'''

[[arms]]
name = "low"
asks = "What a low rate does."
run = "--set lr_g=1e-5"

[[arms]]
name = "high"
run = "--set lr_g=1e-3"
"""


@pytest.fixture(autouse=True)
def _kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GAN_VERSUS_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Data of which a part is held out, for plans alone."""
    store = write_pictures(tmp_path_factory.mktemp("data") / "pictures", 20)
    store.split(10)
    return str(store.folder)


@pytest.fixture
def rates(tmp_path: Path) -> Path:
    """A suite of two arms and two seeds, beside 200 pictures of which 100 are held out."""
    write_pictures(tmp_path / "pictures", 200).split(100)
    path = tmp_path / "rates.toml"
    path.write_text(RATES)
    return path


# The plan


def commands(arm: str, seed: int, rate: str, results: str = "results/rates") -> list[str]:
    """What the suite above is to run, written by hand."""
    here = shlex.join(["cd", os.getcwd()])
    run = f"bench run {TINY_RUN} --set lr_g={rate} --data pictures --seed {seed}"
    return [
        f"{here} && {run} --name {arm}-seed{seed} --results {results} && "
        f"bench eval {results}/{arm}-seed{seed} --snapshot all --metrics fd_faces64,pr_faces100"
    ]


def test_a_plan_is_one_command_a_run_seed_by_seed(bench: Bench, rates: Path) -> None:
    code, out, err = bench("suite", "plan", "rates.toml", "--data=pictures")
    assert code == 0, err
    assert out.splitlines() == [
        *commands("low", 0, "1e-5"),
        *commands("high", 0, "1e-3"),
        *commands("low", 1, "1e-5"),
        *commands("high", 1, "1e-3"),
    ]
    assert not Path("results").exists()
    (command,) = commands("low", 0, "1e-5", "else/where")
    flags = ["--data=pictures", "--seeds=1", "--results=else/where", "--json"]
    code, out, _ = bench("suite", "plan", "rates.toml", *flags)
    assert [run["name"] for run in json.loads(out)] == ["low-seed0", "high-seed0"]
    assert json.loads(out)[0] == {
        "name": "low-seed0",
        "arm": "low",
        "recipe": None,
        "seed": 0,
        "data": ["pictures"],
        "results": "else/where",
        "kimg": 0.04,
        "command": command,
    }


def test_a_budget_scales_an_arms_own_lengths_and_a_recipes(
    tmp_path: Path, rates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = plan(load_suite("rates.toml"), Path("r"), ["pictures"], budget="50%")
    assert {run.kimg for run in own} == {0.02}
    assert {run.config.training.snap_kimg for run in own} == {0.01}
    assert all("--budget 50%" in run.command for run in own)
    said = plan(
        load_suite("rates.toml"), Path("r"), ["pictures"], budget="50%", flags=["--snap=0.03"]
    )
    assert {run.config.training.snap_kimg for run in said} == {0.03}

    # 50 epochs of all 100 training images, and 100 epochs of 19,000 in 63,632 of them.
    recipes = plan(load_suite("data-size"), Path("r"), ["pictures"], seeds=1, budget="10%")
    few = round(100 * 19_000 / 63_632)
    lengths = {run.arm: run.kimg for run in recipes}
    assert lengths["full"] == pytest.approx(0.5)
    assert lengths["small"] == pytest.approx(10 * few / 1000)
    assert lengths["small-long"] == pytest.approx(0.5, rel=0.01)  # `few` is rounded


def test_data_sets_make_a_matrix_and_roles_go_to_every_run(
    tmp_path: Path, rates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "more of them", 160).split(80)
    suite = load_suite("rates.toml")
    both = plan(suite, Path("r"), ["pictures", "more of them"], seeds=1)
    assert [(run.name, run.data) for run in both] == [
        ("low-pictures-seed0", ("pictures",)),
        ("high-pictures-seed0", ("pictures",)),
        ("low-more_of_them-seed0", ("more of them",)),
        ("high-more_of_them-seed0", ("more of them",)),
    ]
    mapped = plan(
        load_suite("data-size"), Path("r"), ["full=pictures", "small=more of them"], seeds=1
    )
    assert {run.arm: run.kimg for run in mapped}["small"] == pytest.approx(100 * 80 / 1000)
    assert all(run.data == ("full=pictures", "small=more of them") for run in mapped)
    (tmp_path / "other").mkdir()
    write_pictures(tmp_path / "other" / "pictures", 160).split(80)
    with pytest.raises(UserError, match="two data sets would be called pictures"):
        plan(suite, Path("r"), ["pictures", "other/pictures"])


def test_options_reach_every_command(bench: Bench, rates: Path) -> None:
    flags = ["--data=pictures", "--num=70", "--variant=r1", "--", "--batch", "8"]
    _, out, _ = bench("suite", "plan", "rates.toml", *flags)
    for line in out.splitlines():
        assert " --variant r1 --batch 8 " in line
        assert line.endswith("--metrics fd_faces70,pr_faces70")


def test_a_command_means_the_same_to_a_shell(bench: Bench, rates: Path, tmp_path: Path) -> None:
    """Whatever the data is called: a shell hands `bench` exactly the planned words."""
    hostile = "a 'b' \"c\" $(touch owned) `touch owned`; touch owned & #"
    (tmp_path / "pictures").rename(tmp_path / hostile)
    _, out, _ = bench("suite", "plan", "rates.toml", "--seeds=1", "--data", hostile, "--json")
    fake = tmp_path / "bin" / "bench"
    fake.parent.mkdir()
    fake.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([*sys.argv[1:], os.getcwd()]), flush=True)\n"
    )
    fake.chmod(0o755)
    path = f"{fake.parent}:{os.environ['PATH']}"
    for run in json.loads(out):
        said = subprocess.run(
            ["sh", "-c", run["command"]],
            env={"PATH": path},
            cwd=tmp_path / "bin",  # it is the planner's folder that counts
            capture_output=True,
            text=True,
        )
        train, measure = map(json.loads, said.stdout.splitlines())
        assert Path(train.pop()) == tmp_path
        assert Path(measure.pop()) == tmp_path
        assert train[train.index("--data") + 1] == hostile
        assert measure[:2] == ["eval", f"results/rates/{run['name']}"]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", suite_names())
def test_shipped_suites_can_be_planned(name: str, parted: str) -> None:
    suite = load_suite(name)
    planned = plan(suite, Path("r"), [parted])
    assert len(planned) == len(suite.arms) * suite.seeds
    assert len({run.name for run in planned}) == len(planned)
    for run in planned:
        assert NAME.fullmatch(run.name)
        assert {Metric.parse(name).kind for name in run.metrics} == {"fd", "pr", "js"}
        # `auto` times a few steps: two seeds of an arm might be trained differently.
        assert run.config.training.precision == "fp32"
    assert all(arm.asks.endswith(".") for arm in suite.arms)


def test_versus_is_two_by_two_at_equal_kimg(parted: str) -> None:
    for variant in (None, "tiny"):
        planned = plan(load_suite("versus"), Path("r"), [parted], variant=variant)
        assert len(planned) == 4 * 5
        assert {run.kimg for run in planned} == {3500.0}
        assert {run.config.model for run in planned} == {"dcgan", "stylegan"}
        assert variant in (None, *(run.config.variant for run in planned))
        for kind, averaged_r1 in (("classic", False), ("modern", True)):
            found = [run.config.options for run in planned if run.arm.endswith(kind)]
            assert {options.r1_gamma > 0 for options in found} == {averaged_r1}
            assert {options.diffaug for options in found} == {averaged_r1}


def test_arms_of_dcgan_variants_have_the_sources_networks(parted: str) -> None:
    from models.registry import parameter_counts

    planned = plan(load_suite("dcgan-variants"), Path("r"), [parted], seeds=1)
    counts = {run.arm: parameter_counts("dcgan", run.config.options) for run in planned}
    assert counts["simple"] == counts["wgan"] == (3_806_080, 2_765_696)
    assert counts["extended"] == (23_604_992, 11_166_529)
    assert counts["buffed"] == (178_139_384, 18_899_456)
    assert len({run.kimg for run in planned}) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[arms]]\nname = '../up'", "the name '../up'"),
        ("[[arms]]\nname = '/etc'", "the name '/etc'"),
        ("[[arms]]\nname = '..'", "the name '..'"),
        ("[[arms]]\nname = '-rf'", "the name '-rf'"),
        ("[[arms]]\nname = 'a b'", "the name 'a b'"),
        ("[[arms]]\nname = 'a;b'", "the name 'a;b'"),
        ('[[arms]]\nname = "a\\nb"', "without control characters"),
        ('[[arms]]\nname = "a"\nasks = "\\u001b[2J"', "without control characters"),
        ("[[arms]]\nname = 'ä'", "the name 'ä'"),
        ("[[arms]]\nname = ''", "the name ''"),
        ("[[arms]]\nrun = ''", "the name ''"),
        ("[[arms]]\nname = 'a'\n[[arms]]\nname = 'A'", "two arms have one name: a, A"),
        ("[[arms]]\nname = 'a'\n[[arms]]\nname = 'b'", "a and b would be the same runs"),
        ("[[arms]]\nname = 'a'\nrun = '--lr 3'", "arm a: No such option"),
        ("[[arms]]\nname = 'a'\nrun = '--help'", "arm a: No such option"),
        ("[[arms]]\nname = 'a'\nrun = 'word'", "arm a: Got unexpected extra argument"),
        ("[[arms]]\nname = 'a'\nrun = '--kimg x'", "arm a: Invalid value for '--kimg'"),
        ("[[arms]]\nname = 'a'\nrun = '--variant simpel'", "did you mean simple?"),
        ("[[arms]]\nname = 'a'\nrun = '--recipe nothing'", "--recipe nothing"),
        ("[[arms]]\nname = 'a'\nrun = '--seed 3'", "--seed is not an arm's"),
        ("[[arms]]\nname = 'a'\nrun = '--results /'", "--results is not an arm's"),
        ("[[arms]]\nname = 'a'\nrun = '--name b'", "--name is not an arm's"),
        ("[[arms]]\nname = 'a'\nrun = '--resume'", "--resume is not an arm's"),
        ("[[arms]]\nname = 'a'\nrun = \"--set 'x\"", "cannot be read as a command's flags"),
        ("[[arms]]\nname = 'a'\nrum = ''", "an arm has no 'rum'"),
        ("[[arms]]\nname = 3", "name = 3: write a str"),
        ("arms = ['a']", "write each as a table"),
        ("seeds = 2", "a suite needs arms"),
        ("seeds = 0\n[[arms]]\nname = 'a'", "seeds = 0"),
        ("seeds = true\n[[arms]]\nname = 'a'", "seeds = True: write a int"),
        ("metrics = 'fid'\n[[arms]]\nname = 'a'", "--metrics fid"),
        ("[[arms]", "is no TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    bench: Bench, rates: Path, text: str, words: str
) -> None:
    rates.write_text(text)
    code, out, err = bench("suite", "rates.toml", "--data=pictures")
    assert (code, words in err) == (2, True), err
    assert not out
    assert "Traceback" not in err
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["verus"], 2, "did you mean versus?"),
        (["nowhere.toml"], 3, "nowhere.toml cannot be read"),
        (["a b.toml"], 2, "the name 'a b'"),
        (["rates.toml", "--data=nowhere"], 3, "nowhere"),
        (["rates.toml", "--data=pictures", "--budget=5"], 2, "--budget 5"),
        (["rates.toml", "--data=pictures", "--variant=tyni"], 2, "--variant tyni"),
        (["rates.toml", "--data=pictures", "--jobs=0"], 2, "--jobs"),
        (["rates.toml", "--data=pictures", "--", "--data=x"], 2, "--data is not an arm's"),
        (["dcgan-variants", "--data=pictures", "--variant=tiny"], 2, "would be the same runs"),
    ],
)
def test_mistakes_get_one_line_and_an_exit_code(
    bench: Bench, rates: Path, arguments: list[str], code: int, words: str
) -> None:
    rates.with_name("a b.toml").write_text(RATES)
    got, _, err = bench("suite", *arguments)
    assert (got, words in err) == (code, True), err
    assert "Traceback" not in err
    assert not Path("results").exists()


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["plan"]])
def test_data_without_a_heldout_part_is_refused_with_the_way_to_one(
    bench: Bench, rates: Path, tmp_path: Path, command: list[str]
) -> None:
    """What the message says, done as it stands, is what it takes."""
    make_heldout = re.compile(r"`(bench data [^`]+)`")
    write_pictures(tmp_path / "all of it", 500)
    folder = tmp_path / "an archive"
    folder.mkdir()
    for row, image in enumerate(Store(tmp_path / "all of it").images[:400]):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{row}.png")
    for source, steps, data in (
        ("all of it", ["split"], "all of it"),
        ("an archive", ["import", "split"], "datasets/an archive"),
    ):
        verb, *flags = command
        code, _, err = bench("suite", verb, "rates.toml", "--data", source, *flags)
        assert (code, Path("results").exists()) == (2, False), err
        assert f"--data {source} has no held-out images" in err
        said = make_heldout.findall(err)
        assert [each.split()[2] for each in said] == steps
        for each in said:
            assert bench(*shlex.split(each)[1:])[0] == 0
        code, out, err = bench("suite", "plan", "rates.toml", "--data", data)
        assert (code, len(out.splitlines())) == (0, 4), err


def test_drawn_faces_need_no_part_of_their_own(tmp_path: Path) -> None:
    """They are measured against another seed's."""
    write_faces(tmp_path / "faces", 80, 0)
    refuse_unsplit(tmp_path / "faces", Store(tmp_path / "faces"))


def test_the_list_says_what_arms_ask(bench: Bench) -> None:
    code, out, _ = bench("suite")
    assert code == 0
    assert bench("suite", "list")[1] == out
    for name in suite_names():
        assert f"\n{name}: " in f"\n{out}"
    assert "versus" in out


# Where runs stand


def make_run(run: Planned, status: str = "finished", snapshots: int = 2) -> RunDir:
    """A run's folder, as training leaves it."""
    training = dataclasses.replace(run.config.training, device="cpu")
    store = Store(Path(run.data[0]))
    config = dataclasses.replace(run.config, training=training, data=data_identity(store))
    folder = RunDir.create(run.results, config, run.name)
    (folder.path / "snapshots").mkdir()
    for number in range(1, snapshots + 1):
        (folder.path / "snapshots" / f"{20 * number:09d}.safetensors").touch()
    folder.set_status(status)
    return folder


def measurement(metric: str, fakes: int, nimg: int = 40, seed: int = 1, **other: Any) -> dict:
    row = {"metric": metric, "nimg": nimg, "fakes": fakes, "extractor": "faces", "weights": "ema"}
    return {**row, "sample_seed": seed, "psi": 1.0, "batch_norm": "", "value": 1.0, **other}


def measured(nimg: int, seed: int, value: float = 1.0, raw: float = 1.0) -> list[dict]:
    """All that measuring one snapshot of the suite above leaves, in its order."""
    return [
        measurement(f"{name}_{part}", fakes, nimg, seed, weights=weights, value=number)
        for weights, number in (("ema", value), ("raw", raw))
        for name, fakes in (("fd_faces64", 64), ("precision_faces100", 100))
        for part in ("heldout", "train")
    ]


def measure(folder: RunDir) -> None:
    """As if its last snapshot alone had been measured, and reported."""
    for row in measured(40, seed=1):
        folder.append(METRICS, row)


@pytest.fixture
def planned(rates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Planned]:
    monkeypatch.chdir(tmp_path)
    return plan(load_suite("rates.toml"), Path("results/rates"), ["pictures"])


def test_a_run_goes_from_new_to_measured(planned: list[Planned]) -> None:
    run = planned[0]
    assert standing(run).stage == "new"
    assert remaining(run) == [run.train, run.measure]
    folder = make_run(run, "running")
    folder.append(STATS, {"nimg": 8, "kimg": 0.008, "seconds": 2.0})
    folder.append(STATS, {"nimg": 16, "kimg": 0.016, "seconds": 8.0})
    assert standing(run).status == "killed"
    assert standing(run).kimg == 0.016
    assert standing(run).sec_per_kimg == pytest.approx(500)
    assert remaining(run) == [run.train, run.measure]
    with folder.locked():
        assert standing(run).stage == "training"
        with pytest.raises(Elsewhere):
            remaining(run)
    folder.set_status("stopped")
    with folder.locked(), pytest.raises(Elsewhere):  # someone is about to resume it
        remaining(run)
    assert remaining(run) == [run.train, run.measure]
    folder.set_status("finished")
    assert remaining(run) == [run.measure]
    measure(folder)
    assert standing(run).stage == "measured"
    assert remaining(run) == []


@pytest.mark.parametrize(
    "instead",
    [
        measurement("fd_faces64_heldout", 64, seed=0),  # chooses the best, and is not reported
        measurement("fd_faces64_heldout", 64, nimg=20),  # an earlier snapshot
        measurement("fd_faces65_heldout", 65),
        measurement("fid64_heldout", 64, extractor="inception"),
        measurement("fd_inf_faces64_heldout", 64),
        measurement("recall_faces64_heldout", 64),
        measurement("fd_faces64_all", 64),
        measurement("fd_faces64_heldout", 64, weights="raw"),
        measurement("fd_faces64_heldout", 64, psi=0.7),
        measurement("fd_faces64_heldout", 64, batch_norm="train"),
        {"metric": "training", "nimg": 40},
    ],
    ids=lambda row: row["metric"],
)
def test_another_measurement_is_not_the_one_that_is_asked_for(
    planned: list[Planned], instead: dict
) -> None:
    folder = make_run(planned[0])
    asked, *others = measured(40, seed=1)
    for row in (*others, instead):
        folder.append(METRICS, row)
    assert remaining(planned[0]) == [planned[0].measure]
    folder.append(METRICS, asked)
    assert remaining(planned[0]) == []


def test_measuring_that_a_kill_cut_short_is_done_again(planned: list[Planned]) -> None:
    """Wherever it was cut: averaged weights are best at 20, raw ones at 40, the last is 60."""
    run = planned[0]
    folder = make_run(run, snapshots=3)
    chosen = [*measured(20, 0, 1.0, 2.0), *measured(40, 0, 2.0, 1.0), *measured(60, 0, 3.0, 3.0)]
    reported = [*measured(60, seed=1), *measured(20, seed=1), *measured(40, seed=1)]
    for row in chosen:
        folder.append(METRICS, row)
    for row in reported:
        assert remaining(run) == [run.measure]
        folder.append(METRICS, row)
    assert remaining(run) == []


def test_runs_that_end_early_are_results(planned: list[Planned]) -> None:
    none, some = planned[:2]
    make_run(none, "diverged", snapshots=0)
    assert remaining(none) == []
    make_run(some, "collapsed")
    assert remaining(some) == [some.measure]
    RunDir(some.path).append(METRICS, {"metric": "failed", "nimg": 40, "sample_seed": 1})
    assert remaining(some) == []  # it was tried


def test_a_folder_of_another_plan_is_refused(bench: Bench, planned: list[Planned]) -> None:
    make_run(planned[0])
    refuse_others(planned)  # what was left to `auto` may have been decided in any way
    for flags, words in (
        (["--budget=50%"], "recipe.budget"),
        (["--", "--batch=8"], "training.batch was 4, now 8"),
        (["--", "--kimg=0.02"], "--kimg 0.02"),
    ):
        code, _, err = bench("suite", "rates.toml", "--data=pictures", *flags)
        assert code == 2
        assert "results/rates/low-seed0 is another plan's: choose another --results" in err
        assert words in err
    write_pictures(Path("others"), 200, seed=1).split(100)
    code, _, err = bench("suite", "rates.toml", "--data=others")
    assert (code, "data.sha256" in err) == (2, True), err


def test_a_longer_run_is_gone_on_with(planned: list[Planned]) -> None:
    make_run(planned[0])
    longer = plan(
        load_suite("rates.toml"), planned[0].results, ["pictures"], flags=["--kimg", "0.08"]
    )
    refuse_others(longer)
    assert remaining(longer[0]) == [longer[0].train, longer[0].measure]


def test_an_unreadable_run_does_not_stop_the_rest(planned: list[Planned]) -> None:
    folder = make_run(planned[0])
    (folder.path / CONFIG).write_text("{")
    refuse_others(planned)
    assert remaining(planned[0]) == [planned[0].train, planned[0].measure]


def test_the_time_left(planned: list[Planned]) -> None:
    low, high, low_too, high_too = planned
    make_run(low, "running").append(STATS, {"nimg": 10, "kimg": 0.01, "seconds": 1.0})
    runs = [(run, standing(run)) for run in (low, low_too)]
    # 0.03 kimg and 0.04 kimg at 100 seconds a kimg
    assert seconds_left(runs, {"low": 100.0}, slots=1) == (pytest.approx(7), 0)
    assert seconds_left(runs, {"low": 100.0}, slots=2) == (pytest.approx(4), 0)
    every = [*runs, (high, standing(high)), (high_too, standing(high_too))]
    assert seconds_left(every, {"low": 100.0}, slots=1) == (pytest.approx(7), 2)
    assert [in_words(s) for s in (5.4, 59.9, 119, 7200, 7500, 200_000)] == [
        *("5 s", "60 s", "2 min", "2 h 0 min", "2 h 5 min", "2 d 7 h"),
    ]


def test_the_table_and_its_headline(planned: list[Planned]) -> None:
    low, high, low_too, _ = planned
    make_run(low, "running").append(STATS, {"nimg": 10, "kimg": 0.01, "seconds": 1.0})
    make_run(high, "diverged", snapshots=0)
    make_run(low_too)
    jobs = [Job(run.name, list, Path("log")) for run in planned]
    jobs[0].state, jobs[0].ran = "running", [low.train]
    jobs[1].state = "done"
    board = Board("rates", planned, Workers(jobs, [{}]))
    assert board.headline() == (
        "rates: 1 running, 1 done, 2 waiting; at least 3 s of training left; 1 runs of unknown pace"
    )
    assert board.table() == [
        "      seed 0        seed 1",
        "low   25%           to measure",
        "high  diverged      -",
    ]
    jobs[0].ran.append(low.measure)
    jobs[1].state = "failed"
    assert "measuring" in board.table()[1]
    assert "failed" in board.table()[2]
    assert fit(["a", "b", "c", "d", "e"], 4) == ["a", "b", "c", "... and 2 more lines"]


def screen(written: str) -> list[str]:
    """What a terminal shows of what was written to it: the cursor goes up, and all below goes."""
    lines: list[str] = []
    for up, text in re.findall(r"(?:\x1b\[(\d+)A\x1b\[J)?([^\x1b]*)", written):
        lines = lines[: len(lines) - int(up or 0)] + text.splitlines()
    return lines


def test_a_terminal_shows_the_newest_table_alone(
    planned: list[Planned], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    jobs = [Job(run.name, list, Path("log")) for run in planned]
    board = Board("rates", planned, Workers(jobs, [{}]))
    assert board.live
    written = ""
    for state in ("waiting", "running", "failed"):
        jobs[0].state, jobs[0].ran = state, [planned[0].train]
        board.look()
        written += capsys.readouterr().err
        assert screen(written) == [board.headline(), *board.table()]
    assert "failed" in written.split("\x1b")[-1]
    assert written.count("\x1b[J") == 2, "drawn over twice"


def test_lines_are_said_where_nobody_watches(
    planned: list[Planned], capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [Job(run.name, list, Path("log")) for run in planned]
    board = Board("rates", planned, Workers(jobs, [{}]))
    jobs[0].state, jobs[0].ran = "running", [planned[0].train]
    board.look()
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert said.splitlines() == ["low-seed0: training", board.headline()]


# Jobs


def python(script: str) -> Command:
    return [sys.executable, "-c", script]


def job(folder: Path, name: str, *scripts: str) -> Job:
    return Job(name, lambda: [python(each) for each in scripts], folder / f"{name}.log")


def finish(jobs: list[Job], places: int = 1, look: Callable[[], None] = lambda: None) -> Workers:
    workers = Workers(jobs, [{"SLOT": str(number)} for number in range(places)])
    workers.work(look)
    return workers


def test_what_fails_is_told_and_does_not_stop_the_rest(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "a", "print('hello'); raise SystemExit('error: no luck')", "print('never')"),
        job(tmp_path, "b", "import os; os.kill(os.getpid(), 9)"),
        job(tmp_path, "c", "raise SystemExit(7)"),
        job(tmp_path, "d", "print('one')", "print('two')"),
    ]
    finish(jobs)
    states = [(each.state, each.error) for each in jobs]
    assert states == [
        ("failed", "no luck"),
        ("failed", "killed by signal 9"),
        ("failed", "exit code 7"),
        ("done", ""),
    ]
    assert "hello" in jobs[0].log.read_text()
    assert "never" not in jobs[0].log.read_text().replace("print('never')", "")
    log = [line for line in jobs[3].log.read_text().splitlines() if not line.startswith("$ ")]
    assert log == ["one", "two"]


def test_jobs_have_a_slot_each_at_a_time(tmp_path: Path) -> None:
    """Two that wait for each other end where both run at once; so many never run at once else."""
    meet = (
        "import os, pathlib, time\n"
        "me = pathlib.Path(os.environ['SLOT']); me.touch()\n"
        "while len(list(pathlib.Path().glob('[01]'))) < 2: time.sleep(0.01)"
    )
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        jobs = [job(tmp_path, name, meet) for name in "ab"]
        finish(jobs, places=2)
        assert [each.state for each in jobs] == ["done", "done"]
        alone = (
            "import pathlib, time\n"
            "lock = pathlib.Path('lock'); lock.mkdir(); time.sleep(0.1); lock.rmdir()"
        )
        jobs = [job(tmp_path, name, alone) for name in "cde"]
        finish(jobs, places=1)
        assert [each.state for each in jobs] == ["done"] * 3
    finally:
        os.chdir(here)


def test_a_job_that_another_process_does_is_waited_for(tmp_path: Path) -> None:
    answers: Iterator[Any] = iter([Elsewhere(), Elsewhere(), [python("print('measured')")], []])

    def left() -> list[Command]:
        answer = next(answers)
        if isinstance(answer, Elsewhere):
            raise answer
        return answer

    elsewhere = Job("a", left, tmp_path / "a.log")
    other = job(tmp_path, "b", "pass")
    seen = set()
    finish([elsewhere, other], look=lambda: seen.add(elsewhere.state))
    assert seen >= {"elsewhere", "running"}
    assert (elsewhere.state, other.state) == ("done", "done")


def test_one_who_was_slower_waits_too(tmp_path: Path) -> None:
    """A command that fails because somebody else has just started the same run."""
    answers: Iterator[Any] = iter([[python("raise SystemExit(2)")], Elsewhere(), []])

    def left() -> list[Command]:
        answer = next(answers)
        if isinstance(answer, Elsewhere):
            raise answer
        return answer

    slower = Job("a", left, tmp_path / "a.log")
    finish([slower])
    assert (slower.state, slower.error) == ("done", "")


SAVES = (
    "import pathlib, signal, sys, time\n"
    "def save(*_): pathlib.Path(sys.argv[1]).write_text('saved'); sys.exit(143)\n"
    "signal.signal(signal.SIGTERM, save)\n"
    "pathlib.Path(sys.argv[1]).write_text('begun')\n"
    "while True: time.sleep(0.01)"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_nothing_else_starts(tmp_path: Path, number: int) -> None:
    notes = [tmp_path / name for name in "abc"]
    jobs = [
        Job(note.name, lambda note=note: [[*python(SAVES), str(note)]], tmp_path / "log")  # type: ignore[misc]
        for note in notes
    ]
    before = signal.getsignal(number)

    def interrupt() -> None:
        while not all(note.exists() and note.read_text() for note in notes[:2]):
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    workers = finish(jobs, places=2)
    assert workers.signal == number
    assert [each.state for each in jobs] == ["stopped", "stopped", "waiting"]
    assert [note.read_text() for note in notes[:2]] == ["saved", "saved"]
    assert not notes[2].exists()
    assert signal.getsignal(number) == before


def test_no_command_outlives_a_defect(tmp_path: Path) -> None:
    note = tmp_path / "a"

    def look() -> None:
        if note.exists() and note.read_text():
            raise RuntimeError("a defect")

    left = Job("a", lambda: [[*python(SAVES), str(note)]], tmp_path / "log")
    with pytest.raises(RuntimeError, match="a defect"):
        finish([left], look=look)
    assert note.read_text() == "saved"


def test_slots_share_gpus_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(benchmarks.jobs, "cores", lambda: 16)
    monkeypatch.setattr(benchmarks.jobs, "visible_gpus", list)
    assert slots(None) == [{}]
    assert slots(5) == [{"OMP_NUM_THREADS": "3"}] * 5
    assert slots(40) == [{"OMP_NUM_THREADS": "1"}] * 40
    monkeypatch.setattr(benchmarks.jobs, "visible_gpus", lambda: ["2", "3"])
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots(None)] == ["2", "3"]
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots(3)] == ["2", "3", "2"]
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert all("OMP_NUM_THREADS" not in slot for slot in slots(3))


def test_gpus_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert benchmarks.jobs.visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8")
    assert benchmarks.jobs.visible_gpus() == ["5", "GPU-8"]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert benchmarks.jobs.visible_gpus() == []


# The command


def test_what_is_done_is_skipped(
    bench: Bench, planned: list[Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in planned:
        folder = make_run(run)
        measure(folder)
    monkeypatch.setattr(benchmarks.jobs, "BENCH", python("raise SystemExit('error: called')"))
    code, _, err = bench("suite", "rates.toml", "--data=pictures")
    assert code == 0, err
    assert "4 done; all is trained" in err
    code, _, err = bench("suite", "rates.toml", "--data=pictures", "--seeds=3")
    assert code == 4, err
    assert "low-seed2 failed: called" in err
    assert "results/rates/logs/high-seed2.log" in err
    assert "2 of 6 failed" in err
    assert "go on with: bench suite rates.toml --data=pictures --seeds=3" in err


def test_a_dry_run_says_where_all_stands(bench: Bench, planned: list[Planned]) -> None:
    make_run(planned[2])
    measure(make_run(planned[3]))
    code, out, _ = bench("suite", "rates.toml", "--data=pictures", "--dry-run")
    assert code == 0
    # Two snapshots and three checkpoints of each, as docs/operations.md has it.
    g, d = parameter_counts("dcgan", planned[0].config.options)
    taken = 4 * (2 * 8 * g + 3 * (16 * g + 12 * d))
    assert out.splitlines() == [
        "rates: 3 waiting, 1 done; time left unknown before the first tick",
        "      seed 0        seed 1",
        "low   -             to measure",
        "high  -             done",
        f"in all: 4 runs, 0.16 kimg, about {with_prefix(taken, 'B')} of disk",
    ]
    assert not (planned[0].results / "logs").exists()


@contextmanager
def suite_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`bench suite` as a process of its own, which does not outlive a test."""
    command = [sys.executable, "-m", "benchmarks", "suite", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def starts(run: Planned) -> int:
    return len(json.loads((run.path / ENVIRONMENT).read_text()))


@pytest.mark.slow
def test_a_suite_for_real(bench: Bench, planned: list[Planned], rates: Path) -> None:
    """A broken arm is listed and the others are trained and measured, twice asked, once done."""
    rates.write_text(RATES + "\n[[arms]]\nname = 'broken'\nrun = '--device cuda'\n")
    arguments = ("suite", "rates.toml", "--data=pictures", "--seeds=1", "--jobs=2")
    code, _, err = bench(*arguments)
    assert code == 4, err
    assert "broken-seed0 failed: --device cuda" in err
    kept = {}
    for run in planned[:2]:
        assert standing(run).stage == "measured"
        assert starts(run) == 1
        kept[run.name] = (run.path / METRICS).read_bytes()
    rates.write_text(RATES)
    code, _, err = bench(*arguments)
    assert code == 0, err
    for run in planned[:2]:
        assert (run.path / METRICS).read_bytes() == kept[run.name]
    code, out, _ = bench("table", "--json", "--results=results/rates")
    rows = json.loads(out)
    assert {row["run"] for row in rows} == {"low-seed0", "high-seed0"}
    reported = {row["metric"] for row in rows if row["sample_seed"] == 1}
    assert {"fd_faces64_heldout", "recall_faces100_heldout"} <= reported


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_interrupted_is_resumed(
    planned: list[Planned], rates: Path, number: signal.Signals
) -> None:
    """By a signal to the suite, or by a kill of the training itself."""
    rates.write_text(RATES.partition('[[arms]]\nname = "high"')[0])
    flags = ["--kimg=0.8", "--snap=0.4", "--save-minutes=0", "--tick=0.02"]
    arguments = ["rates.toml", "--data=pictures", "--seeds=1", "--", *flags]
    (run,) = plan(load_suite("rates.toml"), planned[0].results, ["pictures"], 1, flags=flags)
    with suite_process(*arguments) as suite:
        while not (run.path / STATS).exists():
            assert suite.poll() is None
            time.sleep(0.1)
        if number == signal.SIGTERM:
            suite.send_signal(number)
        else:
            os.kill(child_of(suite), number)
        _, err = suite.communicate()
    status = RunDir(run.path).status["state"]
    if number == signal.SIGTERM:
        assert (suite.returncode, status) == (143, "stopped"), err
        assert f"go on with: bench suite {shlex.join(arguments)}" in err
    else:
        assert (suite.returncode, status) == (4, "killed"), err
        assert "low-seed0 failed: killed by signal 9" in err
    with suite_process(*arguments) as suite:
        _, err = suite.communicate()
    assert suite.returncode == 0, err
    assert standing(run).stage == "measured"
    assert starts(run) == 2
    ticks = [row["nimg"] for row in RunDir(run.path).rows(STATS)]
    assert ticks == sorted(set(ticks))
    assert ticks[-1] == 800


def child_of(process: subprocess.Popen[str]) -> int:
    """The process that it has started."""
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return int(found.stdout)


@pytest.mark.slow
def test_two_suites_at_once_share_the_runs(planned: list[Planned]) -> None:
    arguments = ("rates.toml", "--data=pictures", "--seeds=1")
    with suite_process(*arguments) as one, suite_process(*arguments) as other:
        for suite in (one, other):
            _, err = suite.communicate()
            assert suite.returncode == 0, err
    for run in planned[:2]:
        assert starts(run) == 1, "each is trained once"
        assert standing(run).stage == "measured"
        assert [row["nimg"] for row in RunDir(run.path).rows(STATS)] == [8, 16, 24, 32, 40]


def test_a_list_of_runs_is_kept_apart_from_runs(planned: list[Planned]) -> None:
    """Logs are in the same folder, and are no run."""
    make_run(planned[0])
    (planned[0].results / "logs").mkdir()
    write_json(planned[0].results / "logs" / "other.json", {})
    assert [run.id for run in RunDir.all(planned[0].results)] == ["low-seed0"]
