"""The report in a real browser: it works, runs nobody else's script, and can be read by anybody.

Skipped where there is no Chromium or no playwright. Screenshots are in pytest's temporary folder.
"""

import base64
import csv
import gzip
import io
import itertools
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import benchmarks.cli
from benchmarks.commands.claims import COLUMNS
from tests.browser import accessible_names, faint_texts, opened, powers
from tests.conftest import FAST, TINY_STYLEGAN, write_pictures
from training.run_dir import RunDir

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH"),
]

PHONE = {"width": 390, "height": 844}
MOST_BYTES = 3_000_000  # of a page of two runs
# Each sets a flag, or asks for something, where a page takes it for more than text.
PAYLOADS = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=2</script>",
    '"><img src=x onerror=window.pwned=3>',
    "' onmouseover='window.pwned=4' autofocus onfocus='window.pwned=4' x='",
    "</style><svg onload=window.pwned=5>",
    "</title></textarea><iframe srcdoc='<script>parent.pwned=6</script>'>",
    "--><body onload=window.pwned=7>",
    "{{ 7*7 }}{% raw %}${window.pwned=8}",
    '<link rel=stylesheet href="http://pwned.invalid/9"><base href="http://pwned.invalid/">',
    "javascript:window.pwned=10//%0Awindow.pwned=10",
    ']]><meta http-equiv=refresh content="0;url=http://pwned.invalid/11">',
    "\u2028';window.pwned=12;//\\u003cscript>&lt;script&gt;",
)


# Pages


def bench(*arguments: str) -> None:
    """Run `bench`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as ending:
            benchmarks.cli.main()
    assert not ending.value.code


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DCGAN and a StyleGAN of seven steps each, and their distances."""
    folder = tmp_path_factory.mktemp("report")
    store = write_pictures(folder / "pictures", 80).folder
    short = ["--data", str(store), "--kimg=0.028", "--tick=0.008", "--snap=0.014"]
    into = ["--results", str(folder / "results")]
    tiny = [f"--set={name}={value}" for name, value in TINY_STYLEGAN.items()]
    stylegan = ["--model=stylegan", "--variant=tiny", "--device=cpu", "--precision=fp32", *tiny]
    stylegan += ["--memory-format=contiguous", "--batch=4"]
    for number, network in enumerate((FAST, stylegan)):
        bench("run", *short, *network, *into)
        bench("fid", f"{number:05d}", "--extractor=faces", "--num=64", "--snapshot=all", *into)
    return folder / "results"


def report(results: Path, file: Path) -> Path:
    bench("report", "--results", str(results), "--out", str(file), "--device=cpu")
    return file


@pytest.fixture(scope="module")
def plain(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the two runs."""
    return report(results, tmp_path_factory.mktemp("plain") / "report.html")


@pytest.fixture(scope="module")
def hostile(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of twelve runs whose every name is hostile."""
    folder = tmp_path_factory.mktemp("hostile") / "results"
    sources = sorted(path for path in results.iterdir() if path.is_dir())
    for number, payload in enumerate(PAYLOADS):
        run = Path(shutil.copytree(sources[number % 2], folder / run_name(number)))
        metrics = RunDir(run).rows("metrics.jsonl")
        lines = [json.dumps({**row, "note": payload + "note"}) + "\n" for row in metrics]
        (run / "metrics.jsonl").write_text("".join(lines))
        status = {"error": payload + "error", **({"state": "failed"} if number % 3 == 2 else {})}
        change(run / "status.json", lambda found, status=status: {**found, **status})
        change(run / "config.json", lambda found, payload=payload: renamed(found, payload))
        change(run / "environment.json", lambda found, payload=payload: poisoned(found, payload))
    with (folder / "claims.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([payload + column for column in COLUMNS] for payload in PAYLOADS)
    return report(folder, tmp_path_factory.mktemp("hostile") / "report.html")


def run_name(number: int) -> str:
    """As much of a payload as a folder's name can hold."""
    return f"{number:05d}-{PAYLOADS[number]}".replace("/", "\\")


def change(file: Path, how: Callable[[Any], Any]) -> None:
    file.write_text(json.dumps(how(json.loads(file.read_text()))))


def renamed(config: dict[str, Any], payload: str) -> dict[str, Any]:
    """The names of a recipe, a role and the data; what the program itself reads stays."""
    made_by = {"name": payload + "recipe", "budget": 0.05, "kimg": 1.0, "role": payload}
    data = {"name": payload + "data", "path": f"/{payload}path", "role": payload + "role"}
    return {**config, "recipe": made_by, "data": {**config["data"], **data}}


def poisoned(value: Any, payload: str, name: str = "") -> Any:
    """A tree of JSON with the payload, and the name that it has there, for every text."""
    if isinstance(value, dict):
        return {name: poisoned(each, payload, name) for name, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, payload) for each in value]
    return payload + name if isinstance(value, str) else value


SHOWN = ("recipe", "data", "hardware", "torch", "statement", "verdict", "quantity")


# A browser that remembers


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium refuses root a sandbox
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)


