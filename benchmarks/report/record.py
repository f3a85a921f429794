"""The sections to check by: attributes, claims, protocol, commands, limits, the table itself."""

import gzip
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.commands.claims import cost_in_words
from benchmarks.report.answer import numbers_of
from benchmarks.report.facts import Arm, Facts
from benchmarks.report.numbers import NOTHING, mean, short
from benchmarks.report.parts import (
    Bullets,
    Cell,
    Code,
    Columns,
    Download,
    Part,
    Row,
    Section,
    Table,
    Text,
)
from benchmarks.report.pictures import data_uri
from benchmarks.report.reproduce import asked_for, measuring_command, training_command
from data.errors import UserError
from eval.compare import ENOUGH

JS = r"js_(?P<attribute>.+)_faces\d.*_(heldout|train|all)"
FORMULAE = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet computes
CLAIM_COLUMNS = ("claim", "statement", "source", "verdict", "value", "low", "high")
CLAIM_NUMBERS = ("value", "low", "high", "cost_runs", "cost_kimg", "cost_hours")
PROTOCOL = {
    "extractor": "Features of",
    "extractor_sha256": "SHA-256 of these",
    "feature_precision": "Precision",
    "resize": "Images resized",
    "reference": "Held against",
    "reference_sha256": "SHA-256 of that",
    "reference_images": "Images of it",
    "fakes": "Fakes",
    "psi": "Psi",
    "batch_norm": "Batch norm",
    "sample_seed": "Sample seeds",
}
ENVIRONMENT = (
    "hardware",
    "torch",
    "gan_versus",
    "python",
    "precision",
    "memory_format",
    "compile",
    "ops",
)


