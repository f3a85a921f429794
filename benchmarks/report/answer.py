"""The sections that answer: the verdict, the numbers, and how they came about."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks.recipe import load_recipe, recipe_names
from benchmarks.report.charts import Line, draw
from benchmarks.report.facts import FINISHED, Arm, Facts, Headline
from benchmarks.report.flops import MEANING, flops_per_image
from benchmarks.report.numbers import NOTHING, mean, short, span, spread, with_prefix
from benchmarks.report.parts import (
    Cell,
    Chart,
    Columns,
    Heading,
    Judgement,
    Key,
    Part,
    Row,
    Section,
    Table,
    Text,
)
from data.errors import UserError
from eval.compare import REPORT_SEED, RULE, SELECTION_SEED, at_hours, best, last, verdict
from eval.welch import factorial

DESIGN = re.compile(r"versus-2x2-(?P<network>[^-]+)-(?P<training>.+)")
Levels = tuple[str, str]  # a network and a training
FEWEST = 2  # values of each cell, below which an effect has no interval
ONE, OTHER = 4, 6  # the colours of G and D, of reals and fakes: not those of the first arms
CURVES = {
    "loss": ("Loss", {"loss_g": ("G", ONE), "loss_d": ("D", OTHER)}),
    "score": ("D's probability of real", {"d_real": ("reals", ONE), "d_fake": ("fakes", OTHER)}),
    "logit": ("D's score", {"logit_real": ("reals", ONE), "logit_fake": ("fakes", OTHER)}),
}
CAVEAT = (
    "Rows of what was published are a source's own numbers, by its own protocol (other features, "
    "other counts and sets of images): they are there to be seen, not to be ranked."
)


def verdict_section(facts: Facts) -> Section:
    return Section("verdict", "The verdict", parts=[judge(facts)])


def judge(facts: Facts) -> Judgement:
    """What `eval.compare` says of the two best arms, or why nothing can be said."""
    ranked = ranking(facts)
    if not ranked or facts.headline is None:
        sentence = (
            "No verdict: no distance to real images has been measured on the last snapshot of any "
            "run. `bench fid RUN --snapshot all` measures it."
        )
        return Judgement("no verdict", sentence, [], RULE)
    if len(ranked) == 1:
        value = short(mean(last_values(facts.headline, ranked[0])))
        sentence = (
            f"No verdict: {ranked[0].name} alone has been measured ({facts.headline.metric} "
            f"{value}), and a comparison takes two."
        )
        return Judgement("no verdict", sentence, [], RULE)
    a, b = (arm.side for arm in ranked[:2])
    try:
        found = verdict(a, b, facts.headline.metric)
    except UserError as error:
        return Judgement("no verdict", f"No verdict: {error}.", [], RULE)
    notes = [*effect_notes(facts), *found.notes]
    hours = common_hours([*ranked[:2]])
    try:
        equal = verdict(a, b, facts.headline.metric, f"{hours:.4f}h")
        notes.append(f"At equal hours of training, {hours:.3g} h: {equal.sentence}")
    except UserError as error:
        notes.append(f"At equal hours of training nothing can be said: {error}.")
    if len(facts.arms) > 2:
        notes.append(
            f"Of {len(facts.arms)} arms, the two with the best means are compared; because they "
            "were chosen by those, the interval is narrower than it should be."
        )
    return Judgement(found.status, found.sentence, notes, RULE)


def ranking(facts: Facts) -> list[Arm]:
    """The arms that have a last measurement, the best mean first."""
    if facts.headline is None:
        return []
    means = [(mean(last_values(facts.headline, arm)), arm.index) for arm in facts.arms]
    return [facts.arms[index] for value, index in sorted((v, i) for v, i in means if v is not None)]


def last_values(headline: Headline, arm: Arm) -> list[float]:
    """The last measurement of each run that counts, on the sample that is reported."""
    rows = [last(headline.of(run)) for run in arm.counting]
    return [float(value) for found in rows for value in found["value"]]


def common_hours(arms: Iterable[Arm]) -> float:
    """The training that the shortest run had, rounded up."""
    lengths = [arm.rows.groupby("run")["train_sec"].max().loc[list(arm.counting)] for arm in arms]
    return float(pd.concat(lengths).min()) / 3600 + 5e-5


# The table


def mean_text(values: Sequence[float]) -> str:
    return short(mean(values))


def hour_text(values: Sequence[float]) -> str:
    return short(mean(values), 3)


def flop_text(values: Sequence[float]) -> str:
    return with_prefix(mean(values), "FLOP")


def byte_text(values: Sequence[float]) -> str:
    return with_prefix(mean(values), "B")


def count_text(values: Sequence[float]) -> str:
    return with_prefix(mean(values), "")


@dataclass(frozen=True)
class Measure:
    """A column of the comparison.

    Attributes:
        column: of `numbers_of`; where there is `COLUMN_kimg`, it stands below.
        text: of the values of an arm.
        better: -1 where less is better, 1 where more is, 0 where neither.
        grows: with the length of training, so that only runs of one length compare.
        spread: the standard deviation over seeds stands below.
        below: a column whose text stands below, with these words.
    """

    name: str
    column: str
    text: Callable[[Sequence[float]], str] = mean_text
    better: int = 0
    grows: bool = False
    spread: bool = False
    below: tuple[str, str] | None = None

    @property
    def heading(self) -> str:
        return self.name + {-1: "\N{NO-BREAK SPACE}↓", 0: "", 1: "\N{NO-BREAK SPACE}↑"}[self.better]


DISTANCES = (
    Measure("Best, EMA", "best_ema", better=-1, spread=True),
    Measure("Best, raw", "best_raw", better=-1, spread=True),
    Measure("Last, EMA", "last_ema", better=-1, spread=True),
    Measure("Last, raw", "last_raw", better=-1, spread=True),
)
COSTS = (
    Measure("kimg", "kimg", span),
    Measure("G updates", "g_updates", span),
    Measure("FLOPs", "flops", flop_text, -1, grows=True),
    Measure("Hours", "hours", hour_text, -1, grows=True, spread=True),
    Measure("Images/s", "images_per_sec", better=1, spread=True),
    Measure("Memory", "peak_memory_bytes", byte_text, -1),
    Measure("Parameters", "g_parameters", count_text, below=("d_parameters", "D")),
)


def comparison_section(facts: Facts) -> Section:
    measures = [*(DISTANCES if facts.headline else ()), *COSTS]
    rows = [*compared(facts, measures)]
    rows += published_rows(facts, len(measures) + 1)
    metric = f"the distance is {facts.headline.metric}" if facts.headline else "none is measured"
    caption = (
        f"Arms, their runs, and what sources published; {metric}. Arrows say which way is better, "
        "bold is the best arm."
    )
    parts = [Table(caption, headings(measures), rows), *table_notes(facts), *effects(facts)]
    return Section("comparison", "Comparison", parts=parts)


def headings(measures: Iterable[Measure]) -> list[str]:
    return ["Arm", "Seeds", *(measure.heading for measure in measures)]


def compared(facts: Facts, measures: Sequence[Measure], runs: bool = True) -> Iterator[Row]:
    """A row an arm, and below it one for each of its runs, if there are several."""
    numbers = numbers_of(facts)
    winners = {measure.column: winner(facts, numbers, measure) for measure in measures}
    for arm in facts.arms:
        yield arm_row(arm, numbers.loc[list(arm.counting)], measures, winners)
        if runs and len(arm.runs) > 1:
            yield from (run_row(arm, numbers.loc[[run]], measures) for run in arm.runs)


def numbers_of(facts: Facts) -> pd.DataFrame:
    """What the comparison is made of, a row for each run."""
    rows = [
        {"arm": arm.name, "run": run, **numbers_of_run(facts.headline, arm, run)}
        for arm in facts.arms
        for run in arm.runs
    ]
    columns = ["arm", "run", *(each.column for each in (*DISTANCES, *COSTS)), "d_parameters"]
    return pd.DataFrame(rows, columns=None if rows else columns).set_index("run", drop=False)


def numbers_of_run(headline: Headline | None, arm: Arm, run: str) -> dict[str, Any]:
    rows = arm.rows[arm.rows["run"] == run].sort_values("kimg")
    # A run's newest record has what it cost; the metrics of a snapshot came after it.
    costs = {
        name: float(known.iloc[-1]) if len(known := rows[name].dropna()) else math.nan
        for name in ("kimg", "g_updates", "train_sec", "images_per_sec", "peak_memory_bytes")
    }
    nimg = round(costs["kimg"] * 1000) if costs["kimg"] > 0 else 0
    config = arm.runs[run].config
    found: dict[str, Any] = {
        "status": rows["status"].iloc[0],
        "seed": rows["seed"].iloc[0],
        **costs,
        "hours": costs["train_sec"] / 3600,
        "flops": flops_per_image(config.model, config.options, nimg) * nimg or math.nan,
        "g_parameters": rows["g_parameters"].iloc[0],
        "d_parameters": rows["d_parameters"].iloc[0],
    }
    for when, pick in (("best", best), ("last", last)):
        for weights in ("ema", "raw"):
            chosen = pick(headline.of(run, weights)) if headline else pd.DataFrame()
            found[f"{when}_{weights}"] = chosen["value"].iloc[0] if len(chosen) else math.nan
            found[f"{when}_{weights}_kimg"] = chosen["kimg"].iloc[0] if len(chosen) else math.nan
    return found


def winner(facts: Facts, numbers: pd.DataFrame, measure: Measure) -> float | None:
    """The best mean of a column over arms: None where there is no contest."""
    arms = [numbers.loc[list(arm.counting)] for arm in facts.arms]
    means = {found for arm in arms if (found := mean([*arm[measure.column]])) is not None}
    unequal = measure.grows and len({mean([*arm["kimg"]]) for arm in arms}) > 1
    if not measure.better or unequal or len(means) < 2:
        return None
    return max(means) if measure.better > 0 else min(means)


def arm_row(
    arm: Arm,
    numbers: pd.DataFrame,
    measures: Sequence[Measure],
    winners: Mapping[str, float | None],
) -> Row:
    cells = []
    for measure in measures:
        wins = winners[measure.column] is not None
        wins = wins and mean([*numbers[measure.column]]) == winners[measure.column]
        cells.append(cell_of(numbers, measure, wins))
    only = next(iter(arm.runs))
    small = f"{only}{status_of(arm, only)}" if len(arm.runs) == 1 else ""
    heading = Cell(arm.name, small=small, arm=arm.index)
    return Row([heading, Cell(str(len(arm.counting))), *cells], "arm")


def run_row(arm: Arm, numbers: pd.DataFrame, measures: Sequence[Measure]) -> Row:
    """One of several seeds."""
    run = str(numbers["run"].iloc[0])
    cells = [cell_of(numbers, measure) for measure in measures]
    seed = Cell(f"seed {short(numbers['seed'].iloc[0], 20)}")
    return Row([Cell(f"{run}{status_of(arm, run)}"), seed, *cells], "run")


def cell_of(numbers: pd.DataFrame, measure: Measure, wins: bool = False) -> Cell:
    values = [*numbers[measure.column]]
    small = []
    if measure.spread and (deviation := spread(values)) is not None:
        small.append(f"± {short(deviation, 2)}")
    if f"{measure.column}_kimg" in numbers and mean(values) is not None:
        known = numbers[f"{measure.column}_kimg"].dropna()
        small.append(f"at kimg {span([*known])}")
        if len(known) < len(values):
            small.append(f"({len(known)} of {len(values)} runs)")
    if measure.below:
        column, words = measure.below
        small.append(f"{words} {measure.text([*numbers[column]])}")
    # A line each, where there is no room for all.
    below = " ".join(words.replace(" ", "\N{NO-BREAK SPACE}") for words in small)
    return Cell(measure.text(values), wins, below)


def status_of(arm: Arm, run: str) -> str:
    status = arm.rows.loc[arm.rows["run"] == run, "status"].iloc[0]
    return "" if status == FINISHED else f" ({status})"


def published_rows(facts: Facts, width: int) -> list[Row]:
    """What the sources of the recipes here reported; without any, who reported a FID."""
    rows = []
    for name in recipes_of(facts):
        recipe = load_recipe(name)
        said = [
            text_of(value) if key == "words" else f"{key.replace('_', ' ')} {text_of(value)}"
            for key, value in recipe.published.items()
        ]
        cell = Cell("; ".join(said), small=recipe.source, span=width)
        rows.append(Row([Cell(f"{name}, as published"), cell], "published"))
    return rows


def recipes_of(facts: Facts) -> list[str]:
    """Those with published numbers."""
    published = {name: load_recipe(name).published for name in recipe_names()}
    ours = {*facts.table["recipe"].dropna()}
    found = [name for name, said in published.items() if said and name in ours]
    return found or [name for name, said in published.items() if any("fid" in key for key in said)]


def text_of(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(
            ": ".join(map(text_of, each)) if isinstance(each, list | tuple) else text_of(each)
            for each in value
        )
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return short(float(value), 6) if is_number else str(value)  # type: ignore[arg-type]


def table_notes(facts: Facts) -> list[Part]:
    """What a reader of the table must know."""
    words = [
        "Best: the snapshot with the least distance on one sample, measured on another. Last: the "
        f"newest. Both on sample seed {REPORT_SEED} ({NOTHING} where none was measured on it); "
        "several seeds as mean ± standard deviation. Hours, images a second and memory are of "
        "training alone, without measuring. Parameters are G's, and below D's.",
        MEANING + " FLOPs and hours are bold only where all arms are of one length.",
        CAVEAT,
    ]
    hardware = sorted(facts.table["hardware"].dropna().astype(str).unique())
    if len(hardware) > 1:
        words.append(f"Hours and speed do not compare between hardware: {'; '.join(hardware)}.")
    if facts.headline and facts.headline.apart:
        words.append(f"Without this distance: {', '.join(facts.headline.apart)}.")
    if facts.unread:
        words.append(f"Left out, because config.json cannot be read: {', '.join(facts.unread)}.")
    return [Text(text, "note") for text in words]


# Two by two


def design(facts: Facts) -> Mapping[Levels, Arm]:
    """The arms of a 2 x 2 design, by network and training; nothing where they are no such thing."""
    found = [(DESIGN.fullmatch(str(arm.rows["recipe"].iloc[0])), arm) for arm in facts.arms]
    cells = {(of["network"], of["training"]): arm for of, arm in found if of}
    whole = len(cells) == sum(of is not None for of, _ in found) == 4
    return cells if whole and facts.headline else {}


def moments(facts: Facts) -> Mapping[str, Mapping[Levels, list[float]]]:
    """What each cell of the design measured: at the end, and in hours that every run has had."""
    cells, headline = design(facts), facts.headline
    if not cells or headline is None:
        return {}
    hours = common_hours(cells.values())
    picks: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "at the end": last,
        f"at {hours:.3g} h each": lambda rows: at_hours(rows, hours),
    }
    return {
        when: {
            key: [float(v) for run in arm.counting for v in pick(headline.of(run))["value"]]
            for key, arm in cells.items()
        }
        for when, pick in picks.items()
    }


def effects(facts: Facts) -> list[Part]:
    """Of a 2 x 2 design, what the network does, what the training does, and both together."""
    cells = design(facts)
    if not cells or facts.headline is None:
        return []
    rows: list[Row] = []
    notes: list[Part] = []
    for when, values in moments(facts).items():
        few = [f"{cells[key].name} has {len(of)}" for key, of in values.items() if len(of) < FEWEST]
        if few:
            words = f"Effects {when} take {FEWEST} measured runs of each arm; {', '.join(few)}."
            notes.append(Text(words, "note"))
        else:
            rows += effect_rows(when, values)
    caption = (
        f"Network and training apart: differences of {facts.headline.metric}, averaged weights, "
        "with 95% intervals. Below 0, the first named does better; p is of each alone."
    )
    table = [Table(caption, ["Effect", "Difference", "Interval", "p"], rows)] if rows else []
    return [Heading("Is it the network, or the training?"), *table, *notes]


def effect_rows(when: str, values: Mapping[Levels, list[float]]) -> list[Row]:
    """The three effects, of one measurement of each run."""
    rows = []
    for name, effect in factorial(values).to_dict("index").items():
        interval = f"{short(effect['low'])} to {short(effect['high'])}"
        numbers = [short(effect["value"]), interval, f"{effect['p']:.2g}"]
        rows.append(Row([Cell(f"{name}, {when}", small=effect["of"]), *map(Cell, numbers)]))
    return rows


def effect_notes(facts: Facts) -> list[str]:
    """The same in a sentence for each moment, where all cells have an interval."""
    notes = []
    for when, values in moments(facts).items():
        if min(map(len, values.values())) >= FEWEST:
            said = [
                f"{name} ({effect['of']}) {short(effect['value'], 3)} "
                f"[{short(effect['low'], 3)}, {short(effect['high'], 3)}]"
                for name, effect in factorial(values).to_dict("index").items()
            ]
            notes.append(
                f"Network or training, {when}: {'; '.join(said)}. Below 0, the first named does "
                "better."
            )
    return notes


# Curves


def quality_section(facts: Facts) -> Section:
    headline = facts.headline
    if headline is None:
        lead = "Nothing to draw: no distance has been measured."
        return Section("quality", "Quality over training", lead)
    floor = headline.rows["floor"].median()
    lead = (
        f"{headline.metric} of averaged weights at every measured snapshot, less is better; a line "
        "for each seed."
    )
    if pd.notna(floor):
        lead += f" Dotted: the floor, {short(floor)}, which as many other real images would get."
    charts = [
        quality_chart(facts, headline, "kimg", 1, "thousands of real images shown", floor),
        quality_chart(facts, headline, "train_sec", 1 / 3600, "hours of training alone", floor),
    ]
    key = Key([(arm.name, arm.index) for arm in facts.arms])
    return Section("quality", f"{headline.name} over training", lead, [key, Columns(charts)])


def quality_chart(
    facts: Facts, headline: Headline, column: str, scale: float, label: str, floor: float
) -> Chart:
    """Every run's distance against what it took."""
    lines = []
    for arm in facts.arms:
        for run in arm.runs:
            rows = snapshots(headline.of(run)).dropna(subset=[column])
            if len(rows):
                lines.append(
                    Line([*rows[column] * scale], [*rows["value"]], arm.index, points=True)
                )
    drawn_floor = floor if pd.notna(floor) else None
    svg = draw(f"quality-{column}", lines, label, headline.name, floor=drawn_floor)
    caption = f"Against {label}"
    return Chart(svg, f"{caption}: {in_words(facts, headline)}", caption)


