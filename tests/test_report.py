"""The report: what it says, against hand and the table; that it is well made, small and safe."""

import base64
import csv
import gzip
import hashlib
import io
import json
import math
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from markupsafe import Markup
from PIL import Image as Pixels
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import page as pages
from benchmarks.report import pictures
from benchmarks.report.answer import COSTS, numbers_of, winner
from benchmarks.report.charts import Line, draw, thinned
from benchmarks.report.facts import Facts, gather
from benchmarks.report.flops import flops_per_image
from benchmarks.report.numbers import mean, short, span, spread, with_prefix
from benchmarks.report.page import coded, policy, raw_script, script_json
from benchmarks.report.parts import Image
from benchmarks.report.record import guarded
from benchmarks.report.reproduce import asked_for, measuring_command, training_command
from data.errors import MissingError
from data.files import read_json, write_json
from data.store import Store
from eval.compare import Side, verdict
from eval.features import unwatched
from eval.metrics import Metric
from eval.table import load
from models.registry import family
from tests.conftest import FAST, TINY, TINY_STYLEGAN, Bench, write_pictures
from tests.measured_runs import METRIC, write_run
from training.run_dir import METRICS, RunDir

MOST_BYTES = 3_000_000  # of a page of two runs
SECTIONS = [
    *("verdict", "comparison", "quality", "training", "samples", "progress", "latents"),
    *("attributes", "claims", "neighbours", "protocol", "reproduce", "limits", "download"),
    "explorer",
]
VOID = {"meta", "img", "br", "input", "link", "base", "hr"}
PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)",
    "</style><style>*{display:none}</style>",
    "</title><iframe src=http://evil.invalid></iframe>",
    "--><svg onload=alert(7)>",
    "{{ 7*7 }}{% raw %}",
    "`<b>code</b>`",
    "javascript:alert(10)",
    "]]><meta http-equiv=refresh content=0>",
    "&lt;script&gt;\u2028'};alert(12)//",
)


