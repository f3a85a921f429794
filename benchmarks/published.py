"""Publish suites, and draw what the documents say of them.

python -m benchmarks.published results/versus results/data-size    all of them, at once
python -m benchmarks.published                                     draw again

The README's table is that of `bench report` on the runs of `versus`; the verdicts are those of
`bench claims` on all suites, corrected as one call.
"""

import re
import shutil
import sys
from pathlib import Path

import pandas as pd

from benchmarks.cli import bench
from benchmarks.commands.claims import evidence
from benchmarks.commands.table import escaped
from benchmarks.report.answer import (
    COSTS,
    DISTANCES,
    arm_row,
    effects,
    judge,
    numbers_of,
    winner,
)
from benchmarks.report.facts import gather
from benchmarks.report.parts import Cell, Row, Table
from data.files import read_json, write_json
from eval.features import unwatched
from training.run_dir import CONFIG, RunDir

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
CLAIMS = REFERENCE / "claims.csv"
TRAINING_CLAIMS = "1,2,3,8,11,12"
COLUMNS = ("best_ema", "last_ema", "last_raw", "kimg", "g_updates", "hours", "g_parameters")


def publish(run: RunDir) -> None:
    """Copy what a run recorded: no weights, no pictures, and no places on this machine."""
    folder = REFERENCE / run.path.parent.name / run.id
    folder.mkdir(parents=True, exist_ok=True)
    for file in run.path.glob("*.json*"):
        shutil.copyfile(file, folder / file.name)
    config = read_json(folder / CONFIG)
    config["data"]["path"] = config["data"]["name"]
    write_json(folder / CONFIG, config)


def headline(results: Path) -> str:
    """The runs in a folder as Markdown: a row an arm, the effects of a 2 x 2, the verdict."""
    facts = gather(results, RunDir.all(results), "cpu", unwatched)
    measures = [each for each in (*DISTANCES, *COSTS) if each.column in COLUMNS]
    numbers = numbers_of(facts)
    winners = {measure.column: winner(facts, numbers, measure) for measure in measures}
    rows = [
        arm_row(arm, numbers.loc[list(arm.counting)], measures, winners).cells for arm in facts.arms
    ]
    tables = [Table("", ["Arm", "Seeds", *(m.heading for m in measures)], [*map(Row, rows)])]
    tables += [part for part in effects(facts) if isinstance(part, Table)]
    drawn = [markdown(table, "---:") for table in tables]
    return "\n\n".join([*drawn, judge(facts).sentence])


def markdown(table: Table, rule: str = "---") -> str:
    """As GitHub reads it, all but the first column ruled so; the best of a column is bold."""
    lines = [[*table.columns], ["---", *[rule] * (len(table.columns) - 1)]]
    lines += [[in_markdown(cell) for cell in row.cells] for row in table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_markdown(cell: Cell) -> str:
    text = f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text)
    return f"{text}<br>{escaped(cell.small)}" if cell.small else text


def verdicts(claims: pd.DataFrame) -> str:
    """The table of `bench claims` as Markdown: a row a verdict, with the runs that it is of."""
    rows = []
    for row in claims.to_dict("records"):
        runs = "; ".join(row[name] for name in ("run", "note") if isinstance(row[name], str))
        judged = map(Cell, (row["claim"], row["statement"], row["verdict"]))
        rows.append(Row([*judged, Cell(evidence(row), small=runs)]))
    return markdown(Table("", ["", "the report says", "verdict", "on what"], rows))


def write(page: Path, mark: str, text: str) -> None:
    """Put it between a page's `<!-- mark -->` and `<!-- /mark -->`."""
    block = re.compile(rf"(?<=<!-- {mark} -->\n).*?(?=<!-- /{mark} -->)", re.S)
    page.write_text(block.sub(lambda _: f"{text}\n", page.read_text()))


def main(suites: list[Path]) -> None:
    if suites:
        runs = [run for suite in suites for run in RunDir.all(suite)]
        for run in runs:
            publish(run)
        arguments = ["claims", *(str(run.path) for run in runs)]
        arguments += ["--claims", TRAINING_CLAIMS, "--out", str(CLAIMS)]
        bench(arguments, "bench", standalone_mode=False)
    write(ROOT / "README.md", "headline", headline(REFERENCE / "versus"))
    write(ROOT / "docs" / "claims.md", "verdicts", verdicts(pd.read_csv(CLAIMS)))


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
