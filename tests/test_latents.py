"""Seeds, style mixing and truncation: against their definitions, and as commands."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.cli import main
from benchmarks.commands.drawing import seeds_of
from benchmarks.grids import SCALE, Panel, in_rows, with_sources, write_grids
from data.errors import MissingError, UserError
from data.ranges import in_ranges, whole_numbers
from eval.latents import images_of, mixing_grid, seeded_z, truncation_grid
from models.registry import family
from models.stylegan import StyleGAN, StyleGANOptions
from models.stylegan.selectors import describe, groups, select
from tests.conftest import TINY_STYLEGAN, write_pictures
from training.run_dir import RunDir
from training.sheet import to_uint8
from training.snapshot import Weights, load_snapshot

AT_64 = (4, 8, 8, 16, 16, 32, 32, 64, 64, 64)
V1 = (4, 4, 8, 8, 16, 16, 32, 32, 64, 64)
AT_32 = (4, 8, 8, 16, 16, 32, 32, 32)
AT_256 = (*AT_64, 128, 128, 256, 256)


def network_resolutions(variant: str) -> tuple[int, ...]:
    with torch.device("meta"):
        gan = family("stylegan").build(family("stylegan").resolve(variant, {}))
    return tuple(gan.G.resolutions)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    """The same images but for how a network rounds in batches of another size."""
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def gan() -> StyleGAN:
    """A small generator that uses all of its parts, noise and a mean style included."""
    torch.manual_seed(0)
    gan = family("stylegan").build(StyleGANOptions(**TINY_STYLEGAN))
    assert isinstance(gan, StyleGAN)
    for name, parameter in gan.G.named_parameters():
        if "noise" in name or "bias" in name:
            nn.init.normal_(parameter)
    gan.G.w_avg.normal_()
    gan.G.eval().requires_grad_(False)
    return gan


@pytest.fixture
def sources(gan: StyleGAN) -> tuple[Tensor, Tensor]:
    """ws of three seeds and of two others."""
    return gan.G.map(seeded_z(gan, [0, 1, 2])), gan.G.map(seeded_z(gan, [10, 11]))


# Selectors


@pytest.mark.parametrize("variant", list(family("stylegan").variants))
def test_groups_share_out_the_layers_of_every_variant(variant: str) -> None:
    check_groups(network_resolutions(variant))


@pytest.mark.parametrize("resolutions", [AT_64, V1, AT_32, AT_256, (4,), (4, 8, 16)])
def test_groups_share_out_the_layers_of_any_network(resolutions: tuple[int, ...]) -> None:
    check_groups(resolutions)


def check_groups(resolutions: tuple[int, ...]) -> None:
    found = groups(resolutions)
    assert list(found) == ["coarse", "middle", "fine"]
    everything = [layer for layers in found.values() for layer in layers]
    assert everything == list(range(len(resolutions))) == select("all", resolutions)
    pixels = {name: {resolutions[layer] for layer in layers} for name, layers in found.items()}
    assert pixels["coarse"] <= {4, 8}
    assert pixels["middle"] <= {16, 32}
    assert min(pixels["fine"], default=64) >= 64


@pytest.mark.parametrize(
    ("selector", "resolutions", "layers"),
    [
        ("coarse", AT_64, [0, 1, 2]),
        ("coarse", V1, [0, 1, 2, 3]),
        ("middle", AT_64, [3, 4, 5, 6]),
        ("fine", AT_64, [7, 8, 9]),
        ("fine", AT_256, [7, 8, 9, 10, 11, 12, 13]),
        ("px:4,8", AT_64, [0, 1, 2]),
        ("px:64,4", V1, [0, 1, 8, 9]),
        ("layers:0-3", AT_64, [0, 1, 2, 3]),
        ("layers:0,2,5-7", AT_64, [0, 2, 5, 6, 7]),
        ("layers:5-7, 0,6", AT_64, [0, 5, 6, 7]),
    ],
)
def test_selectors(selector: str, resolutions: tuple[int, ...], layers: list[int]) -> None:
    assert select(selector, resolutions) == layers


@pytest.mark.parametrize(
    ("selector", "resolutions", "words"),
    [
        ("corse", AT_64, "layers 0-9 (4, 8, 8, 16, 16, 32, 32, 64, 64, 64 px)"),
        ("corse", AT_64, "write coarse, middle, fine, all, or numbers out of px:4,8,16,32,64"),
        ("", AT_64, "no such layers"),
        ("px:", AT_64, "no such layers"),
        ("layers:", AT_64, "layers:0-9"),
        ("layers:10", AT_64, "no layer 10"),
        ("layers:0-10", AT_64, "no layer 10"),
        ("layers:3-1", AT_64, "3-1 runs backwards; write 1-3"),
        ("layers:-1", AT_64, "'-1' is no whole number or range"),
        ("layers:0-99999999999", AT_64, "no whole number or range"),
        ("layers:0-9999999999", AT_64, "more than 4,096 numbers"),
        ("px:4,5", AT_64, "no 5 px"),
        ("px:four", AT_64, "'four' is no whole number"),
        ("fine", AT_32, "no such layers; it has layers 0-7 (4, 8, 8, 16, 16, 32, 32, 32 px)"),
        ("fine", AT_32, "write coarse, middle, all, or"),
    ],
)
def test_mistakes_in_selectors_say_what_the_network_has(
    selector: str, resolutions: tuple[int, ...], words: str
) -> None:
    with pytest.raises(UserError, match=re.escape(words)) as error:
        select(selector, resolutions)
    assert str(error.value).startswith(f"--layers {selector}")


def test_layers_in_words() -> None:
    assert describe([0, 1, 2], AT_64) == "layers 0-2 (4, 8, 8 px)"
    assert describe([0, 1, 5], V1) == "layers 0-1, 5 (4, 4, 16 px)"
    assert describe([9], V1) == "layer 9 (64 px)"


def test_ranges_of_whole_numbers() -> None:
    assert whole_numbers("--seeds", "0,5,9-12, 3") == [0, 5, 9, 10, 11, 12, 3]
    assert in_ranges([0, 5, 9, 10, 11, 12, 3]) == "0, 5, 9-12, 3"
    assert len(whole_numbers("--seeds", "1-4096")) == 4096


# Latents


def test_a_seed_gives_one_latent_on_every_machine(gan: StyleGAN) -> None:
    torch.manual_seed(1)
    z = seeded_z(gan, [7, 0, 7])
    expected = [1.5410, -0.2934, -2.1788, 0.5684, -1.0845, -1.3986, 0.4033, 0.8380]
    torch.testing.assert_close(z[1], torch.tensor(expected), rtol=0, atol=5e-5)
    assert torch.equal(z[0], z[2]), "neighbours and the global generator have no say"
    assert not torch.equal(z[0], z[1])


def test_images_do_not_depend_on_batches(gan: StyleGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    z = seeded_z(gan, range(5))
    whole = images_of(gan.G, z)
    monkeypatch.setattr("eval.latents.BATCH", 2)
    assert_close(images_of(gan.G, z), whole)


# Mixing


def test_no_layers_leave_the_rows_and_all_layers_give_the_columns(
    gan: StyleGAN, sources: tuple[Tensor, Tensor]
) -> None:
    rows, cols = sources
    everything = gan.G.select("all")
    assert torch.equal(gan.G.mix(rows[:2], cols, []), rows[:2])
    assert torch.equal(gan.G.mix(rows[:2], cols, everything), cols)
    a, b = (images_of(gan.G.synthesize, ws) for ws in (rows, cols))
    none, full = (mixing_grid(gan.G, rows, cols, layers) for layers in ([], everything))
    assert_close(none, a[:, None].expand_as(none))
    assert_close(full, b[None].expand_as(full))


@pytest.mark.parametrize("selector", ["coarse", "middle", "fine", "px:8", "layers:2,4-5"])
def test_a_cell_is_its_rows_styles_but_for_its_columns_layers(
    gan: StyleGAN, sources: tuple[Tensor, Tensor], selector: str
) -> None:
    rows, cols = sources
    layers = gan.G.select(selector)
    grid = mixing_grid(gan.G, rows, cols, layers)
    assert grid.shape == (3, 2, 3, 64, 64)
    for r, a in enumerate(rows):
        for c, b in enumerate(cols):
            styles = [b[i] if i in layers else a[i] for i in range(len(gan.G.resolutions))]
            expected = gan.G.synthesize(torch.stack(styles)[None])[0]
            assert_close(grid[r, c], expected)
    assert not torch.allclose(grid[0, 0], grid[0, 1]), "the columns have their say"


def test_a_groups_styles_act_from_its_resolution_on(
    gan: StyleGAN, sources: tuple[Tensor, Tensor]
) -> None:
    """What is computed before the first swapped layer is the row's own, bit for bit."""
    rows, cols = (ws[:2] for ws in sources)
    for group, layers in groups(gan.G.resolutions).items():
        before = maps(gan, rows)
        after = maps(gan, gan.G.mix(rows, cols, layers))
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            assert torch.equal(old, new) == (index < layers[0]), (group, index)