class Reader(HTMLParser):
    """A page as a strict reader has it: every tag closed, and where its text stands."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.section = ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} says something twice"
        self.tags.append((tag, dict(attrs)))
        if tag == "section" and dict(attrs).get("id"):
            self.section = str(dict(attrs)["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"{tag} closes itself outside of a drawing"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        where = (
            self.open[-1] if self.open and self.open[-1] in ("style", "script") else self.section
        )
        self.texts.setdefault(where, []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, section: str) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts.get(section, [])))


def make(results: Path, *runs: str) -> str:
    """The page of runs, as a file would have it."""
    chosen = [RunDir(results / run) for run in runs] or RunDir.all(results)
    file = results / "page.html"
    pages.write_report(file, results, chosen, "cpu")
    return file.read_text()


def facts_of(results: Path) -> Facts:
    return gather(results, RunDir.all(results), "cpu", unwatched)


@pytest.fixture(scope="module")
def page(trained: Path) -> str:
    """Of a StyleGAN and a DCGAN."""
    return make(trained / "results")


def rows_of(html: str, section: str) -> list[list[str]]:
    """The cells' texts of a section's tables."""
    part = html[html.index(f'<section id="{section}"') :]
    part = part[: part.index("</section>")]
    return [
        [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", cell)).strip() for cell in cells]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.S)
        if (cells := re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S))
    ]


# What it says


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """Two arms of five seeds whose distances are known, three snapshots each."""
    results = tmp_path_factory.mktemp("measured") / "results"
    for seed in range(5):
        values = {1.0: 90 + seed, 2.0: 40 + seed, 3.0: 50 + seed}
        write_run(results, store, seed, values)
        values = {1.0: 95 + seed, 2.0: 80 + seed, 3.0: 70 + seed}
        write_run(results, store, seed, values, {"lr_g": 1e-3})
    return results


@pytest.fixture(scope="module")
def measured_page(measured: Path) -> str:
    return make(measured)


def test_the_table_has_the_numbers_of_the_table(measured: Path, measured_page: str) -> None:
    facts = facts_of(measured)
    rows = {row[0]: row for row in rows_of(measured_page, "comparison")}
    heads = [head.replace("\N{NO-BREAK SPACE}", " ") for head in rows["Arm"]]
    a, b = (rows[arm.name] for arm in facts.arms)
    # By hand: means of 50..54 and, at the best, of 40..44; the deviation of five in a row.
    assert a[heads.index("Last, EMA ↓")] == "52 ± 1.6 at kimg 3"
    assert a[heads.index("Best, EMA ↓")] == "42 ± 1.6 at kimg 2"
    assert b[heads.index("Last, EMA ↓")] == "72 ± 1.6 at kimg 3"
    assert b[heads.index("Best, EMA ↓")] == "72 ± 1.6 at kimg 3"
    assert a[heads.index("Seeds")] == "5"
    assert a[heads.index("Hours ↓")] == "3 ± 0"
    assert a[heads.index("kimg")] == "3"
    table = load(measured)
    for run in facts.runs:
        mine = table[(table["run"] == run) & (table["metric"] == METRIC) & (table["kimg"] == 3)]
        assert rows[run][heads.index("Last, EMA ↓")] == f"{short(mine['value'].iloc[0])} at kimg 3"
        assert rows[run][1] == f"seed {mine['seed'].iloc[0]}"


def strong_in(html: str) -> list[str]:
    """What is bold in the comparison."""
    part = html[html.index('<section id="comparison"') : html.index('<section id="quality"')]
    return re.findall(r"<strong>(.*?)</strong>", part)


@pytest.mark.parametrize("values", [(9.0, 8.0), (8.0, 9.0)])
def test_bold_is_the_least_distance(
    tmp_path: Path, store: Store, values: tuple[float, float]
) -> None:
    for value, rate in zip(values, (1e-3, 2e-3), strict=True):
        write_run(tmp_path, store, 0, {1.0: value}, {"lr_g": rate})
    html = make(tmp_path)
    assert strong_in(html) == ["8", "8"], "best and last"
    rows = [row for row in rows_of(html, "comparison") if "8 at kimg 1" in row]
    assert len(rows) == 1


def test_nothing_is_bold_without_a_contest(tmp_path: Path, store: Store) -> None:
    write_run(tmp_path, store, 0, {1.0: 9.0})
    assert strong_in(make(tmp_path)) == []
    write_run(tmp_path, store, 0, {1.0: 9.0}, {"lr_g": 1e-3})
    assert strong_in(make(tmp_path)) == [], "equal"


def test_hours_compare_only_at_one_length(measured: Path, store: Store) -> None:
    (hours,) = (measure for measure in COSTS if measure.column == "hours")
    facts = facts_of(measured)
    numbers = numbers_of(facts)
    slow = [*facts.arms[0].counting]
    numbers.loc[slow, "hours"] = 9.0
    assert winner(facts, numbers, hours) == 3.0
    numbers.loc[slow, "kimg"] = 9.0
    assert winner(facts, numbers, hours) is None


def test_the_verdict_is_the_comparisons(measured: Path, measured_page: str) -> None:
    facts = facts_of(measured)
    sides = [Side(arm.name, arm.rows) for arm in facts.arms]
    found = verdict(*sides, METRIC)
    assert found.status == "decided"
    text = Reader(measured_page).text("verdict")
    assert found.sentence in text
    assert "The rule:" in text
    assert "At equal hours of training, 3 h" in text


def test_few_seeds_are_provisional_and_one_is_two_checkpoints(measured: Path) -> None:
    runs = sorted(run.id for run in RunDir.all(measured))
    assert "provisional" in Reader(make(measured, *runs[:4])).text("verdict")
    two = Reader(make(measured, *runs[:2]))
    assert "two checkpoints" in two.text("verdict")
    assert "one seed leaves none" in two.text("limits")
    one = Reader(make(measured, runs[0])).text("verdict")
    assert "No verdict" in one
    assert "takes two" in one


def test_published_rows_are_there_with_their_caveat(measured_page: str) -> None:
    rows = {row[0]: row for row in rows_of(measured_page, "comparison")}
    published = rows["versus-stylegan, as published"]
    assert "39.4008" in published[1]
    assert "not to be ranked" in Reader(measured_page).text("comparison")


def test_runs_of_a_recipe_have_its_published_row(tmp_path: Path, store: Store) -> None:
    run = write_run(tmp_path, store, 0, {1.0: 9.0})
    config = read_json(run.path / "config.json")
    made_by = {"name": "akbari-lsgan", "budget": 1.0, "kimg": 1.0, "role": "oulu36k"}
    write_json(run.path / "config.json", {**config, "recipe": made_by})
    rows = [row[0] for row in rows_of(make(tmp_path), "comparison")]
    assert "akbari-lsgan, as published" in rows
    assert "versus-stylegan, as published" not in rows


def two_by_two(results: Path, store: Store, values: dict[str, dict[float, float]]) -> str:
    """The page of three seeds of each arm, whose distances at each kimg, an hour each, are known;
    another seed has as much more.
    """
    for number, (arm, found) in enumerate(values.items()):
        for seed in range(3):
            rate = {"lr_g": 1e-4 * (1 + number)}  # what tells arms apart here
            later = {kimg: value + seed for kimg, value in found.items()}
            run = write_run(results, store, seed, later, rate)
            config = read_json(run.path / "config.json")
            made_by = {"name": f"versus-2x2-{arm}", "budget": 1.0, "kimg": 1.0, "role": "full"}
            write_json(run.path / "config.json", {**config, "recipe": made_by})
            run.path.rename(run.path.with_name(f"{arm}-seed{seed}"))
    return make(results)


def effects_in(html: str, when: str) -> dict[str, str]:
    rows = rows_of(html, "comparison")
    return {row[0].split(",")[0]: row[1] for row in rows if f", {when} " in f"{row[0]} "}


def test_a_two_by_two_has_its_effects_at_the_end_and_at_equal_hours(
    tmp_path: Path, store: Store
) -> None:
    """The DCGANs end after two hours; the StyleGANs go on to four."""
    values = {
        "dcgan-classic": {1.0: 95.0, 2.0: 80.0},
        "dcgan-modern": {1.0: 90.0, 2.0: 60.0},
        "stylegan-classic": {2.0: 90.0, 4.0: 70.0},
        "stylegan-modern": {2.0: 50.0, 4.0: 30.0},
    }
    html = two_by_two(tmp_path, store, values)
    # By hand: (70 + 30 - 80 - 60) / 2, (60 + 30 - 80 - 70) / 2, (30 - 70) - (60 - 80).
    assert effects_in(html, "at the end") == {
        "network": "-20",
        "training": "-30",
        "interaction": "-20",
    }
    # After two hours: (90 + 50 - 80 - 60) / 2, (60 + 50 - 80 - 90) / 2, (50 - 90) - (60 - 80).
    assert effects_in(html, "at 2 h each") == {
        "network": "0",
        "training": "-30",
        "interaction": "-20",
    }
    reader = Reader(html)
    assert "measured runs of each arm" not in reader.text("comparison")
    # The interval by hand: four cells of three, each of variance 1, weighed by 1/2, so that the
    # error is the root of 1/3, and t(0.975, 8) is 2.306.
    assert (
        "Network or training, at the end: network (stylegan less dcgan) -20 [-21.3, -18.7]; "
        "training (modern less classic) -30 [-31.3, -28.7]; interaction (" in reader.text("verdict")
    )
    assert "Network or training, at 2 h each: network (" in reader.text("verdict")
    assert "stylegan-modern beats dcgan-modern on" in reader.text("verdict"), "as a suite has it"


def test_what_a_two_by_two_cannot_say_at_equal_hours_is_said(tmp_path: Path, store: Store) -> None:
    """One arm's first snapshot came after another's end."""
    values = {
        "dcgan-classic": {1.0: 80.0},
        "dcgan-modern": {1.0: 60.0},
        "stylegan-classic": {3.0: 70.0},
        "stylegan-modern": {1.0: 50.0, 3.0: 30.0},
    }
    html = two_by_two(tmp_path, store, values)
    assert len(effects_in(html, "at the end")) == 3
    assert effects_in(html, "at 1 h each") == {}
    reader = Reader(html)
    said = "Effects at 1 h each take 2 measured runs of each arm; stylegan-classic has 0."
    assert said in reader.text("comparison")
    assert "Network or training, at the end" in reader.text("verdict")
    assert "Network or training, at 1 h each" not in reader.text("verdict")


def test_arms_that_are_no_design_have_no_effects(measured_page: str) -> None:
    assert "Network or training" not in Reader(measured_page).text("verdict")
    assert "Is it the network" not in Reader(measured_page).text("comparison")


def test_another_sample_is_no_last_measurement(tmp_path: Path, store: Store) -> None:
    """Raw weights were measured on the sample that chooses, and averaged ones on both."""
    for number in range(2):
        run = write_run(tmp_path, store, 0, {1.0: 9.0 + number}, {"lr_g": 1e-3 * (1 + number)})
        chosen = [row for row in run.rows(METRICS) if row.get("sample_seed") == 0]
        for row in chosen:
            run.append(METRICS, row | {"weights": "raw", "value": 5.0})
    rows = rows_of(make(tmp_path), "comparison")
    heads = [head.replace("\N{NO-BREAK SPACE}", " ") for head in rows[0]]
    for row in rows[1:3]:
        assert row[heads.index("Last, raw ↓")] == "-"
        assert row[heads.index("Last, EMA ↓")] != "-"


def test_the_whole_table_can_be_taken_away(measured: Path, measured_page: str) -> None:
    links = {link.get("download"): str(link["href"]) for link in Reader(measured_page).all("a")}
    files = {name: base64.b64decode(uri.partition(",")[2]) for name, uri in links.items() if name}
    everything = pd.read_csv(io.BytesIO(gzip.decompress(files["results.csv.gz"])))
    assert sorted(everything["value"].dropna()) == sorted(load(measured)["value"].dropna())
    runs = pd.read_csv(io.BytesIO(files["comparison.csv"]))
    assert sorted(runs["last_ema"]) == [*range(50, 55), *range(70, 75)]


def test_a_spreadsheet_gets_no_formulae() -> None:
    table = pd.DataFrame({"run": ["=1+1", "+1", "-1", "@x", "a=1"], "value": [-1.0, 2, 3, 4, 5]})
    found = guarded(table)
    assert [*found["run"]] == ["'=1+1", "'+1", "'-1", "'@x", "a=1"]
    assert [*found["value"]] == [-1, 2, 3, 4, 5]


def test_attributes_are_means_over_seeds_beside_their_floor(tmp_path: Path, store: Store) -> None:
    for seed, bits in ((0, 0.2), (1, 0.4)):
        run = write_run(tmp_path, store, seed, {1.0: 9.0})
        (row, *_) = [row for row in run.rows(METRICS) if row["metric"] == METRIC]
        named = {"metric": "js_hair_hue_faces5k_heldout", "value": bits, "floor": 0.01}
        run.append(METRICS, row | named)
        run.append(METRICS, row | named | {"value": 0.9, "weights": "raw"})
    assert ["hair hue", "0.300", "0.010"] in rows_of(make(tmp_path), "attributes")


def test_claims_are_shown_with_their_verdicts(tmp_path: Path, store: Store) -> None:
    from benchmarks.commands.claims import COLUMNS

    write_run(tmp_path, store, 0, {1.0: 9.0})
    assert "bench claims" in Reader(make(tmp_path)).text("claims")
    row = dict.fromkeys(COLUMNS, "") | {"claim": "5a", "statement": "Coarse is coarse."}
    row |= {"source": "003", "verdict": "holds", "value": "0.5", "low": "0.25", "high": "0.75"}
    lacking = dict.fromkeys(COLUMNS, "") | {"claim": "9", "verdict": "not run", "source": "003"}
    lacking |= {"statement": "Less is less.", "reason": "it takes two sizes", "cost_runs": "2"}
    lacking |= {"cost_kimg": "400", "cost_hours": "3", "cost_of": ""}
    pd.DataFrame([row, lacking]).to_csv(tmp_path / "claims.csv", index=False)
    found = rows_of(make(tmp_path), "claims")
    assert found[1] == ["5a source 003", "Coarse is coarse.", "holds", "0.5 [0.25, 0.75]"]
    assert "it takes two sizes. It would cost 2 runs" in found[2][1]
    (tmp_path / "claims.csv").write_text("a,b\n1,2\n")
    assert "no table of claims" in Reader(make(tmp_path)).text("claims")


# How it is made


def test_sections_are_in_order(page: str) -> None:
    assert [section["id"] for section in Reader(page).all("section")] == SECTIONS


def test_it_is_well_made(page: str) -> None:
    reader = Reader(page)
    ids = Counter(attributes["id"] for _, attributes in reader.tags if "id" in attributes)
    assert not [name for name, count in ids.items() if count > 1]
    assert len(reader.all("h1")) == 1
    assert len(reader.all("main")) == 1
    assert len(reader.all("title")) == 1
    assert reader.all("html") == [{"lang": "en"}]
    assert reader.all("img")
    assert all(image.get("alt") for image in reader.all("img"))
    for table, caption in zip_tables(page):
        assert caption, table[:80]
    assert all(head.get("scope") in ("row", "col") for head in reader.all("th"))
    targets = {str(link["href"])[1:] for link in reader.all("a") if str(link["href"])[0] == "#"}
    assert targets <= set(ids)
    assert targets >= set(SECTIONS[1:])
    for number in (attributes for _, attributes in reader.tags if "aria-labelledby" in attributes):
        assert number["aria-labelledby"] in ids


def zip_tables(html: str) -> Iterator[tuple[str, bool]]:
    """Tables, the explorer's apart, and whether each has a caption."""
    for table in re.findall(r"<table.*?</table>", html, re.S):
        if "explorer-table" not in table[:60]:
            yield table, "<caption>" in table


