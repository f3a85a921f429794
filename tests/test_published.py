"""What the documents say of published results is drawn from them."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.published import headline, verdicts, write
from data.store import Store
from tests.measured_runs import write_run


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
    first, second = verdicts(pd.DataFrame([tested, not_run])).splitlines()[2:]
    assert cells(first.replace("\\|", "/"))[:3] == ["2a", "A / B", "holds"]
    assert "-0.51 [-0.62, -0.4], holds below 0" in first.replace("\\", "")
    assert cells(second)[:3] == ["3c", "No progress.", "not run"]
    assert "no such run. It would cost 2 runs, 400 kimg in all, about 1.5 h" in second


def test_only_what_is_between_the_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x -->\nold\n\\1\n<!-- /x -->\nafter\n")
    write(page, "x", r"new \1")
    assert page.read_text() == "before\n<!-- x -->\nnew \\1\n<!-- /x -->\nafter\n"