def maps(gan: StyleGAN, ws: Tensor) -> list[Tensor]:
    """What each convolution of the synthesis puts out."""
    found: list[Tensor] = []
    hooks = [
        conv.register_forward_hook(lambda *call: found.append(call[2]))
        for conv in gan.G.synthesis.convs
    ]
    gan.G.synthesize(ws)
    for hook in hooks:
        hook.remove()
    return found


# Truncation


def test_truncated_styles_lie_on_the_line_through_the_mean(gan: StyleGAN) -> None:
    z = seeded_z(gan, range(4))
    w = gan.G.mapping(z)
    for psi in (-1.0, -0.5, 0.0, 0.5, 0.7, 1.0, 2.0):
        expected = gan.G.w_avg + psi * (w - gan.G.w_avg)
        for layer in gan.G.map(z, psi).unbind(1):
            torch.testing.assert_close(layer, expected)


def test_rows_of_a_truncation_grid(gan: StyleGAN) -> None:
    z = seeded_z(gan, range(4))
    grid = truncation_grid(gan.G, z, [1, 0, -1, 1.5])
    assert grid.shape == (4, 4, 3, 64, 64)
    assert_close(grid[0], gan.G(z))
    mean = gan.G.synthesize(gan.G.w_avg.expand(1, len(gan.G.resolutions), -1))
    assert_close(grid[1], mean.expand_as(grid[1]))
    assert_close(grid[2], gan.G.synthesize(2 * gan.G.w_avg - gan.G.map(z)))
    assert not torch.allclose(grid[3], grid[0])


