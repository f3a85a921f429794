"""The page: sections into one HTML file that asks nobody for anything."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmarks.report import answer, gallery, record
from benchmarks.report.charts import COLOURS, DASHES
from benchmarks.report.explorer import Explorer, explore
from benchmarks.report.facts import UNREADABLE, Facts, gather
from benchmarks.report.gallery import NOTHING_TO_SHOW
from benchmarks.report.parts import Section
from benchmarks.report.pictures import encoded, images_in
from data.files import write_atomic
from eval.features import Watch, unwatched
from training.run_dir import RunDir

HERE = Path(__file__).parent
SECTIONS: Sequence[Callable[[Facts], Section]] = (
    answer.verdict_section,
    answer.comparison_section,
    answer.quality_section,
    answer.training_section,
    gallery.samples_section,
    gallery.progress_section,
    gallery.latents_section,
    record.attributes_section,
    record.claims_section,
    gallery.neighbours_section,
    record.protocol_section,
    record.reproduce_section,
    record.limits_section,
    record.download_section,
)


def write_report(
    path: Path, results: Path, runs: Sequence[RunDir], device: str, watch: Watch = unwatched
) -> None:
    """Write the report of runs; the same runs give the same bytes.

    Args:
        results: the folder where `bench claims` left its table.
        watch: is told what is being made, and how far that is.

    Raises:
        MissingError: the disk is full or not writable.
    """
    facts = gather(results, runs, device, watch)
    sections = []
    with watch("report", len(SECTIONS) + 1) as progress:
        for section in SECTIONS:
            sections.append(section(facts))
            progress(1)
        explorer, why_not = explorer_of(facts)
        progress(1)
    write_atomic(path, render(facts, sections, explorer, why_not).encode())


def explorer_of(facts: Facts) -> tuple[Explorer | None, str]:
    """The explorer of the runs that pictures are made of, or why there is none."""
    runs = [drawn.trained.run for drawn in facts.drawn]
    try:
        found = explore(runs, facts.device, facts.watch)
    except UNREADABLE as error:
        return None, f"Left out: {error}."
    return found, "" if found else NOTHING_TO_SHOW


def render(
    facts: Facts, sections: Sequence[Section], explorer: Explorer | None, why_not: str = ""
) -> str:
    """The page's HTML."""
    script = explorer.js if explorer else ""
    return (
        environment()
        .get_template("template.html.j2")
        .render(
            title=title_of(facts),
            about=about(facts),
            sections=sections,
            uris=encoded(image for section in sections for image in images_in(section.parts)),
            explorer=explorer,
            why_not=why_not,
            policy=policy(script),
            css=Markup((HERE / "style.css").read_text() + (explorer.css if explorer else "")),
            script=raw_script(script),
        )
    )


def environment() -> Environment:
    """Jinja2 that escapes everything, and fails on what it is not given."""
    pages = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["coded"] = coded
    pages.globals |= {"colours": COLOURS, "dashes": [dash_array(dash) for dash in DASHES]}
    return pages


def coded(text: str) -> Markup:
    """Text, escaped, with what stands between backticks as code."""
    parts = text.split("`")
    marked = [
        Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts)
    ]
    return Markup("").join(marked) if len(parts) % 2 else escape(text)


def dash_array(dash: Any) -> str:
    """A dash of matplotlib's as SVG has it, at the width of the legend's lines."""
    return "" if dash == "-" else " ".join(f"{2 * part:g}" for part in dash[1])


def title_of(facts: Facts) -> str:
    """The question that the page answers."""
    names = [arm.name for arm in facts.arms]
    if len(names) == 2:
        return f"{names[0]} or {names[1]}?"
    return names[0] if len(names) == 1 else f"Which of {len(names)} arms?"


def about(facts: Facts) -> str:
    """What was compared, in a line."""
    rows = facts.table.drop_duplicates("run")
    sets = [
        f"{name} ({images:,.0f} images)"
        for name, images in rows[["dataset", "images"]]
        .dropna()
        .drop_duplicates()
        .itertuples(index=False)
    ]
    count = len(facts.runs)
    return f"{count} {'run' if count == 1 else 'runs'}, trained on {', '.join(sets) or 'nothing'}"


def policy(script: str) -> str:
    """A Content-Security-Policy: nothing is fetched, and no script runs but this one."""
    allowed = "'none'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed = f"'sha256-{digest}'"
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def raw_script(script: str) -> Markup:
    """A script of our own, as it stands: within <script>, HTML knows no escapes."""
    assert not re.search(r"</script|<!--|\r", script, re.IGNORECASE)
    return Markup(script)


def script_json(value: Any) -> Markup:
    """JSON for a <script>: no text in it can end the element, or the line."""
    text = json.dumps(value, allow_nan=False)  # ASCII alone, which leaves <, > and &
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)