@pytest.fixture
def quiet(browser: Any) -> Callable[..., Any]:
    """Open a page, which must do nothing that no report does."""

    @contextmanager
    def open_page(file: Path, **settings: Any) -> Iterator[Any]:
        with opened(browser, file, **settings) as (page, faults):
            yield page
            assert not page.evaluate("'pwned' in window")
        assert not faults

    return open_page


def page_of(folder: Path, body: str) -> Path:
    """A page that is no report, for what a check must find."""
    file = folder / "page.html"
    file.write_text(f"<!doctype html><html lang=en><meta charset=utf-8><title>t</title>{body}")
    return file


# What a reader does


def test_a_reader_goes_through_the_contents(quiet: Any, plain: Path) -> None:
    with quiet(plain) as page:
        links = page.locator("nav a[href^='#']")
        assert links.count() >= 10
        for link in links.all():
            target = link.get_attribute("href")
            link.click()
            assert page.evaluate("location.hash") == target
            assert page.locator(target).is_visible()


def test_the_table_can_be_downloaded(quiet: Any, plain: Path) -> None:
    with quiet(plain) as page:
        links = page.locator("a[download]")
        assert links.count() >= 1
        for link in links.all():
            with page.expect_download() as download:
                link.click()
            file = Path(download.value.path())
            open_it = gzip.open if download.value.suggested_filename.endswith(".gz") else open
            with open_it(file, "rt") as lines:
                runs = {row["run"] for row in csv.DictReader(lines)}
            assert {run[:5] for run in runs} == {"00000", "00001"}


def test_sliders_choose_faces_by_keyboard(quiet: Any, plain: Path) -> None:
    """What is on the screen is the tile of the atlas that the sliders' positions stand for."""
    with quiet(plain) as page:
        explorer = page.locator(".explorer").first
        atlas = atlas_of(explorer)
        face, said = explorer.locator(".explorer-face"), explorer.locator("output")
        seed, psi, coarse, middle, fine = explorer.locator("input[type=range]").all()
        assert said.get_attribute("aria-live") == "polite"

        psi.press("End")  # not truncated
        seed.press("End")
        for source in (coarse, middle, fine):
            source.press("Home")
        assert said.inner_text() == (
            "seed 3, psi 1 (not truncated), coarse its own, middle its own, fine its own"
        )
        whole = on_screen(face)
        assert same(whole, tile(atlas, 1 + 4 * 64 + 63))
        assert face.get_attribute("aria-label") == said.inner_text()

        coarse.press("ArrowRight")
        fine.press("ArrowRight")
        fine.press("ArrowRight")
        assert said.inner_text().endswith("coarse from seed 0, middle its own, fine from seed 1")
        assert fine.get_attribute("aria-valuetext") == "fine from seed 1"
        assert same(on_screen(face), tile(atlas, 1 + 4 * 64 + 0 * 16 + 3 * 4 + 1))
        assert not same(on_screen(face), whole)
        sources = explorer.locator(".explorer-source").all()
        for source, own in zip(sources, (3, 0, 3, 1), strict=True):
            assert f"seed {own}" in source.get_attribute("aria-label")

        psi.press("Home")
        assert "psi -1 (opposite)" in said.inner_text()
        for _ in range(2):
            psi.press("ArrowRight")
        assert "psi 0 (mean face)" in said.inner_text()
        mean = on_screen(face)
        coarse.press("End")
        assert same(on_screen(face), mean)