def test_a_cutoff_leaves_the_layers_behind_it(gan: StyleGAN) -> None:
    z = seeded_z(gan, range(2))
    w = gan.G.map(z)
    for cutoff in (1, 3, len(gan.G.resolutions)):
        cut = gan.G.map(z, 0.5, cutoff)
        assert torch.equal(cut[:, cutoff:], w[:, cutoff:])
        torch.testing.assert_close(cut[:, :cutoff], (w[:, :cutoff] + gan.G.w_avg) / 2)
        expected = gan.G.synthesize(cut)
        assert_close(truncation_grid(gan.G, z, [0.5], cutoff)[0], expected)


# Pictures


def coloured(rows: int, cols: int, size: int = 16) -> Tensor:
    """Images of one colour each, [rows, cols, 3, size, size], that no text has."""
    colours = torch.zeros(rows, cols, 3, dtype=torch.uint8)
    colours[..., 0] = 200
    colours[..., 1] = torch.arange(rows)[:, None] * 10
    colours[..., 2] = torch.arange(cols) * 10
    return colours[..., None, None].expand(-1, -1, -1, size, size)


def box(picture: np.ndarray, colour: Sequence[int]) -> tuple[int, int, int, int]:
    """Where a colour is: left, top, right, bottom; it must fill that box."""
    ys, xs = np.nonzero((picture == np.asarray(colour)).all(-1))
    left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    assert len(xs) == (right - left) * (bottom - top)
    return int(left), int(top), int(right), int(bottom)


def draw(folder: Path, panels: Sequence[Panel], title: Sequence[str] = ("title",)) -> np.ndarray:
    write_grids(folder / "grid.png", title, panels)
    assert [path.name for path in folder.iterdir()] == ["grid.png"]
    return read(folder / "grid.png")


