"""The report's explorer: its tiles are what the commands draw, where its sliders look for them."""

import base64
import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.report.explorer import (
    BUDGET,
    COLUMNS,
    PSIS,
    QUALITIES,
    SEEDS,
    WAY_SEEDS,
    WAY_STEPS,
    Explorer,
    Slider,
    View,
    atlas,
    explore,
    explorer_of,
    mixing_view,
    way_view,
)
from benchmarks.trained import Trained, load_trained
from eval.latents import images_of, mixing_grid, seeded_z, truncation_grid
from training.run_dir import RunDir
from training.sheet import to_uint8

GROUPS = ("coarse", "middle", "fine")
NOT_TRUNCATED = PSIS.index(1.0)


@pytest.fixture(scope="module")
def stylegan(trained: Path) -> Trained:
    return load_trained(RunDir.find(trained / "results", "00000"), None, False, "cpu")


@pytest.fixture(scope="module")
def mixing(stylegan: Trained) -> View:
    return mixing_view(stylegan)


@pytest.fixture(scope="module")
def dcgan(trained: Path) -> Trained:
    return load_trained(RunDir.find(trained / "results", "00001"), None, False, "cpu")


@pytest.fixture(scope="module")
def explorer(trained: Path) -> Explorer:
    found = explore(RunDir.all(trained / "results"), "cpu")
    assert found
    return found


def shown(view: View, *positions: int) -> Tensor:
    """The tile [3, H, W] that sliders at these positions show, as the page looks for it."""
    strides = [slider.stride for slider in view.sliders]
    place = sum(at * stride for at, stride in zip(positions, strides, strict=True))
    return view.tiles[view.places[place]]


def assert_same(tile: Tensor, image: Tensor) -> None:
    """Equal but for how a network rounds in batches of another size."""
    assert (tile.int() - image.int()).abs().max() <= 1


# A StyleGAN's tiles


@pytest.mark.parametrize("group", GROUPS)
def test_a_source_gives_a_group_as_in_bench_mix(
    stylegan: Trained, mixing: View, group: str
) -> None:
    generator = stylegan.generator
    ws = generator.map(seeded_z(stylegan.gan, SEEDS))
    expected = to_uint8(mixing_grid(generator, ws, ws, generator.select(group)))
    for a in SEEDS:
        for b in SEEDS:
            sources = [b if name == group else a for name in GROUPS]
            assert_same(shown(mixing, a, NOT_TRUNCATED, *sources), expected[a, b])


def test_three_sources_mix_and_then_truncate(stylegan: Trained, mixing: View) -> None:
    """Truncation after mixing: per layer it is the same, so the order must not matter."""
    generator = stylegan.generator
    a, b, c = generator.map(seeded_z(stylegan.gan, [3, 1, 2])).split(1)
    middle, fine = generator.select("middle"), generator.select("fine")
    ws = generator.mix(generator.mix(a, b, middle), c, fine)
    for psi, value in enumerate(PSIS):
        pulled = generator.w_avg + value * (ws - generator.w_avg)
        expected = to_uint8(images_of(generator.synthesize, pulled))[0]
        assert_same(shown(mixing, 0, psi, 3, 1, 2), expected)


def test_psi_pulls_as_in_bench_truncate_in_the_sliders_and_in_the_table(
    stylegan: Trained, mixing: View
) -> None:
    images = to_uint8(truncation_grid(stylegan.generator, seeded_z(stylegan.gan, SEEDS), PSIS))
    for psi in range(len(PSIS)):
        for seed in SEEDS:
            assert_same(shown(mixing, seed, psi, seed, seed, seed), images[psi, seed])
            assert_same(mixing.tiles[mixing.table[seed][psi]], images[psi, seed])