def snapshots(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each snapshot, of the sample that all are measured on where there is one."""
    first = rows["sample_seed"] != SELECTION_SEED
    return rows.assign(_later=first).sort_values(["kimg", "_later"]).drop_duplicates("kimg")


def in_words(facts: Facts, headline: Headline) -> str:
    """A chart for those who do not see it."""
    said = []
    for arm in facts.arms:
        for run in arm.runs:
            rows = snapshots(headline.of(run))
            if len(rows):
                ends = [rows["value"].iloc[0], rows["value"].min(), rows["value"].iloc[-1]]
                first, least, end = map(short, ends)
                said.append(f"{run} starts at {first}, has its least at {least} and ends at {end}")
    return "; ".join(said) + "."


def training_section(facts: Facts) -> Section:
    parts: list[Part] = []
    silent = []
    for arm in facts.arms:
        stats = {run: rows for run, rows in arm.stats().items() if len(rows)}
        if stats:
            parts.append(Columns(curves(arm, stats)))
        silent += [run for run in arm.runs if run not in stats]
    if silent:
        text = f"Nothing was recorded of {', '.join(silent)}: they ended before their first tick."
        parts.append(Text(text, "note"))
    lead = (
        "Losses and scores of every seed, at D's own steps. They tell whether training is stable, "
        "not whether images are good."
    )
    return Section("training", "Losses and scores", lead, parts)


def curves(arm: Arm, stats: Mapping[str, pd.DataFrame]) -> list[Chart]:
    """Losses, and probabilities where the loss has them, or scores."""
    scores = "score" if any("d_real" in rows for rows in stats.values()) else "logit"
    charts = (curve(arm, stats, what) for what in ("loss", scores))
    return [chart for chart in charts if chart]


def curve(arm: Arm, stats: Mapping[str, pd.DataFrame], what: str) -> Chart | None:
    label, columns = CURVES[what]
    found = {
        column: [rows[["kimg", column]].dropna() for rows in stats.values() if column in rows]
        for column in columns
    }
    lines = [
        Line([*rows["kimg"]], [*rows[column]], series)
        for column, (_, series) in columns.items()
        for rows in found[column]
        if len(rows)
    ]
    if not lines:
        return None
    ends = {
        words: mean([rows[column].iloc[-1] for rows in found[column] if len(rows)])
        for column, (words, _) in columns.items()
    }
    said = ", ".join(f"{words} ends at {short(value)}" for words, value in ends.items())
    limits = (0.0, 1.0) if what == "score" else None
    svg = draw(f"{what}-{arm.index}", lines, "thousands of real images shown", label, limits)
    alt = f"{arm.name}: {label}; {said}."
    return Chart(svg, alt, f"{arm.name}: {label}", arm.index, [*columns.values()])