def read(path: str | Path) -> np.ndarray:
    """A picture's pixels, [H, W, 3]."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def boxes(picture: np.ndarray, images: Tensor) -> list[list[tuple[int, int, int, int]]]:
    return [[box(picture, image[:, 0, 0].tolist()) for image in row] for row in images]


@pytest.mark.parametrize("sources", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_grid_is_aligned_and_shows_every_pixel(
    tmp_path: Path, sources: bool, labelled: bool
) -> None:
    images = coloured(3, 4)
    labels = {"rows": ["psi 1", "", "psi -0.5"], "cols": ["a", "b", "c", "d"]} if labelled else {}
    picture = draw(tmp_path, [Panel(images, sources=sources, **labels)])
    found = boxes(picture, images)
    for row in found:
        assert len({(top, bottom) for _, top, _, bottom in row}) == 1
    for col in zip(*found, strict=True):
        assert len({(left, right) for left, _, right, _ in col}) == 1
    lefts, tops = [b[0] for b in found[0]], [row[0][1] for row in found]
    for starts in (lefts, tops):
        steps = np.diff(starts)
        assert (steps[1:] == 16 * SCALE + 4).all()
        assert (steps[0] > steps[1]) == sources, "sources stand apart"
    left, top, right, bottom = found[0][0]
    assert (right - left, bottom - top) == (16 * SCALE, 16 * SCALE)
    last = found[-1][-1]
    assert picture.shape[1] - last[2] >= 20 <= picture.shape[0] - last[3], "there is a margin"
    assert has_ink(picture[: top - 24]), "the title"
    assert has_ink(picture[top:bottom, :left]) == labelled
    assert has_ink(picture[top - 10 : top, left:right]) == labelled


def has_ink(part: np.ndarray) -> bool:
    return bool((part < 128).all(-1).any())


def test_panels_stand_below_each_other_with_their_headings(tmp_path: Path) -> None:
    images = coloured(2, 2)
    panels = [Panel(images[:1], heading="one"), Panel(images[1:], heading="two")]
    picture = draw(tmp_path, panels)
    upper, lower = (row[0] for row in boxes(picture, images))
    assert upper[0] == lower[0]
    assert has_ink(picture[upper[3] : lower[1]])


def test_a_picture_is_as_wide_as_its_longest_line(tmp_path: Path) -> None:
    long = "a title that is longer than its one image is wide"
    picture = draw(tmp_path, [Panel(coloured(1, 1))], [long])
    assert picture.shape[1] > 16 * SCALE + 40
    assert not has_ink(picture[:, -20:])


def test_a_pixel_is_a_square_of_equal_ones(tmp_path: Path) -> None:
    frame = torch.full((3, 18, 18), 7, dtype=torch.uint8)
    noise = torch.randint(10, 250, (3, 16, 16), dtype=torch.uint8)
    frame[:, 1:17, 1:17] = noise
    picture = draw(tmp_path, [Panel(frame[None, None], captions=["seed 0"])])
    ys, xs = np.nonzero((picture == 7).all(-1))
    shown = picture[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    inner = torch.from_numpy(shown.copy()).permute(2, 0, 1)[:, SCALE:-SCALE, SCALE:-SCALE]
    for offset in range(SCALE):
        assert torch.equal(inner[:, offset::SCALE, offset::SCALE], noise)
    assert has_ink(picture[ys.max() + 1 :]), "the caption"


def test_what_is_left_of_a_row_and_the_corner_of_sources_are_paper() -> None:
    images = coloured(1, 5)[0]
    rows = in_rows(images, 3)
    assert rows.shape == (2, 3, 3, 16, 16)
    assert torch.equal(rows.flatten(0, 1)[:5], images)
    assert (rows[1, 2] == 255).all()
    grid = with_sources(images[:2], images[2:], coloured(2, 3))
    assert grid.shape == (3, 4, 3, 16, 16)
    assert (grid[0, 0] == 255).all()
    assert torch.equal(grid[0, 1:], images[2:])
    assert torch.equal(grid[1:, 0], images[:2])
    assert torch.equal(grid[1:, 1:], coloured(2, 3))


# The commands


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Bench = Callable[..., Result]


@pytest.fixture
def bench(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    """Run `bench` where there are two runs."""
    monkeypatch.chdir(trained)

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as ending:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Result(int(ending.value.code or 0), printed.out, printed.err)

    return call


def contains(picture: Path, image: Tensor) -> bool:
    """Whether a picture shows a uint8 image [3, H, W], enlarged, somewhere."""
    return next(places_of(picture, image), None) is not None


def places_of(picture: Path, image: Tensor) -> Iterator[tuple[int, int]]:
    """Where a picture shows it: upper left corners, as (y, x)."""
    pixels = read(picture)
    block = image.repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2).permute(1, 2, 0).numpy()
    height, width, _ = block.shape
    ys, xs = np.nonzero(near(pixels[: 1 - height, : 1 - width], block[0, 0]).all(-1))
    for y, x in zip(ys, xs, strict=True):
        if near(pixels[y : y + height, x : x + width], block).all():
            yield int(y), int(x)


def image_of(snapshot: Path, seed: int, weights: Weights = "ema") -> Tensor:
    """A uint8 image [3, H, W] out of a snapshot."""
    gan = load_snapshot(snapshot, weights)
    with torch.no_grad():
        return to_uint8(gan.G(seeded_z(gan, [seed])))[0]


def near(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Equal but for how a network rounds in batches of another size."""
    return abs(a.astype(int) - b) <= 1