def test_psi_0_is_one_face_and_no_other_two_faces_share_a_tile(mixing: View) -> None:
    places = torch.tensor(mixing.places).view(len(PSIS), -1)
    assert len(places[PSIS.index(0.0)].unique()) == 1
    others = torch.cat([places[psi] for psi, value in enumerate(PSIS) if value])
    assert len(others.unique()) == len(others) == 5 * 4**3
    assert len(mixing.tiles) == len(torch.tensor(mixing.places).unique()) == 321
    assert len(mixing.tiles.flatten(1).unique(dim=0)) > 300  # they do differ


def test_sliders_reach_every_place_once(mixing: View) -> None:
    _, *free = mixing.sliders
    positions = [range(len(slider.words) - slider.follows) for slider in free]
    grids = torch.cartesian_prod(*[torch.tensor(list(each)) for each in positions])
    reached = grids @ torch.tensor([slider.stride for slider in free])
    assert sorted(reached.tolist()) == list(range(len(mixing.places)))


def test_a_watcher_hears_of_every_tile(stylegan: Trained) -> None:
    heard = []

    @contextmanager
    def watch(what: str, total: int) -> Iterator[Callable[[int], None]]:
        heard.append(total)
        yield lambda done: heard.append(-done)

    mixing_view(stylegan, watch)
    assert heard[0] == 321
    assert sum(heard) == 0


# Any other family's


def test_a_way_leads_along_the_sphere_from_seed_to_seed(dcgan: Trained) -> None:
    view = way_view(dcgan)
    z = seeded_z(dcgan.gan, WAY_SEEDS).double()
    assert len(view.tiles) == len(WAY_SEEDS) * WAY_STEPS == 40
    for seed in WAY_SEEDS:
        for step in range(WAY_STEPS):
            latent = on_the_sphere(z[seed], z[(seed + 1) % len(WAY_SEEDS)], step / WAY_STEPS)
            image = to_uint8(images_of(dcgan.gan.G, latent[None].float()))[0]
            assert_same(shown(view, seed * WAY_STEPS + step), image)
            assert view.table[seed][step] == view.places[seed * WAY_STEPS + step]
    assert view.sliders[0].words[13] == "seed 2 to 3, 3/5 of the way"
    assert view.sliders[0].words[-1] == "seed 7 to 0, 4/5 of the way"


def on_the_sphere(start: Tensor, end: Tensor, t: float) -> Tensor:
    """As far from the start's direction as `t` says, in the plane of both; lengths go straight."""
    first, other = start / start.norm(), end / end.norm()
    across = other - torch.dot(first, other) * first
    angle = t * torch.arccos(torch.dot(first, other))
    direction = torch.cos(angle) * first + torch.sin(angle) * across / across.norm()
    return direction * ((1 - t) * start.norm() + t * end.norm())


# The atlas


def decoded(uri: str) -> np.ndarray:
    prefix = "data:image/jpeg;base64,"
    assert uri.startswith(prefix)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(prefix)))))


def flat_tiles(count: int) -> Tensor:
    """Tiles of one colour each, as different from their neighbours as colours can be."""
    draws = torch.Generator().manual_seed(0)
    colours = torch.randint(0, 2, (count, 3, 1, 1), generator=draws, dtype=torch.uint8) * 255
    return colours.expand(-1, -1, 64, 64)


def test_a_tile_stands_where_its_number_says_and_does_not_bleed() -> None:
    tiles = flat_tiles(37)
    for quality in (QUALITIES[0], 30):
        picture = decoded(atlas(tiles, quality))
        assert picture.shape == (3 * 64, COLUMNS * 64, 3)
        for number, tile in enumerate(tiles):
            row, column = divmod(number, COLUMNS)
            found = picture[row * 64 :, column * 64 :][:64, :64].astype(int)
            assert abs(found - tile.permute(1, 2, 0).numpy()).max() <= 4


def view_with(tiles: Tensor, trained: Trained) -> View:
    sliders = [Slider("Tile", [""] * len(tiles), 1)]
    return View(trained, "", tiles, range(len(tiles)), sliders, [[0]], [""], [""], "")