def atlas_of(explorer: Any) -> np.ndarray:
    background = explorer.locator(".tile").first.evaluate(
        "tile => getComputedStyle(tile).backgroundImage"
    )
    content = base64.b64decode(background.partition("base64,")[2].rstrip('")'))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def tile(atlas: np.ndarray, number: int) -> np.ndarray:
    row, column = divmod(number, 16)
    return atlas[row * 64 :, column * 64 :][:64, :64]


def on_screen(face: Any) -> np.ndarray:
    """The pixels of an enlarged face: the middle of each square of 4 by 4."""
    picture = Image.open(io.BytesIO(face.screenshot())).convert("RGB")
    assert picture.width == 256
    return np.asarray(picture).astype(int)[2:256:4, 2::4]


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """But for how two decoders of JPEG round."""
    return bool(abs(one - other).max() <= 4)


# What a hostile name does


def test_hostile_names_are_text(quiet: Any, hostile: Path, plain: Path) -> None:
    with quiet(plain) as page:
        usual = powers(page)
    with quiet(hostile) as page:
        assert powers(page) == usual
        text = page.evaluate("document.body.textContent")
        for number, payload in enumerate(PAYLOADS):
            assert run_name(number) in text
            assert [name for name in SHOWN if payload + name not in text] == []
            assert shlex.quote(f"{payload}role=/{payload}path") in text
        for summary in page.locator("details > summary").all():
            summary.click()
        for link in page.locator("nav a").all():
            link.click()
        for slider in page.locator("input[type=range]").all():
            slider.press("ArrowRight")
        for cell in page.locator("td, th").all()[:200]:
            cell.dispatch_event("mouseover")
        page.wait_for_timeout(200)


def test_the_payloads_would_bite(browser: Any, tmp_path: Path) -> None:
    """Without escaping they run scripts and make requests: the check above can fail."""
    harmless = []  # outside a template, or a link's address
    for payload in PAYLOADS:
        body = f"<input value='{payload}'><p>{payload}</p><script>text='{payload}'</script>"
        with opened(browser, page_of(tmp_path, body)) as (page, faults):
            page.wait_for_timeout(50)
            asked = any(fault.startswith("it asks for") for fault in faults)
            if not asked and not page.evaluate("'pwned' in window"):
                harmless.append(payload)
    assert harmless == [PAYLOADS[7], PAYLOADS[9]]


def test_the_policy_lets_no_other_script_run(browser: Any, plain: Path, tmp_path: Path) -> None:
    """Where escaping fails, the page's own policy is still there."""
    content = plain.read_text()
    assert content.count("</main>") == 1
    bad = PAYLOADS[0] + PAYLOADS[2] + '<img src="http://pwned.invalid/1">'
    file = tmp_path / "bad.html"
    file.write_text(content.replace("</main>", bad + "</main>"))
    with opened(browser, file) as (page, faults):
        page.wait_for_timeout(200)
        assert not page.evaluate("'pwned' in window")
        assert any("Content Security Policy" in fault for fault in faults)
        assert any(fault.startswith("it asks for") for fault in faults)
        assert not any(fault.startswith("it would reach") for fault in faults)
        assert page.locator(".explorer output").first.inner_text()  # the page's own script ran


# What a reader sees

LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True},
}


@pytest.mark.parametrize("look", LOOKS)
def test_it_fits_its_window(quiet: Any, plain: Path, look: str, tmp_path: Path) -> None:
    with quiet(plain, **LOOKS[look]) as page:
        page.screenshot(path=tmp_path / f"{look}.png", full_page=True)
        assert page.evaluate(WIDTH) <= page.viewport_size["width"]