def test_mixing_by_group_says_what_is_swapped_and_who_gives_what(bench: Bench) -> None:
    result = bench("mix", "--rows=0-1", "--cols=5,7")
    *lines, path = result.out.splitlines()
    assert result.code == 0
    assert lines[:3] == [
        "coarse: layers 0-2 (4, 8, 8 px) from the columns",
        "middle: layers 3-6 (16, 16, 32, 32 px) from the columns",
        "fine: layers 7-9 (64, 64, 64 px) from the columns",
    ]
    assert "from B, above it, and everything else from A, on its left" in lines[3]
    assert path == "results/00000-stylegan-tiny-pictures/mix.png"
    one = bench("mix", "00000", "--layers=coarse", "--rows=0-1", "--cols=5,7")
    assert one.out.splitlines()[0] == lines[0]
    assert one.out.splitlines()[-1] == "results/00000-stylegan-tiny-pictures/mix-coarse.png"
    heights, widths, _ = zip(
        *(read(r.out.splitlines()[-1]).shape for r in (result, one)), strict=True
    )
    assert widths[0] == widths[1]
    assert 2 < heights[0] / heights[1] < 3


def test_the_picture_of_a_mix_holds_its_sources_and_its_mixtures(bench: Bench) -> None:
    result = bench("mix", "--layers=px:4,8", "--rows=0-1", "--cols=5")
    path = Path(result.out.splitlines()[-1])
    assert path.name == "mix-px-4,8.png"
    gan = load_snapshot(RunDir.find(Path("results"), "00000").snapshot())
    assert isinstance(gan, StyleGAN)
    with torch.no_grad():
        a, b = (gan.G.map(seeded_z(gan, seeds)) for seeds in ([0, 1], [5]))
        mixed = mixing_grid(gan.G, a, b, [0, 1, 2])[:, 0]
        for image in to_uint8(torch.cat([gan.G.synthesize(torch.cat([a, b])), mixed])):
            assert contains(path, image)
    assert not contains(path, image_of(RunDir.find(Path("results"), "00000").snapshot(), 6))


def test_truncation_as_a_command(bench: Bench) -> None:
    result = bench("truncate", "--psi", "-1,0,1.5", "--seeds=0-2", "--out=t.png")
    assert (result.code, result.out) == (0, "t.png\n")
    height, width, _ = read("t.png").shape
    assert 3 * 132 < width < 3 * 132 + 120
    assert 3 * 132 < height < 3 * 132 + 140
    gan = load_snapshot(RunDir.find(Path("results"), "00000").snapshot())
    assert isinstance(gan, StyleGAN)
    mean = gan.G.synthesize(gan.G.w_avg.expand(1, 10, -1)).detach()
    assert contains(Path("t.png"), to_uint8(mean)[0])
    assert bench("truncate", "--cutoff=3", "--seeds=0").out.endswith("/truncate.png\n")


@pytest.mark.parametrize("run", ["00000", "00001"])
def test_seeds_as_a_command_for_either_family(bench: Bench, run: str) -> None:
    result = bench("generate", run, "--seeds=3,8-16", "--out=g.png")
    assert (result.code, result.out) == (0, "g.png\n")
    assert read("g.png").shape[1] == 8 * 132 - 4 + 40
    bench("generate", run, "--seeds=3,8-16", "--out=raw.png", "--raw")
    snapshot = RunDir.find(Path("results"), run).snapshot()
    average, raw = image_of(snapshot, 11), image_of(snapshot, 11, "raw")
    for file, shown, other in (("g.png", average, raw), ("raw.png", raw, average)):
        assert contains(Path(file), shown)
        assert not contains(Path(file), other)


