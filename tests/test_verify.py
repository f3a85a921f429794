"""`bench verify` on runs that lack one thing each, and `bench table --markdown`."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.files import read_json, write_json, write_with_digest
from data.store import Store
from tests.conftest import Bench
from tests.measured_runs import METRIC, PROTOCOL, write_run
from training.run_dir import EVENTS, METRICS, RunDir


def write_whole_run(*arguments: Any) -> RunDir:
    """A run whose raw weights were measured as its averaged ones were."""
    run = write_run(*arguments)
    for row in run.rows(METRICS):
        if row["metric"] == METRIC:
            run.append(METRICS, {**row, "weights": "raw", "batch_norm": "running"})
    return run


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """Two seeds of an arm, with everything that they need."""
    results = tmp_path_factory.mktemp("written") / "results"
    for seed in range(2):
        write_whole_run(results, store, seed, {8.0: 30.0, 16.0: 20.0})
    return results


@pytest.fixture
def results(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "results")


@pytest.fixture
def run(results: Path) -> RunDir:
    return RunDir.find(results, "00001")


def missing(bench: Bench, run: str = "00001") -> list[str]:
    """What is missing of a run, by JSON, which says no more and no less than the words do."""
    code, out, _ = bench("verify", "--json")
    found = json.loads(out)
    assert found["complete"] == (code == 0)
    words = " ".join(bench("verify")[1].split())
    for each in found["runs"]:
        assert all(" ".join(line.split()) in words for line in each["missing"])
        assert each["missing"] == [] or each["run"].startswith(run)
    return [line for each in found["runs"] for line in each["missing"]]


def test_complete_results(bench: Bench, results: Path) -> None:
    code, out, err = bench("verify")
    assert (code, err) == (0, "")
    assert out.count("complete") == 2
    assert "not finished: none" in out
    assert missing(bench) == []
    assert bench("verify", str(results))[0] == 0


def without(field: str) -> Callable[[RunDir], None]:
    """The last measurement has no such field."""

    def remove(run: RunDir) -> None:
        *others, last = run.rows(METRICS)
        rewrite(run, [*others, {name: value for name, value in last.items() if name != field}])

    return remove


def edited(name: str, *path: Any) -> Callable[[RunDir], None]:
    """A JSON file of the run without the value at a path."""

    def edit(run: RunDir) -> None:
        saved = read_json(run.path / name)
        *outer, inner = path
        place = saved
        for key in outer:
            place = place[key]
        place[inner] = None
        write_json(run.path / name, saved)

    return edit


def removed(name: str) -> Callable[[RunDir], None]:
    return lambda run: (run.path / name).unlink()


def changed(name: str, content: bytes) -> Callable[[RunDir], Any]:
    return lambda run: (run.path / name).write_bytes(content)


SNAPSHOT = "snapshots/000016000"


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (changed("config.json", b"{"), ["configuration: config.json cannot be read"]),
        (edited("config.json", "training", "seed"), ["configuration: config.json cannot be read"]),
        (edited("config.json", "data", "sha256"), ["data: dataset_sha256 of 10 of 10 rows"]),
        (edited("config.json", "data", "rows_sha256"), ["data: rows_sha256 of 10 of 10 rows"]),
        (edited("environment.json", 0, "hardware"), ["hardware: hardware of 10 of 10 rows"]),
        (
            edited("environment.json", 0, "versions", "torch"),
            ["versions: torch of 10 of 10 rows"],
        ),
        (
            removed("environment.json"),
            [
                "hardware: hardware of 10 of 10 rows",
                "versions: torch, gan_versus, python of 10 of 10 rows",
            ],
        ),
        *(
            (without(field), [f"protocol: {field} of 1 of 8 rows"])
            for field in (*PROTOCOL, "sample_seed")
        ),
        (without("weights_sha256"), ["weights: weights_sha256 of 1 of 8 rows"]),
        (changed(f"{SNAPSHOT}.safetensors", b"other"), ["is not what was written"]),
        (
            lambda run: write_with_digest(run.path / f"{SNAPSHOT}.safetensors", b"trained again"),
            ["or what was measured"],
        ),
        (removed(f"{SNAPSHOT}.safetensors"), ["000016000.safetensors or its SHA-256 cannot"]),
        (removed(f"{SNAPSHOT}.sha256"), ["000016000.safetensors or its SHA-256 cannot"]),
        (changed(f"{SNAPSHOT}.sha256", b""), ["000016000.safetensors or its SHA-256 cannot"]),
        (removed(METRICS), ["measurements: `bench fid 00001-dcgan-simple-pictures"]),
        (removed("status.json"), ["its end: it is unknown"]),
    ],
)
def test_what_is_missing_is_said(
    bench: Bench, run: RunDir, break_it: Callable[[RunDir], Any], expected: list[str]
) -> None:
    break_it(run)
    found = missing(bench)
    assert len(found) == len(expected), found
    for line, words in zip(found, expected, strict=True):
        assert words in line
    code, _, err = bench("verify")
    assert code == 3
    assert err == (
        "error: results is not complete: 1 of 2 runs lack something, and 0 seeds are there more "
        "than once\n"
    )


def test_what_a_measurement_need_not_say(bench: Bench, run: RunDir) -> None:
    """A path length is held against nothing; a value may be missing if its note says why; a
    snapshot that nobody measured may be gone."""
    (weights,) = {row["weights_sha256"] for row in run.rows(METRICS) if "value" in row}
    moment = {"nimg": 16000, "kimg": 16.0, "sample_seed": 1, "weights_sha256": weights}
    measured = {name: value for name, value in PROTOCOL.items() if "reference" not in name}
    for whose in ("ema", "raw"):
        length = {"metric": "ppl_faces_z5k", "value": 1.0, "weights": whose}
        run.append(METRICS, {**moment, **measured, **length})
    run.append(METRICS, {**moment, **PROTOCOL, "metric": METRIC, "value": None, "note": "too few"})
    (run.path / "snapshots/000012000.sha256").write_text("")
    assert missing(bench) == []


def rewrite(run: RunDir, rows: list[dict[str, Any]]) -> None:
    (run.path / METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows))


def measured_against_both(run: RunDir) -> list[dict[str, Any]]:
    """Its rows, with a twin against the training set for each, in the order of measuring."""
    rows = sorted(run.rows(METRICS), key=lambda row: row.get("sample_seed", -1))
    train = {"metric": METRIC.replace("heldout", "train"), "reference_sha256": "7" * 64}
    return [
        each for row in rows for each in ([row, row | train] if row["metric"] == METRIC else [row])
    ]


@pytest.mark.parametrize("kept", range(1, 5))
def test_measurements_that_a_kill_cut_short_are_missing(
    bench: Bench, run: RunDir, kept: int
) -> None:
    """Of the last sample that was measured, the first few of its four rows are left."""
    rows = measured_against_both(run)
    *_, last = [row for row in rows if row["metric"] != "training"]
    moment = {name: last[name] for name in ("nimg", "sample_seed")}.items()
    of_it = [row for row in rows if moment <= row.items()]
    assert len(of_it) == 4
    rewrite(run, [row for row in rows if row not in of_it[kept:]])
    found = missing(bench)
    if kept == 4:
        assert found == []
        return
    (line,) = found
    assert f"at kimg 16, sample seed 1, {4 - kept} of 4 values" in line


def test_measurements_of_averaged_weights_alone_are_not_whole(bench: Bench, run: RunDir) -> None:
    rewrite(run, [row for row in run.rows(METRICS) if row.get("weights") != "raw"])
    found = missing(bench)
    assert len(found) == 4, "two snapshots, two samples"
    assert all(f"1 of 2 values, such as {METRIC} of raw weights" in line for line in found)


def test_a_measurement_against_other_data_stands_by_itself(bench: Bench, run: RunDir) -> None:
    rows = measured_against_both(run)
    rewrite(run, rows)
    for whose in ("ema", "raw"):
        (row, *_) = [row for row in rows if row.get("weights") == whose]
        run.append(METRICS, row | {"reference_sha256": "a" * 64, "sample_seed": 5})
    assert missing(bench) == []


def test_a_measurement_that_failed_is_missing(bench: Bench, run: RunDir) -> None:
    note = "it makes no finite images"
    run.append(METRICS, {"nimg": 16000, "kimg": 16.0, "metric": "failed", "note": note})
    assert missing(bench) == [f"a measurement, which failed: {note}"]


@pytest.mark.parametrize("status", ["collapsed", "diverged", "stopped", "failed", "running"])
def test_runs_that_did_not_finish_are_listed(bench: Bench, run: RunDir, status: str) -> None:
    run.set_status(status)
    shown = "killed" if status == "running" else status  # nobody holds its lock
    code, out, _ = bench("verify")
    assert f"not finished: {run.id} ({shown})" in out
    ended = status in ("collapsed", "diverged")  # nothing can be done about those
    assert code == (0 if ended else 3)
    assert (f"its end: it is {shown}; `bench run --resume {run.id}`" in out) == (not ended)


def test_a_run_that_collapsed_and_went_on_is_listed(bench: Bench, run: RunDir) -> None:
    assert "collapsed: none" in bench("verify")[1]
    for nimg in (8000, 16000):
        run.append(EVENTS, {"event": "collapse", "nimg": nimg})
    code, out, _ = bench("verify")
    assert code == 0
    assert f"collapsed: {run.id} (times: 2)" in out
    assert "not finished: none" in out


def test_a_seed_that_an_arm_has_twice(bench: Bench, results: Path, store: Store) -> None:
    write_whole_run(results, store, 1, {16.0: 20.0}, {"loss": "hinge"})
    assert bench("verify")[0] == 0, "it is another arm's"
    write_whole_run(results, store, 1, {16.0: 20.0})
    code, out, err = bench("verify")
    assert code == 3
    line = "dcgan-simple:[0-9a-f]{8}: seed 1 of 00001-dcgan-simple-pictures and 00003-"
    assert re.search(line, out)
    assert "0 of 4 runs lack something, and 1 seeds" in err
    (again,) = json.loads(bench("verify", "--json")[1])["repeated_seeds"]
    assert again["run"] == ["00001-dcgan-simple-pictures", "00003-dcgan-simple-pictures"]


def test_without_runs_there_is_nothing_to_verify(bench: Bench) -> None:
    code, out, err = bench("verify", "nowhere")
    assert (code, out) == (3, "")
    assert err.startswith("error: there are no runs in nowhere yet")


# Markdown


def cells(line: str) -> list[str]:
    """As GitHub reads a line of a table: a bar after a backslash is no border."""
    found = re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]
    return [re.sub(r"\\([\\|`*<\[])", r"\1", cell.strip()) for cell in found]


def test_a_table_in_markdown(bench: Bench, results: Path) -> None:
    code, out, _ = bench("table", "--markdown")
    head, border, *lines = out.splitlines()
    assert code == 0
    assert cells(head)[:4] == ["run", "status", "metric", "value"]
    assert set(cells(border)) == {"---"}
    assert len(lines) == 20
    assert all(len(cells(line)) == len(cells(head)) for line in (border, *lines))
    measured = dict(zip(cells(head), cells(lines[1]), strict=True))
    assert measured["run"] == "00000-dcgan-simple-pictures"
    assert (measured["metric"], measured["value"], measured["floor"]) == (METRIC, "30", "0.2")
    assert measured["train sec"] == "28,800.0"
    assert measured["img/s"] == "-"


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "<b>a</b>", "`a`", "*a*", "[a](b)", "a  |\\"])
def test_names_stay_in_their_cells(bench: Bench, run: RunDir, name: str) -> None:
    run.append(METRICS, {**PROTOCOL, "nimg": 16000, "kimg": 16.0, "metric": name, "value": 1.0})
    head, _, *lines = bench("table", "--markdown")[1].splitlines()
    assert [len(cells(line)) for line in lines] == [len(cells(head))] * 21
    assert cells(lines[-1])[2] == " ".join(name.split())


def test_one_form_at_a_time(bench: Bench, results: Path) -> None:
    code, _, err = bench("table", "--markdown", "--csv")
    assert code == 2
    assert "exclude each other" in err
