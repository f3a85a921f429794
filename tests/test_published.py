"""What the documents say of published results is drawn from them."""

from pathlib import Path

import pandas as pd
import pytest

import benchmarks.published
from benchmarks.published import CLAIMS, REFERENCE, ROOT, headline, publish, verdicts, write
from data.store import Store
from tests.measured_runs import write_run
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
    table, sentence = headline(results).split("\n\n")
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


def test_what_is_published_has_the_numbers_and_no_weights_and_no_places(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarks.published, "REFERENCE", tmp_path / "reference")
    for run in RunDir.all(results):
        publish(run)
        copied = RunDir(tmp_path / "reference" / results.name / run.id)
        assert copied.rows(METRICS) == run.rows(METRICS)
        assert copied.config.data["sha256"] == run.config.data["sha256"]
        assert not copied.snapshots
    files = [path for path in (tmp_path / "reference").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if str(tmp_path) in path.read_text()]


def test_the_documents_show_what_is_published() -> None:
    drawn = {
        "README.md": headline(REFERENCE / "versus"),
        "docs/claims.md": verdicts(pd.read_csv(CLAIMS)),
    }
    for page, text in drawn.items():
        assert f" -->\n{text}\n<!-- /" in (ROOT / page).read_text(), page