def test_generate_draws_from_the_latest_run_and_the_newest_snapshot(bench: Bench) -> None:
    assert (
        bench("generate", "--seeds=0").out == "results/00001-dcgan-simple-pictures/generate.png\n"
    )
    run = RunDir.find(Path("results"), "latest")
    assert contains(run.path / "generate.png", image_of(run.snapshot(0.012), 0))
    bench("generate", "--seeds=0", "--kimg=0.008", "--out=k.png")
    for kimg, shown in ((0.008, True), (0.012, False)):
        assert contains(Path("k.png"), image_of(run.snapshot(kimg), 0)) == shown


def test_a_snapshot_is_found_by_the_kimg_that_its_step_reached(
    tmp_path: Path, trained: Path
) -> None:
    run = RunDir(tmp_path)
    config = trained / "results" / "00000-stylegan-tiny-pictures" / "config.json"
    (tmp_path / "config.json").write_bytes(config.read_bytes())  # batches of four
    with pytest.raises(MissingError, match="no snapshot yet"):
        run.snapshot()
    (tmp_path / "snapshots").mkdir()
    for nimg in (28, 1002, 40_003, 80_004):
        (tmp_path / "snapshots" / f"{nimg:09d}.safetensors").touch()
    (tmp_path / "snapshots" / ".partial-1-000090000.safetensors").touch()
    assert run.snapshot().stem == "000080004"
    for kimg, stem in (
        (0.028, 28),
        (1, 1002),
        (1.002, 1002),
        (40, 40_003),
        (40.003, 40_003),
        (80, 80_004),
    ):
        assert int(run.snapshot(kimg).stem) == stem
    for kimg in (79, 80.01, 0, -1, float("nan"), float("inf")):
        with pytest.raises(MissingError, match=re.escape("it has 0.028, 1.002, 40.003, 80.004")):
            run.snapshot(kimg)


def test_latest_can_be_of_a_family(trained: Path, tmp_path: Path) -> None:
    results = trained / "results"
    assert RunDir.find(results, "latest").id.startswith("00001-dcgan")
    assert RunDir.find(results, "latest", "stylegan").id.startswith("00000-stylegan")
    (tmp_path / "00009-broken").mkdir()
    (tmp_path / "00009-broken" / "config.json").write_text("{")
    with pytest.raises(MissingError, match="bench run --model stylegan"):
        RunDir.find(tmp_path, "latest", "stylegan")


@pytest.mark.parametrize(
    "arguments",
    [
        ["mix"],
        ["truncate", "--seeds=0-2"],
        ["latents", "--variables=1,2"],
        ["latents", "--study=gaussian", "--seeds=0-7"],
    ],
)
def test_the_same_command_twice_is_the_same_bytes(bench: Bench, arguments: list[str]) -> None:
    written = []
    for _ in range(2):
        assert bench(*arguments, "--out=p.png").code == 0
        written.append(Path("p.png").read_bytes())
    assert written[0] == written[1]


def test_seeds_of_are_no_other_seeds() -> None:
    blocks = [seeds_of(seed, 64) for seed in range(5)]
    assert list(blocks[0]) == list(range(64))
    assert len(set().union(*blocks)) == 5 * 64


# The commands, measuring


def test_a_walk_is_measured(bench: Bench) -> None:
    arguments = ["--variables=2,5", "--seeds=0-7", "--measure"]
    result = bench("latents", "00001", *arguments, "--out=w.png")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[:3] == ["w.png", "w.csv", "w.json"]
    assert lines[3].split()[:2] == ["variable", "moved"]
    table = pd.read_csv("w.csv")
    for line, variable in zip(lines[4:6], (2, 5), strict=True):
        whole = table[(table["variable"] == variable) & (table["attribute"] == "all")]
        counted = whole.set_index("measure")["value"]
        assert line.split()[:2] == [str(variable), f"{counted['count']:.0f}"]
    about = json.loads(Path("w.json").read_text())
    assert (about["study"], about["seed"], about["seeds"]) == ("walk", 0, list(range(8)))
    assert len(about["rows"]) == len(table)
    bench("latents", "00001", *arguments, "--seed=1", "--out=o.png")
    other = pd.read_csv("o.csv")
    slopes = table["measure"] == "slope"
    assert other["value"][slopes].equals(table["value"][slopes]), "the bases are those of --seeds"
    assert not other["low"][slopes].equals(table["low"][slopes]), "the bootstrap is another"