def test_it_asks_nobody_for_anything(page: str) -> None:
    reader = Reader(page)
    for tag, attributes in reader.tags:
        assert tag not in ("link", "base", "iframe", "object", "embed", "form")
        for name in ("src", "href"):
            assert str(attributes.get(name) or "#").startswith(("#", "data:")), tag
        assert "url(" not in str(attributes.get("style")).replace("url(#", "")
    style = "".join(reader.texts["style"])
    assert set(re.findall(r"url\((?!data:)[^)]*", style)) == set()
    assert "@import" not in style


def test_the_policy_is_of_the_script_that_is_there(page: str) -> None:
    reader = Reader(page)
    (said,) = (meta["content"] for meta in reader.all("meta") if "http-equiv" in meta)
    script = "".join(reader.texts["script"])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in str(said)
    assert "default-src 'none'" in str(said)
    assert "script-src 'none'" in policy("")


def test_the_same_runs_give_the_same_bytes(trained: Path, page: str, tmp_path: Path) -> None:
    assert make(trained / "results") == page
    assert re.search(r"20\d\d-\d\d-\d\d", page) is None


def test_two_runs_fit_in_three_megabytes(trained: Path, page: str) -> None:
    """Weights that have learnt nothing draw noise, which is the hardest to compress."""
    assert len(page.encode()) <= MOST_BYTES
    assert page.count("data:image/jpeg") > 20


