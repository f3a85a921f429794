"""What the documents say of published results is drawn from them."""

import contextlib
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.published import (
    CLAIMS,
    REFERENCE,
    ROOT,
    headline,
    judge_claims,
    publish,
    verdicts,
    write,
)
from data.errors import MissingError
from data.store import Store
from tests.measured_runs import write_run
from tests.test_verify import write_whole_run
from training.run_dir import METRICS, RunDir


@pytest.fixture
def results(tmp_path: Path, store: Store) -> Path:
    """Two arms of two seeds each, one of which is better on average by 20."""
    for seed in range(2):
        write_run(tmp_path, store, seed, {1.0: 40 + 2 * seed, 2.0: 50 + 2 * seed})
        write_run(tmp_path, store, seed, {1.0: 80 + 2 * seed, 2.0: 70 + 2 * seed}, {"lr_g": 1e-3})
    return tmp_path


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_row_an_arm_with_the_best_in_bold(results: Path) -> None:
    table, words = headline(results).split("\n\n")
    sentence = words.splitlines()[0].removeprefix("- ")
    lines = table.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    columns, rule, *arms = map(cells, lines)
    better, worse = (dict(zip(columns, arm, strict=True)) for arm in arms)
    assert rule == ["---", *["---:"] * (len(columns) - 1)]
    # By hand: of 50 and 52 the mean is 51, the standard deviation the root of 2.
    assert better["Last, EMA ↓"] == "**51**<br>± 1.4 at kimg 2"
    assert better["Best, EMA ↓"] == "**41**<br>± 1.4 at kimg 1"
    assert worse["Last, EMA ↓"] == worse["Best, EMA ↓"] == "71<br>± 1.4 at kimg 2"
    assert better["Last, raw ↓"] == worse["Last, raw ↓"] == "-"
    assert (better["Seeds"], better["kimg"], better["Hours ↓"]) == ("2", "2", "2<br>± 0")
    # Welch by hand: 20 +- t(0.975, 2) * root 2, and t is 4.3027.
    assert sentence.startswith("Provisional: ")
    assert "by 20.0 [13.9, 26.1] " in sentence


def test_verdicts_say_what_they_rest_on_or_would_cost() -> None:
    tested = {
        "claim": "2a",
        "statement": "A | B",
        "verdict": "holds",
        "quantity": "hours",
        "value": -0.51,
        "low": -0.62,
        "high": -0.4,
        "holds_if": "below",
        "threshold": 0.0,
        "p": 0.001,
        "p_holm": 0.01,
    }
    not_run = {
        "claim": "3c",
        "statement": "No progress.",
        "verdict": "not run",
        "reason": "no such run",
        "cost_runs": 2,
        "cost_kimg": 400,
        "cost_hours": 1.5,
    }
    of_runs = {"run": "a-seed0, a-seed1", "note": "6 and 7 h"}
    first, second = verdicts(pd.DataFrame([tested | of_runs, not_run])).splitlines()[2:]
    assert cells(first.replace("\\|", "/"))[:3] == ["2a", "A / B", "holds"]
    assert "-0.51 [-0.62, -0.4], holds below 0" in first.replace("\\", "")
    assert first.endswith("<br>a-seed0, a-seed1; 6 and 7 h |")
    assert cells(second)[:3] == ["3c", "No progress.", "not run"]
    assert "no such run. It would cost 2 runs, 400 kimg in all, about 1.5 h" in second


def test_only_what_is_between_the_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x -->\nold\n\\1\n<!-- /x -->\nafter\n")
    write(page, "x", r"new \1")
    assert page.read_text() == "before\n<!-- x -->\nnew \\1\n<!-- /x -->\nafter\n"


class TestPublishing:
    @pytest.fixture
    def suite(self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Two runs of an arm, below the root that `publish` is called in."""
        monkeypatch.chdir(tmp_path)
        for seed in range(2):
            write_whole_run(tmp_path / "suite", store, seed, {1.0: 40.0})
        return tmp_path / "suite"

    def test_it_has_all_numbers_and_no_weights(self, suite: Path) -> None:
        publish(suite)
        for run in RunDir.all(suite):
            copied = RunDir(REFERENCE / "suite" / run.id)
            assert copied.rows(METRICS) == run.rows(METRICS)
            assert copied.config.data["sha256"] == run.config.data["sha256"]
            assert not copied.snapshots

    def test_it_tells_no_places(self, suite: Path, store: Store) -> None:
        places = {str(store.folder.resolve()), str(suite.parent)}
        config = (RunDir.all(suite)[0].path / "config.json").read_text()
        assert any(place in config for place in places)
        publish(suite)
        files = [path for path in REFERENCE.rglob("*") if path.is_file()]
        assert files
        assert not [path for path in files for place in places if place in path.read_text()]

    def test_runs_that_have_gone_go(self, suite: Path) -> None:
        (REFERENCE / "suite" / "gone").mkdir(parents=True)
        publish(suite)
        assert not (REFERENCE / "suite" / "gone").exists()

    def test_what_is_not_complete_is_not_published(self, suite: Path, tmp_path: Path) -> None:
        for path in suite.glob("*/snapshots/*.safetensors"):
            path.write_bytes(b"others")
        with pytest.raises(MissingError, match="not complete"):
            publish(suite)
        with pytest.raises(MissingError, match="no runs"):
            publish(tmp_path / "nothing")
        assert not REFERENCE.exists()


def test_the_documents_show_what_is_published(tmp_path: Path) -> None:
    with contextlib.chdir(ROOT):
        judge_claims(tmp_path / "claims.csv")
        again, published = pd.read_csv(tmp_path / "claims.csv"), pd.read_csv(CLAIMS)
        pd.testing.assert_frame_equal(again, published, rtol=1e-6)
        drawn = {
            "README.md": headline(REFERENCE / "versus"),
            "docs/claims.md": verdicts(published),
        }
        for page, text in drawn.items():
            assert f" -->\n{text}\n<!-- /" in Path(page).read_text(), page