def test_gaussians_are_measured(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "cache"))
    few = {"STDS": (0.4,), "MEANS": (-1.0, 0.0, 1.0), "TREND_BASES": 6}
    for name, value in few.items():
        monkeypatch.setattr(f"eval.studies.gaussian.{name}", value)
    write_pictures(tmp_path / "real", 70)
    arguments = ["--study=gaussian", "--num=64", "--directions=19", "--seeds=0-3", "--measure"]
    written = []
    for seed in (0, 0, 2):
        to = ["--against", str(tmp_path / "real"), f"--seed={seed}", "--out=g.png"]
        result = bench("latents", "00001", *arguments, *to)
        assert result.code == 0, result.err
        written.append([Path(f"g.{end}").read_bytes() for end in ("png", "csv", "json")])
    assert written[0] == written[1]
    assert written[0][0] == written[2][0], "the picture has seeds of its own"
    assert written[0][1] != written[2][1]
    assert result.out.splitlines()[:3] == ["g.png", "g.csv", "g.json"]
    about = json.loads(Path("g.json").read_text())
    assert (about["study"], about["seed"], about["seeds"]) == ("gaussian", 2, "128-191")
    table = pd.read_csv("g.csv")
    assert len(about["rows"]) == len(table)
    assert set(table["kind"]) == {"setting", "trend"}
    assert "with the mean, at std 0.4, of 6 latents at each mean" in result.out
    for _, row in table[table["kind"] == "trend"].iterrows():
        found = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        shown = "none" if row["low"] <= 0 <= row["high"] else found
        random = f"{row['random_median']:.3f} [{row['random_low']:.3f}, {row['random_high']:.3f}]"
        words = f"{row['attribute']} {row['trend']} {shown} {random} {row['p']:.2f}"
        assert words in " ".join(result.out.split())
    level = table[(table["kind"] == "setting") & (table["mean"] == 1)]
    for value in level["value"]:
        assert f"{value:.3f}" in result.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["mix", "00001"], 2, "no styles to swap and no mean w to pull to"),
        (
            ["truncate", "00001"],
            2,
            "it has `bench latents --study walk`, `bench latents",
        ),
        (["mix", "00001"], 2, "`bench directions`, `bench interpolate` and `bench generate`"),
        (["mix", "--seed=-1"], 2, "--seed"),
        (["latents", "--seed=4294967296"], 2, "--seed"),
        (["truncate", "--measure", "--against=nowhere"], 3, "nowhere"),
        (["truncate", "--measure"], 2, "has 10 images: 64 are needed"),
        (["latents", "--study=gaussian", "--measure"], 2, "has 10 images: 64 are needed"),
        (["generate", "00001", "--psi=0.7"], 2, "is no StyleGAN"),
        (["generate", "00001", "--cutoff=2"], 2, "is no StyleGAN"),
        (["generate", "00000", "--cutoff=2"], 2, "--cutoff needs --psi"),
        (["generate", "00000", "--cutoff=11", "--psi=0"], 2, "this network has 10 layers"),
        (["generate", "00000", "--psi=nan"], 2, "--psi nan"),
        (["generate", "--seeds=5-"], 2, "--seeds: '5-' is no whole number or range"),
        (["generate", "--seeds=4294967296"], 2, "--seeds 4294967296: seeds are numbers below"),
        (["generate", "--seeds=0-9999"], 2, "more than 4,096"),
        (["generate", "--kimg=7"], 3, "it has 0.008, 0.012"),
        (["generate", "--out=nowhere/g.png"], 2, "there is no folder nowhere"),
        (["generate", "--out=g.jpg"], 2, "end in .png"),
        (["generate", "00007"], 3, "no run 00007"),
        (["truncate", "--cutoff=0"], 2, "--cutoff"),
        (["truncate", "--cutoff=11"], 2, "this network has 10 layers"),
        (["truncate", "--psi=1,"], 2, "--psi 1,: write numbers with commas"),
        (["truncate", "--psi=inf"], 2, "--psi inf"),
        (["truncate", "--seeds=0-999"], 2, "8,000 images"),
        (["mix", "--layers=corse"], 2, "--layers corse: this network has no such layers"),
        (["mix", "--rows=a"], 2, "--rows: 'a'"),
        (["mix", "--rows=0-63", "--cols=0-63"], 2, "12,288 images"),
        (["mix", "--results=elsewhere"], 3, "bench run --model stylegan"),
    ],
)
def test_mistakes_get_one_line_and_an_exit_code(
    bench: Bench, arguments: list[str], code: int, words: str
) -> None:
    result = bench(*arguments)
    assert (result.code, words in result.err) == (code, True), result.err
    assert result.out == ""