def attributes_section(facts: Facts) -> Section:
    title = "Attribute fidelity"
    found = divergences(facts)
    if found.empty:
        return Section(
            "attributes",
            title,
            "Left out: no divergence of attributes has been measured. `bench eval RUN --metrics "
            "js5k` does it.",
        )
    arms = [arm.name for arm in facts.arms if arm.name in found]
    rows = [attribute_row(str(name), found.loc[name], arms) for name in found.index]
    lead = (
        "Jensen-Shannon divergence between fakes and real images of each attribute that `faces` "
        "reads, in bits: 0 is the same spread, 1 has nothing in common. The newest snapshot, "
        "averaged weights; means over seeds, bold is the least. The floor is what as many other "
        "real images get."
    )
    columns = ["Attribute", *(f"{arm}\N{NO-BREAK SPACE}↓" for arm in arms), "Floor"]
    half = -(-len(rows) // 2)
    tables = [
        Table(f"Divergence in bits: {words}", columns, some, "numeric dense")
        for words, some in (("the worst half", rows[:half]), ("the better half", rows[half:]))
        if some
    ]
    return Section("attributes", title, lead, [Columns(tables)])


def attribute_row(name: str, values: "pd.Series[float]", arms: Sequence[str]) -> Row:
    bits = [float(values[arm]) for arm in arms]
    known = {value for value in bits if not math.isnan(value)}
    least = min(known) if len(known) > 1 else None
    cells = [Cell(fixed(value), best=value == least) for value in bits]
    return Row([Cell(name.replace("_", " ")), *cells, Cell(fixed(values["floor"]))])


def fixed(bits: float) -> str:
    return NOTHING if math.isnan(bits) else f"{bits:.3f}"


def divergences(facts: Facts) -> pd.DataFrame:
    """Bits by attribute and arm, and the floor; the largest mean first."""
    table = facts.table
    said = table["metric"].astype(str).str.extract(JS)
    rows = table.assign(attribute=said["attribute"], part=said[1])
    rows = rows[rows["attribute"].notna() & rows["value"].notna() & (rows["weights"] == "ema")]
    rows = rows[rows["part"] == rows["part"].min()]  # all, held out, or what was trained on
    if rows.empty:
        return pd.DataFrame()
    rows = rows.sort_values(["kimg", "sample_seed"]).drop_duplicates(
        ["run", "attribute"], keep="last"
    )
    columns = {}
    for arm in facts.arms:
        mine = rows[rows["run"].isin(arm.counting)]
        if len(mine):
            columns[arm.name] = mine.groupby("attribute")["value"].mean()
    found = pd.DataFrame(columns)
    order = found.mean(axis=1).sort_values(ascending=False, kind="stable").index
    floor = rows.groupby("attribute")["floor"].median().rename("floor")
    return found.loc[order].join(floor)


def claims_section(facts: Facts) -> Section:
    title = "Claims and verdicts"
    path = facts.results / "claims.csv"
    try:
        claims = pd.read_csv(path, dtype={"claim": str, "source": str})
        absent = [column for column in CLAIM_COLUMNS if column not in claims]
    except (OSError, ValueError):
        claims, absent = pd.DataFrame(), ["claims"]
    if absent:
        lead = f"Left out: {path} is not there, or no table of claims. `bench claims` writes it."
        return Section("claims", title, lead)
    numbers = [name for name in CLAIM_NUMBERS if name in claims]
    claims[numbers] = claims[numbers].apply(pd.to_numeric, errors="coerce")
    rows = [claim_row(row) for row in claims.to_dict("records")]
    lead = (
        "What the source reports say, held against runs here. Intervals are of 95%; p values are "
        "corrected for how many claims were tested (Holm)."
    )
    columns = ["Claim", "What it says, and how it was measured", "Verdict", "Measured"]
    table = Table("Claims of the sources", columns, rows, style="words")
    return Section("claims", title, lead, [table])


def claim_row(row: Mapping[Any, Any]) -> Row:
    said = {name: "" if pd.isna(value) else str(value) for name, value in row.items()}
    if said["verdict"] == "not run":
        number, small = NOTHING, f"{said.get('reason', '')}. {cost(row)}"
    else:
        values = [short(float(row[name]), 3) for name in ("value", "low", "high")]
        number, small = f"{values[0]} [{values[1]}, {values[2]}]", said.get("measured", "")
    return Row(
        [
            Cell(said["claim"], small=f"source {said['source']}"),
            Cell(said["statement"], small=small),
            Cell(said["verdict"], best=said["verdict"] == "holds", small=said.get("run", "")),
            Cell(number, small=said.get("quantity", "")),
        ]
    )


def cost(row: Mapping[Any, Any]) -> str:
    try:
        return f"{cost_in_words(row)}."
    except (KeyError, TypeError, ValueError):
        return ""


def protocol_section(facts: Facts) -> Section:
    parts: list[Part] = []
    if facts.headline is not None:
        rows = facts.headline.rows
        said = [
            Row([Cell(words), Cell(values_of(rows[column]))]) for column, words in PROTOCOL.items()
        ]
        caption = f"How {facts.headline.metric} was measured"
        parts.append(Table(caption, ["What", "Value"], said, style="words"))
    columns = ["Run", "Data", "Seed", *(name.replace("_", " ") for name in ENVIRONMENT)]
    runs = [environment_row(arm, run) for arm in facts.arms for run in arm.runs]
    parts.append(Table("What each run was trained on, and with", columns, runs, style="words"))
    return Section("protocol", "Protocol and environment", "", parts)


def environment_row(arm: Arm, run: str) -> Row:
    rows = arm.rows[arm.rows["run"] == run]
    data = f"{short(rows['images'].iloc[0])} images of {values_of(rows['dataset'])}"
    sha = f"SHA-256 {str(rows['dataset_sha256'].iloc[0])[:12]}"
    cells = [Cell(values_of(rows[name])) for name in ("seed", *ENVIRONMENT)]
    return Row([Cell(run, arm=arm.index), Cell(data, small=sha), *cells])


def values_of(column: "pd.Series[Any]") -> str:
    """What a column has, each once."""
    found = [
        short(value, 12) if isinstance(value, float) else str(value)
        for value in column.dropna().unique()
        if str(value)
    ]
    return ", ".join(found) or NOTHING


def reproduce_section(facts: Facts) -> Section:
    parts: list[Part] = []
    for arm in facts.arms:
        for name, run in arm.runs.items():
            rows = arm.rows[(arm.rows["run"] == name) & arm.rows["value"].notna()]
            metrics = [*rows["metric"].astype(str).unique()]
            try:
                lines = [training_command(run), measuring_command(run, metrics)]
            except (UserError, KeyError, TypeError) as error:
                parts.append(Text(f"{name} cannot be repeated: {error}.", "note"))
                continue
            parts.append(Code(name, [line for line in lines if line], arm.index))
            if others := [metric for metric in metrics if not asked_for(metric)]:
                said = f"{', '.join(others)}: by an extractor that `--extractor FILE` names."
                parts.append(Text(said, "note"))
    lead = (
        "With the same machine, versions and number of threads, a run repeats to the last bit on "
        "a CPU. The commands write into a folder beside this one, under the same names: in this "
        "one they would only find that all is done."
    )
    return Section("reproduce", "The exact commands", lead, parts)


def limits_section(facts: Facts) -> Section:
    return Section("limits", "What this does not show", "", [Bullets(limits(facts))])


def limits(facts: Facts) -> list[str]:
    """What a careful reader would object, the particular before the general."""
    said = []
    few = [arm for arm in facts.arms if len(arm.counting) < ENOUGH]
    if few:
        counts = ", ".join(f"{arm.name} {len(arm.counting)}" for arm in few)
        said.append(
            f"How much depends on luck: fewer than {ENOUGH} training seeds ({counts}) leave wide "
            "intervals, and one seed leaves none."
        )
    unfinished = [
        f"{run} ({status})"
        for run, status in facts.table.drop_duplicates("run")[["run", "status"]].itertuples(
            index=False
        )
        if status != "finished"
    ]
    if unfinished:
        said.append(f"What unfinished runs would have come to: {', '.join(unfinished)}.")
    lengths = {arm.name: mean(list(arm.rows.groupby("run")["kimg"].max())) for arm in facts.arms}
    if len({round(length, 3) for length in lengths.values() if length}) > 1:
        told = ", ".join(f"{name} {short(length)}" for name, length in lengths.items())
        said.append(f"A comparison at equal length: arms were trained for different kimg ({told}).")
    if facts.headline is not None and not facts.headline.metric.startswith("fid"):
        said.append(
            f"FID: {facts.headline.metric} is measured in other features, and compares with no "
            "published FID."
        )
    if facts.headline is not None and "_heldout" not in facts.headline.metric:
        said.append("Generalisation: the distance is not to held-out images.")
    sets = facts.table["dataset"].dropna().unique()
    data = f"one data set, {sets[0]}" if len(sets) == 1 else "these data sets"
    return [
        *said,
        f"Other images: everything here is of {data}, at 64 pixels a side.",
        "Other settings: each arm is one choice of options, and no arm was tuned for this.",
        "Beauty: a distance of features follows what its extractor sees, and the pictures are of "
        "one seed an arm.",
        "Cost elsewhere: hours, images a second and memory are of the hardware named above.",
    ]


def download_section(facts: Facts) -> Section:
    """The comparison a run a row, for a spreadsheet; and every measurement, which is long."""
    runs, everything = (as_csv(table) for table in (numbers_of(facts), facts.table))
    packed = gzip.compress(everything, mtime=0)  # the same page at any time
    parts = [
        Download(
            "comparison.csv, a row for each run", "comparison.csv", data_uri("text/csv", runs)
        ),
        Download(
            f"results.csv.gz, {len(facts.table):,} rows of every column",
            "results.csv.gz",
            data_uri("application/gzip", packed),
        ),
    ]
    lead = "Every measurement of every run here, as `bench table --csv` has it."
    return Section("download", "The tables", lead, parts)


def as_csv(table: pd.DataFrame) -> bytes:
    return guarded(table).to_csv(index=False, lineterminator="\n").encode()


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before texts that a spreadsheet would take for formulae."""

    def guard(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAE) else value

    return table.map(guard)