def test_quality_gives_way_to_the_budget_and_to_nothing_else(stylegan: Trained) -> None:
    draws = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (321, 3, 64, 64), generator=draws, dtype=torch.uint8)
    assert len(atlas(noise, QUALITIES[0])) > 2 * BUDGET
    noisy = explorer_of([view_with(noise, stylegan), view_with(flat_tiles(40), stylegan)])
    plain = explorer_of([view_with(flat_tiles(321), stylegan)])
    assert quality_of(noisy) < quality_of(plain) == QUALITIES[0]
    uris = re.findall(r"data:[^)]*", noisy.css)
    assert len(uris) == 2
    assert 0.8 * BUDGET < sum(map(len, uris)) <= BUDGET
    assert [decoded(uri).shape[0] for uri in uris] == [21 * 64, 3 * 64]


def quality_of(explorer: Explorer) -> int:
    """What the page says of its pictures."""
    (said,) = set(re.findall(r"JPEG, quality (\d+)", explorer.html))
    return int(said)


# The page's part


class Elements(HTMLParser):
    """Every element's attributes, and those of what is around it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        assert not self.open, "an element that is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        hidden = [name for name, around in self.open if "hidden" in around]
        self.found.append((tag, attributes, hidden))
        if tag != "input":
            self.open.append((tag, attributes))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag


def test_without_a_script_the_table_is_there_and_no_slider(explorer: Explorer) -> None:
    elements = Elements(explorer.html).found
    sliders = [hidden for tag, attributes, hidden in elements if attributes.get("type") == "range"]
    assert len(sliders) == 5 + 1
    assert all(sliders)
    cells = [hidden for tag, _, hidden in elements if tag == "td"]
    assert len(cells) == 1 + 4 * 6 + 1 + 8 * 5
    assert not any(cells)


def test_the_page_needs_nothing_from_elsewhere(explorer: Explorer) -> None:
    for _, attributes, _ in Elements(explorer.html).found:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href")]
    assert set(re.findall(r"url\(([^,]*),", explorer.css)) == {"data:image/jpeg;base64"}
    for text in (explorer.html, explorer.css, explorer.js):
        assert "//" not in re.sub(r"base64,[^)]*|^ *//.*$", "", text, flags=re.MULTILINE)
        assert "import" not in text
    assert not re.search(r"eval|innerHTML|document\.write|fetch|</", explorer.js)


def test_it_says_what_it_shows(explorer: Explorer, stylegan: Trained) -> None:
    assert stylegan.title in explorer.html
    assert "EMA weights" in stylegan.title
    assert "Nobody chose the seeds" in explorer.html
    assert "coarse layers 0-2 (4, 8, 8 px)" in explorer.html


def test_names_are_escaped(trained: Path, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>'\"&{{7*7}}"
    source = RunDir.find(trained / "results", "00001").path
    found = explore([RunDir(shutil.copytree(source, tmp_path / hostile))], "cpu")
    assert found
    assert "<img" not in found.html
    assert "&lt;img src=x onerror=alert(1)&gt;&#39;&#34;&amp;{{7*7}}, kimg" in found.html


# Which runs


def copied(source: Path, name: str, started: float) -> RunDir:
    run = RunDir(shutil.copytree(source, source.parents[1] / "copies" / name))
    run.set_status("finished", started=started)
    return run


def test_the_newest_run_that_can_be_drawn_stands_for_its_family(trained: Path) -> None:
    source = RunDir.find(trained / "results", "00001").path
    old, new, bare, damaged = (
        copied(source, f"00001-{name}", started)
        for started, name in enumerate(("old", "new", "bare", "damaged"))
    )
    shutil.rmtree(bare.path / "snapshots")
    weights = damaged.snapshot()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    found = explore([new, damaged, bare, old], "cpu")
    assert found
    assert re.findall("00001-([a-z]*)", found.html) == ["new"]
    assert explore([damaged, bare], "cpu") is None
    assert explore([], "cpu") is None