def test_pictures_give_way_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = torch.randint(0, 256, (20, 3, 64, 64), dtype=torch.uint8)
    images = [Image(noise, "noise"), Image(noise.flip(0), "more")]
    free = pictures.encoded(images)
    monkeypatch.setattr(pictures, "BUDGET", sum(map(len, free.values())) // 2)
    tight = pictures.encoded(images)
    assert 0 < sum(map(len, tight.values())) <= pictures.BUDGET


def test_a_tile_is_where_it_belongs_and_keeps_its_borders() -> None:
    tiles = torch.zeros(3, 3, 64, 64, dtype=torch.uint8)
    tiles[1, 0] = 255  # red between black ones
    uri = pictures.encoded([image := Image(tiles, "red")])[image]
    pixels = np.asarray(Pixels.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
    assert pixels.shape == (64, 192, 3) == (*image.size[::-1], 3)
    red = pixels[..., 0].astype(int)
    assert red[:, 64:128].min() > 250
    assert red[:, :64].max() < 5
    assert red[:, 128:].max() < 5


# What others named


def test_hostile_names_are_text(tmp_path: Path, store: Store) -> None:
    results = tmp_path / "".join(PAYLOADS).replace("/", "\\")[:240]
    for number, payload in enumerate(PAYLOADS):
        run = write_run(results, store, number, {1.0: 9.0 + number})
        config = read_json(run.path / "config.json")
        data = {**config["data"], "name": payload, "path": f"/data/{payload}", "role": payload}
        made_by = {"name": payload, "budget": 0.05, "kimg": 1.0, "role": payload}
        measure = {"metrics": [payload], "every_kimg": 1.0}
        poisoned_config = {"data": data, "recipe": made_by, "measure": measure}
        write_json(run.path / "config.json", {**config, **poisoned_config})
        (start,) = read_json(run.path / "environment.json")
        versions = dict.fromkeys(start["versions"], payload)
        poisoned = {**start, "hardware": payload, "python": payload, "versions": versions}
        write_json(run.path / "environment.json", [poisoned])
        said = dict.fromkeys(("note", "ops", "extractor", "resize", "feature_precision"), payload)
        rows = [row | said for row in run.rows(METRICS)]
        told = [row | {"reference": payload} for row in rows if row["metric"] == METRIC]
        js = [row | {"metric": f"js_{payload}_faces5k_heldout"} for row in told]
        lines = "".join(json.dumps(row) + "\n" for row in (*rows, *told, *js))
        (run.path / METRICS).write_text(lines)
        run.path.rename(results / f"{number:02d}{payload}".replace("/", "\\"))
    (results / "claims.csv").write_text(claims_of(PAYLOADS))
    reader = Reader(make(results))
    clean = {"html", "head", "meta", "title", "style", "body", "a", "header", "h1", "p", "main"}
    clean |= {"section", "h2", "h3", "div", "nav", "ul", "li", "table", "caption", "span", "thead"}
    clean |= {"tr", "th", "td", "tbody", "small", "strong", "code", "pre", "figure", "figcaption"}
    clean |= {"svg", "g", "path", "defs", "use", "text", "clippath", "rect", "b", "br", "img"}
    assert {tag for tag, _ in reader.tags} <= clean
    assert not [name for _, attributes in reader.tags for name in attributes if name[:2] == "on"]
    assert len(reader.all("style")) == len(reader.all("title")) == 1
    text = " ".join(text for texts in reader.texts.values() for text in texts)
    for payload in PAYLOADS:
        assert payload.strip("`") in text


def claims_of(payloads: tuple[str, ...]) -> str:
    from benchmarks.commands.claims import COLUMNS

    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(COLUMNS)
    table.writerows([payload] * len(COLUMNS) for payload in payloads)
    return out.getvalue()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_json_in_a_script_cannot_leave_it(payload: str) -> None:
    written = script_json({"name": payload, "list": [1, None, "é"]})
    assert not set(written) & set("<>&\u2028\u2029")
    assert json.loads(str(written)) == {"name": payload, "list": [1, None, "é"]}
    assert isinstance(written, Markup)


def test_a_script_that_would_end_itself_is_refused() -> None:
    for script in ("</script>", "x = '</SCRIPT '", "<!--", "a\r\nb"):
        with pytest.raises(AssertionError):
            raw_script(script)
    assert raw_script("a < b && c") == "a < b && c"


def test_backticks_are_code_and_nothing_else_is_markup() -> None:
    assert coded("run `bench <x>` & go") == "run <code>bench &lt;x&gt;</code> &amp; go"
    assert coded("one ` alone <b>") == "one ` alone &lt;b&gt;"


# What a run cannot give


def test_no_runs_is_an_error(bench: Bench) -> None:
    code, _, err = bench("report")
    assert code == 3
    assert "bench run" in err
    assert not list(Path().rglob("report.html"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--out", "x.pdf"], "--out x.pdf"),
        (["--out", "nowhere/x.html"], "nowhere"),
        (["nobody"], "nobody"),
    ],
)
def test_mistakes_are_named(bench: Bench, flags: list[str], said: str) -> None:
    code, _, err = bench("report", *flags)
    assert code in (2, 3)
    assert said in err


def test_it_prints_where_it_is(bench: Bench, trained: Path) -> None:
    results = trained / "results"
    code, out, _ = bench("report", "00001", "--results", str(results), "--device=cpu")
    assert (code, out) == (0, f"{results / 'report.html'}\n")
    reader = Reader((results / "report.html").read_text())
    assert "a DCGAN has neither styles nor a mean style" in reader.text("latents")
    assert "bench fid RUN --snapshot all" in reader.text("verdict")
    assert "js5k" in reader.text("attributes")


def test_what_is_missing_or_damaged_is_said(trained: Path, tmp_path: Path, store: Store) -> None:
    results = tmp_path / "results"
    shutil.copytree(trained / "results", results)
    damaged = results / "00000-stylegan-tiny-pictures"
    for file in damaged.glob("snapshots/*.safetensors"):
        file.write_bytes(b"rubbish")
    (results / "00002-unreadable").mkdir()
    (results / "00002-unreadable/config.json").write_text("{")
    write_run(results, store, 0, {1.0: 9.0}, status="failed")  # its weights are no weights
    empty = write_run(results, store, 0, {}, {"lr_g": 1e-3}, status="failed")
    (empty.path / "stats.jsonl").write_text('{"kimg": "x", "loss_d": null}\nrubbish\n[1]\n')
    reader = Reader(make(results))
    assert "does not match its SHA-256" in reader.text("samples")
    assert "has no snapshot yet" in reader.text("samples")
    assert "00002-unreadable" in reader.text("comparison")
    assert "(failed)" in reader.text("comparison")
    assert "unfinished runs" in reader.text("limits")
    assert "no StyleGAN" not in reader.text("samples")
    assert [section["id"] for section in reader.all("section")] == SECTIONS


def test_a_folder_of_nothing_but_rubbish(tmp_path: Path) -> None:
    (tmp_path / "00000-x").mkdir()
    (tmp_path / "00000-x/config.json").write_text("[]")
    reader = Reader(make(tmp_path))
    assert "No verdict" in reader.text("verdict")
    assert "00000-x" in reader.text("comparison")


def test_moved_data_leaves_out_neighbours_alone(trained: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(trained / "results", results)
    for run in RunDir.all(results):
        config = read_json(run.path / "config.json")
        write_json(run.path / "config.json", config | {"data": config["data"] | {"path": "/gone"}})
    reader = Reader(make(results))
    assert "/gone, which" in reader.text("neighbours")
    assert len(reader.all("img")) > 10


def test_two_runs_of_one_name_are_told_apart(tmp_path: Path, store: Store) -> None:
    first = write_run(tmp_path / "a", store, 0, {1.0: 9.0})
    second = write_run(tmp_path / "b", store, 1, {1.0: 5.0})
    assert first.id == second.id
    facts = gather(tmp_path, [first, second], "cpu", unwatched)
    assert [*facts.runs] == [str(first.path), str(second.path)]
    (arm,) = facts.arms
    assert sorted(numbers_of(facts)["last_ema"]) == [5.0, 9.0]
    assert [*arm.runs] == [*facts.runs]


def test_a_gpu_that_is_not_there_is_missing(tmp_path: Path, store: Store) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    write_run(tmp_path, store, 0, {1.0: 9.0})
    with pytest.raises(MissingError, match="CUDA"):
        gather(tmp_path, RunDir.all(tmp_path), "cuda", unwatched)


# Charts, counts and commands


def test_a_chart_has_the_pages_colours_and_nobodys_words() -> None:
    svg = draw("one", [Line([1, 2, 3], [3, 2, 1], 0, True), Line([1, 3], [2, 2], 9)], "x", "y")
    other = draw("two", [Line([1, 2, 3], [3, 2, 1], 0, True)], "x", "y")
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "currentColor" in svg
    assert {"var(--s0)", "var(--s1)"} <= set(re.findall(r"var\(--s\d\)", svg))
    assert "http" not in svg
    assert "font-family" not in svg
    assert "<style" not in svg
    ids = [set(re.findall(r'\bid="([^"]*)"', each)) for each in (svg, other)]
    assert not ids[0] & ids[1]
    for each, its in zip((svg, other), ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', each)) <= its
    assert draw("one", [Line([1, 2], [3, 4], 0)], "x", "y") == draw(
        "one", [Line([1, 2], [3, 4], 0)], "x", "y"
    )


def test_a_chart_of_little_or_nothing() -> None:
    draw("none", [Line([], [], 0)], "x", "y")
    draw("one", [Line([1], [math.nan], 0)], "x", "y", floor=0.5)
    assert "10" in draw("wide", [Line([1, 2], [1, 1e4], 0)], "x", "y")


def test_thinning_keeps_means() -> None:
    x, y = np.arange(1000.0), np.random.default_rng(0).random(1000)
    few_x, few_y = thinned(x, y)
    assert len(few_x) <= 150
    assert few_x[0] == x[:7].mean()
    assert few_y[3] == pytest.approx(y[21:28].mean())
    assert few_y[-1] == pytest.approx(y[994:].mean())
    assert thinned(x[:9], y[:9])[1] is not few_y


def test_numbers_as_people_read_them() -> None:
    assert [short(x) for x in (39.40081, 0.000123456, 12345.6, 5, None, math.nan)] == [
        *("39.4", "0.0001235", "12,346", "5", "-", "-")
    ]
    assert [with_prefix(x, "B") for x in (0, 999, 1.5e9, 2e15)] == [
        "0 B",
        "999 B",
        "1.5 GB",
        "2 PB",
    ]
    assert (mean([1, 2, 6, math.nan]), spread([1, 2, 3])) == (3, 1)
    assert mean([]) is spread([]) is spread([2.5, math.nan]) is None
    assert spread([0.1 + 0.2, 0.3]) == 0, "rounding"
    assert span([]) == "-"
    assert (span([3, 1, 2]), span([2, 2])) == ("1 to 3", "2")


@pytest.mark.parametrize("variant", ["simple", "tutorial", "sapienza"])
def test_flops_are_torchs_own(variant: str) -> None:
    """Of a step without second derivatives, which PyTorch's counter cannot follow."""
    options = family("dcgan").resolve(variant, {} if variant == "sapienza" else TINY)
    gan = family("dcgan").build(options)
    total = 0.0
    for phase in gan.phases():
        with FlopCounterMode(display=False) as counter:
            loss, _ = phase.loss(torch.zeros(2, 3, 64, 64))
            loss.backward()
        total += counter.get_total_flops() / phase.interval
    assert flops_per_image("dcgan", options, 1000) == total / 2


def test_flops_of_a_discriminator_by_hand() -> None:
    """Each phase is worth what it adds: R1 in every step, more than in every sixteenth."""
    rates = [
        flops_per_image("dcgan", family("dcgan").resolve("r1", {**TINY, "r1_interval": n}), 1)
        for n in (1, 2, 4)
    ]
    assert rates[0] - rates[1] == pytest.approx(2 * (rates[1] - rates[2]))
    none = flops_per_image("dcgan", family("dcgan").resolve("r1", {**TINY, "r1_gamma": 0.0}), 1)
    assert rates[1] - none == pytest.approx((rates[0] - none) / 2)


@pytest.mark.slow
def test_flops_of_a_growing_network_are_of_its_stages() -> None:
    small = {**TINY_STYLEGAN, "network": "style1", "grow": True, "grow_kimg": 1.0}
    options = family("stylegan").resolve("v1", small)
    first, two, five = (flops_per_image("stylegan", options, nimg) for nimg in (900, 2000, 5000))
    fading = 2 * two - first  # half of the first 2,000 images are of each
    assert first < fading
    assert two < five
    whole = family("stylegan").resolve("v1", small | {"grow": False})
    assert five < flops_per_image("stylegan", whole, 500)


@pytest.mark.slow
def test_commands_make_the_same_run_again(bench: Bench, tmp_path: Path) -> None:
    """What they ask for is, resolved, what the run was."""
    data = write_pictures(tmp_path / "it's data", 40).folder
    short_run = ["--kimg=0.008", "--tick=0.004", "--snap=0.004", "--data", str(data)]
    flags = ["--mirror", "--augment=animerush:0.2", "--seed=7", "--set=lr_milestones_kimg=1,2.5"]
    assert bench("run", *FAST, *short_run, *flags)[0] == 0
    recipe = ["--recipe=animerush-9.7", "--budget=0.2%", "--name=mine", *FAST[:3], "--batch=20"]
    recipe += ["--set=g_channels=8,8,8,8", "--set=d_channels=8,8,8,8", "--data", str(data)]
    assert bench("run", *recipe)[0] == 0
    for run in RunDir.all(Path("results")):
        threads, bench_word, *words = shlex.split(training_command(run))
        assert threads == f"OMP_NUM_THREADS={torch.get_num_threads()}"
        assert (bench_word, words[0]) == ("bench", "run")
        code, out, err = bench(*words, "--dry-run")
        assert code == 0, err
        planned, saved = json.loads(out)["config"], read_json(run.path / "config.json")
        assert planned == saved


@pytest.mark.slow
def test_commands_make_and_measure_a_run_again_where_it_lies(bench: Bench, tmp_path: Path) -> None:
    """As they stand: to the last bit, beside the folder that has it, which stays as it was."""
    store = write_pictures(tmp_path / "pictures", 160)
    store.split(80)
    flags = ["--kimg=0.008", "--tick=0.004", "--snap=0.004", "--data=pictures"]
    for name in (["--name=low-seed0"], []):
        assert bench("run", *FAST, *flags, *name)[0] == 0
    for run in RunDir.all(Path("results")):
        before = run.snapshots[-1].read_bytes()
        _, _, *words = shlex.split(training_command(run))
        assert bench(*words)[0] == 0
        assert bench(*shlex.split(measuring_command(run, ["fd_faces64_heldout"]))[1:])[0] == 0
        again = RunDir(Path("results-again") / run.id)
        assert again.snapshots[-1].read_bytes() == before
        measured = {row["metric"] for row in again.rows(METRICS)}
        assert "fd_faces64_heldout" in measured
        assert "fd_faces64_heldout" not in {row["metric"] for row in run.rows(METRICS)}


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("fid5k_heldout", "fid5k"),
        ("kid50k_train", "kid50k"),
        ("fd_faces2k_all", "fd_faces2k"),
        ("fd_inf_faces5k_heldout", "fd_inf_faces5k"),
        ("precision_faces5k_heldout", "pr_faces5k"),
        ("js_hair_hue_faces2k_train", "js2k"),
        ("ppl_faces_w5k", "ppl_faces5k"),
        ("density_inception64_all", "pr_inception64"),
        ("fd_mine5k_heldout", ""),
        ("training", ""),
        ("x; rm -rf ~", ""),
    ],
)
def test_measurements_are_asked_for_by_name(name: str, asked: str) -> None:
    assert asked_for(name) == asked
    if asked:
        Metric.parse(asked)  # as the command line will


# The style


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance of #rgb or #rrggbb."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_wcags() -> None:
    assert contrast("#fff", "#000") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


def test_colours_are_legible_in_every_scheme() -> None:
    css = (pages.HERE / "style.css").read_text()
    assert len(css.encode()) < 12_000
    schemes = [
        dict(re.findall(r"--([\w]+): (#\w+);", block))
        for block in re.findall(r":root {(.*?)}", css, re.S)
    ]
    assert len(schemes) == 3, "light, dark, print"
    for scheme in schemes:
        for ground in ("paper", "wash"):
            for text in ("ink", "soft", "accent", "mark"):
                assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)
            for series in range(8):
                assert contrast(scheme[f"s{series}"], scheme[ground]) >= 3, series
