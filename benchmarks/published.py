"""Publish suites, and draw what the documents say of them.

python -m benchmarks.published results/versus    copy a suite's runs, judge the claims, and draw
python -m benchmarks.published                   judge and draw again

The README's table and verdict are those of `bench report` on the published runs of `versus`; the
verdicts on claims are those of `bench claims` on all published runs, corrected as one call.
"""

import contextlib
import re
import shutil
import sys
from pathlib import Path

import pandas as pd

from benchmarks.cli import bench
from benchmarks.commands.claims import evidence
from benchmarks.report.answer import COSTS, DISTANCES, compared, headings, judge
from benchmarks.report.facts import gather
from benchmarks.report.parts import Cell, Row
from data.files import read_json, write_json
from eval.features import unwatched
from training.run_dir import CONFIG, RunDir

ROOT = Path(__file__).parents[1]
REFERENCE = Path("results/reference")  # below the root, where all of this happens
CLAIMS = REFERENCE / "claims.csv"
NUMBERS = "1,2,3,8,11,12"  # the claims on training; the others look at one network
COLUMNS = ("best_ema", "last_ema", "last_raw", "kimg", "g_updates", "hours", "g_parameters")


def publish(suite: Path) -> None:
    """Copy what a suite's runs recorded: no weights, no pictures, no places on this machine.

    Raises:
        MissingError: `bench verify` misses something in them, or there are none.
    """
    bench(["verify", str(suite)], standalone_mode=False)
    shutil.rmtree(REFERENCE / suite.name, ignore_errors=True)
    for run in RunDir.all(suite):
        folder = REFERENCE / suite.name / run.id
        folder.mkdir(parents=True)
        for file in run.path.glob("*.json*"):
            shutil.copyfile(file, folder / file.name)
        config = read_json(folder / CONFIG)
        config["data"]["path"] = config["data"]["name"]
        write_json(folder / CONFIG, config)


def judge_claims(out: Path) -> None:
    """Hold the claims against all published runs."""
    runs = [str(path.parent) for path in sorted(REFERENCE.glob(f"*/*/{CONFIG}"))]
    bench(["claims", *runs, "--claims", NUMBERS, "--out", str(out)], standalone_mode=False)


def headline(results: Path) -> str:
    """The runs in a folder as Markdown: a row an arm, the verdict, and what to know of it."""
    facts = gather(results, RunDir.all(results), "cpu", unwatched)
    measures = [each for each in (*DISTANCES, *COSTS) if each.column in COLUMNS]
    table = markdown(headings(measures), [*compared(facts, measures, runs=False)], "---:")
    judged = judge(facts)
    return "\n".join([table, "", *(f"- {line}" for line in (judged.sentence, *judged.notes))])


def verdicts(claims: pd.DataFrame) -> str:
    """The table of `bench claims` as Markdown: a row a verdict, with the runs that it is of."""
    rows = []
    for row in claims.to_dict("records"):
        runs = "; ".join(row[name] for name in ("run", "note") if isinstance(row[name], str))
        judged = map(Cell, (row["claim"], row["statement"], row["verdict"]))
        rows.append(Row([*judged, Cell(evidence(row), small=runs)]))
    return markdown(["", "the report says", "verdict", "on what"], rows, "---")


def markdown(columns: list[str], rows: list[Row], rule: str) -> str:
    """As GitHub reads it, all but the first column ruled so; the best of a column is bold."""
    lines = [columns, ["---", *[rule] * (len(columns) - 1)]]
    lines += [[in_markdown(cell) for cell in row.cells] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_markdown(cell: Cell) -> str:
    """The text of a cell is ours: it may have code in it, and only a bar would end it early."""
    text = f"**{cell.text}**" if cell.best else cell.text
    return "<br>".join(filter(None, [text, cell.small])).replace("|", "\\|")


def write(page: Path, mark: str, text: str) -> None:
    """Put it between a page's `<!-- mark -->` and `<!-- /mark -->`."""
    block = re.compile(rf"(?<=<!-- {mark} -->\n).*?(?=<!-- /{mark} -->)", re.S)
    written, count = block.subn(lambda _: f"{text}\n", page.read_text())
    assert count == 1, f"{page} has {count} blocks between marks of {mark}"
    page.write_text(written)


def main(suites: list[Path]) -> None:
    with contextlib.chdir(ROOT):
        for suite in suites:
            publish(suite)
        judge_claims(CLAIMS)
        write(Path("README.md"), "headline", headline(REFERENCE / "versus"))
        write(Path("docs/claims.md"), "verdicts", verdicts(pd.read_csv(CLAIMS)))


if __name__ == "__main__":
    main([Path(argument).resolve() for argument in sys.argv[1:]])
