"""Draw what the documents say of published results from the files in `results/reference`.

python -m benchmarks.published

The README's table is that of `bench report` on the same runs, the verdicts are `bench claims`'s.
"""

import re
from pathlib import Path

import pandas as pd

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
from eval.features import unwatched
from training.run_dir import RunDir

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
COLUMNS = ("best_ema", "last_ema", "last_raw", "kimg", "g_updates", "hours", "g_parameters")


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
    return "\n\n".join([*map(markdown, tables), judge(facts).sentence])


def markdown(table: Table) -> str:
    """As GitHub reads it; the best of a column is bold."""
    lines = [[*table.columns], ["---", *["---:"] * (len(table.columns) - 1)]]
    lines += [[in_markdown(cell) for cell in row.cells] for row in table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_markdown(cell: Cell) -> str:
    text = f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text)
    return f"{text}<br>{escaped(cell.small)}" if cell.small else text


def verdicts(claims: pd.DataFrame) -> str:
    """The table of `bench claims` as Markdown: a row a verdict."""
    rows = [
        Row([*map(Cell, (row["claim"], row["statement"], row["verdict"], evidence(row)))])
        for row in claims.to_dict("records")
    ]
    return markdown(Table("", ["", "the report says", "verdict", "on what"], rows))


def write(page: Path, mark: str, text: str) -> None:
    """Put it between a page's `<!-- mark -->` and `<!-- /mark -->`."""
    block = re.compile(rf"(?<=<!-- {mark} -->\n).*?(?=<!-- /{mark} -->)", re.S)
    page.write_text(block.sub(lambda _: f"{text}\n", page.read_text()))


if __name__ == "__main__":
    write(ROOT / "README.md", "headline", headline(REFERENCE / "versus"))
    claims = pd.read_csv(REFERENCE / "claims.csv")
    write(ROOT / "docs" / "claims.md", "verdicts", verdicts(claims))