@pytest.mark.parametrize("look", ["light", "phone"])
def test_so_it_does_with_long_names(quiet: Any, hostile: Path, look: str, tmp_path: Path) -> None:
    with quiet(hostile, **LOOKS[look]) as page:
        page.screenshot(path=tmp_path / f"hostile-{look}.png")
        assert page.evaluate(WIDTH) <= page.viewport_size["width"]


WIDTH = "document.documentElement.scrollWidth"


@pytest.mark.parametrize("look", ["light", "dark"])
def test_text_stands_out(quiet: Any, plain: Path, look: str) -> None:
    with quiet(plain, **LOOKS[look]) as page:
        page.locator("details:not([open]) > summary").evaluate_all("all => all.map(s => s.click())")
        assert faint_texts(page) == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (look == "dark")


@pytest.mark.parametrize(
    ("style", "found"),
    [
        ("color: #767676", []),  # 4.54
        ("color: #787878", ["words: 4.42"]),
        ("color: #000; opacity: 0.5", ["words: 3.98"]),
        ("color: #fff; background: #000", []),
        ("color: #333; background: #222", ["words: 1.26"]),
    ],
)
def test_faint_text_is_found(browser: Any, tmp_path: Path, style: str, found: list[str]) -> None:
    with opened(browser, page_of(tmp_path, f"<p style='{style}'>words")) as (page, _):
        assert faint_texts(page) == found


def test_everything_has_a_name(quiet: Any, browser: Any, plain: Path, tmp_path: Path) -> None:
    with quiet(plain) as page:
        names = accessible_names(page)
        assert all(name for _, name in names), [role for role, name in names if not name]
        assert {"link", "slider", "image"} <= {role for role, _ in names}
        assert ("slider", "Seed") in names
    bare = page_of(tmp_path, "<input type=range><a href='#x'></a><svg role=img></svg><button>b")
    with opened(browser, bare) as (page, _):
        assert [name for _, name in accessible_names(page)] == ["", "", "", "b"]


def test_headings_are_in_order(quiet: Any, plain: Path) -> None:
    with quiet(plain) as page:
        levels = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all(
            "all => all.map(each => Number(each.localName[1]))"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.title()


def test_what_scrolls_can_be_scrolled_by_keyboard(quiet: Any, plain: Path) -> None:
    with quiet(plain, viewport=PHONE) as page:
        page.locator("details:not([open]) > summary").evaluate_all("all => all.map(s => s.click())")
        stuck = page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((each) =>
                 each.scrollWidth > each.clientWidth + 1
                 && ["auto", "scroll"].includes(getComputedStyle(each).overflowX)
                 && each.tabIndex < 0).map((each) => each.outerHTML.slice(0, 80))"""
        )
        assert stuck == []


def test_without_javascript_it_can_be_read(quiet: Any, plain: Path) -> None:
    with quiet(plain, java_script_enabled=False) as page:
        assert page.locator("h2").first.is_visible()
        tables = page.locator("table").all()
        assert len(tables) >= 3
        assert page.locator("table").first.is_visible()
        assert page.locator(".explorer-table").first.is_visible()
        assert not page.locator(".explorer-bench").first.is_visible()
        assert not [slider for slider in page.locator("input").all() if slider.is_visible()]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_on_paper_it_is_dark_on_white(quiet: Any, plain: Path, tmp_path: Path, look: str) -> None:
    with quiet(plain, **LOOKS[look]) as page:
        page.emulate_media(media="print")
        assert page.locator("table").first.is_visible()
        assert page.locator(".explorer-table").first.is_visible()
        assert not page.locator(".explorer-bench").first.is_visible()
        assert faint_texts(page) == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
        paper = page.pdf(path=tmp_path / f"{look}.pdf")
        assert paper.startswith(b"%PDF")
        assert len(re.findall(rb"/Type\s*/Page\b", paper)) > 1


def test_two_runs_fit_in_three_megabytes(plain: Path) -> None:
    assert plain.stat().st_size <= MOST_BYTES
