"""Ways from seed to seed: against their formulas, measures of them by hand, and as a command."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor, nn

import benchmarks.studies
import eval.studies.interpolate
from benchmarks.animation import write_webp
from benchmarks.cli import run_command
from benchmarks.commands.interpolate import interpolate
from benchmarks.grids import SCALE
from data.errors import UserError
from eval.extractors import Extractor
from eval.latents import seeded_z
from eval.path_length import slerp
from eval.studies.interpolate import closed_path, path_features, path_images, smoothness
from models.dcgan import DCGANOptions
from models.registry import family
from models.stylegan import StyleGAN, StyleGANOptions
from tests.conftest import TINY, TINY_STYLEGAN
from tests.test_latents import Result, assert_close, contains, image_of, near
from training.run_dir import RunDir


def patches() -> Extractor:
    """The means of a 2x2 grid of patches, [N, 12]."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return Extractor(
        "patches", "0" * 64, 64, "none", 12, "fp32", torch.device("cpu"), network.eval()
    )


@pytest.fixture
def stylegan() -> StyleGAN:
    """A small generator with noise and a mean style."""
    torch.manual_seed(0)
    gan = family("stylegan").build(StyleGANOptions(**TINY_STYLEGAN))
    assert isinstance(gan, StyleGAN)
    for name, parameter in gan.G.named_parameters():
        if "noise" in name:
            nn.init.normal_(parameter)
    gan.G.w_avg.normal_()
    gan.G.eval().requires_grad_(False)
    return gan


# The path


def test_straight_ways_are_the_formulas_and_close_the_loop() -> None:
    points = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).double()
    path = closed_path(points, 7, torch.lerp)
    assert path.shape == (21, 4, 5)
    for way in range(3):
        start, end = points[way], points[(way + 1) % 3]
        for k in range(7):
            expected = start + k / 7 * (end - start)
            torch.testing.assert_close(path[7 * way + k], expected, rtol=0, atol=1e-7)


def test_ways_on_the_sphere_turn_evenly_in_the_plane_of_their_ends() -> None:
    points = torch.randn(3, 16, generator=torch.Generator().manual_seed(0)).double()
    path = closed_path(points, 5, slerp)
    for way in range(3):
        start, end = points[way].numpy(), points[(way + 1) % 3].numpy()
        first = start / np.linalg.norm(start)
        across = end - (end @ first) * first
        across /= np.linalg.norm(across)
        angle = np.arctan2(end @ across, end @ first)
        for k in range(5):
            turned = np.cos(k / 5 * angle) * first + np.sin(k / 5 * angle) * across
            length = np.linalg.norm(start) + k / 5 * (np.linalg.norm(end) - np.linalg.norm(start))
            np.testing.assert_allclose(path[5 * way + k], length * turned, atol=1e-6)


@pytest.mark.parametrize("between", [slerp, torch.lerp])
def test_a_way_begins_with_its_seeds_own_latent_bit_for_bit(
    stylegan: StyleGAN, between: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> None:
    z = seeded_z(stylegan, [3, 1, 4])
    assert torch.equal(closed_path(z, 6, between)[::6], z)


# The images


def test_a_stylegan_goes_straight_in_w(stylegan: StyleGAN) -> None:
    images = path_images(stylegan, [1, 2], 4, psi=0.5, space="w")
    assert images.shape == (8, 3, 64, 64)
    w = stylegan.G.mapping(seeded_z(stylegan, [1, 2]))
    a, b = stylegan.G.w_avg + 0.5 * (w - stylegan.G.w_avg)
    ways = [a + k / 4 * (b - a) for k in range(4)] + [b + k / 4 * (a - b) for k in range(4)]
    ws = torch.stack(ways)[:, None].expand(-1, len(stylegan.G.resolutions), -1)
    assert_close(images, stylegan.G.synthesize(ws, "const"))
    assert not torch.allclose(images, path_images(stylegan, [1, 2], 4, psi=1, space="w"))


def test_a_stylegan_can_go_along_the_sphere_in_z(stylegan: StyleGAN) -> None:
    images = path_images(stylegan, [1, 2], 4, psi=0.5, space="z")
    z = seeded_z(stylegan, [1, 2])
    t = torch.arange(4)[:, None] / 4
    there = slerp(z[:1].expand(4, -1), z[1:].expand(4, -1), t)
    back = slerp(z[1:].expand(4, -1), z[:1].expand(4, -1), t)
    expected = stylegan.G.synthesize(stylegan.G.map(torch.cat([there, back]), 0.5), "const")
    assert_close(images, expected)
    straight = path_images(stylegan, [1, 2], 4, psi=0.5, space="w")
    assert_close(images[::4], straight[::4])
    assert not torch.allclose(images[1], straight[1], atol=1e-3)


def test_a_dcgan_goes_along_the_sphere_in_z() -> None:
    torch.manual_seed(0)
    gan = family("dcgan").build(DCGANOptions(**TINY))
    gan.G.eval().requires_grad_(False)
    z = seeded_z(gan, [5, 6])
    expected = gan.G(slerp(z, z.roll(1, 0), torch.full((2, 1), 0.5)))
    images = path_images(gan, [5, 6], 2)
    assert_close(images[1::2], expected)
    assert_close(images[::2], gan.G(z))


# The measures


def polyline(points: list[list[float]], frames: int, power: float = 1.0) -> np.ndarray:
    """Features of frames on straight ways, at (k / frames) ** power of each."""
    t = (np.arange(frames) / frames)[:, None] ** power
    ends = [*points[1:], points[0]]
    pairs = zip(np.array(points), np.array(ends), strict=True)
    return np.concatenate([a + t * (b - a) for a, b in pairs])


def table_of(features: np.ndarray, seeds: list[int]) -> pd.DataFrame:
    return pd.DataFrame(smoothness(features, seeds)).set_index(["way", "measure"])


def test_straight_even_ways_have_no_detour_and_no_jump() -> None:
    table = table_of(polyline([[0, 0], [3, 4], [3, 0]], 10), [7, 8, 9])
    for way, length in {"seed 7 to 8": 5.0, "seed 8 to 9": 4.0, "seed 9 to 7": 3.0}.items():
        assert table.loc[(way, "length"), "value"] == pytest.approx(length)
        assert table.loc[(way, "detour"), "value"] == pytest.approx(1)
        assert table.loc[(way, "jump"), "value"] == pytest.approx(1)
    mean = table.loc[("mean of 3", "length")]
    assert mean["value"] == pytest.approx(4)
    assert 3 <= mean["low"] < 4 < mean["high"] <= 5


def test_a_jump_is_the_largest_step_over_the_mean_one() -> None:
    table = table_of(polyline([[0, 0], [3, 4], [3, 0]], 4, power=2), [7, 8, 9])
    largest = 1 - (3 / 4) ** 2  # of the way; the mean step is a quarter
    for way in ("seed 7 to 8", "mean of 3"):
        assert table.loc[(way, "jump"), "value"] == pytest.approx(4 * largest)
        assert table.loc[(way, "detour"), "value"] == pytest.approx(1)


def test_a_half_circle_is_a_detour() -> None:
    angles = np.arange(400) / 400 * 2 * np.pi
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)  # two ways: there above, back below
    table = table_of(circle, [0, 1])
    assert table.loc[("seed 0 to 1", "detour"), "value"] == pytest.approx(np.pi / 2, rel=1e-4)
    assert table.loc[("seed 0 to 1", "jump"), "value"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("seeds", "ways"),
    [([0, 1], ["0 to 1"]), ([0, 1, 0, 2], ["0 to 1", "0 to 2"]), ([0, 1, 2], None)],
)
def test_there_and_back_is_one_way_and_two_are_too_few_for_an_interval(
    seeds: list[int], ways: list[str] | None
) -> None:
    points = [[float(seed), seed**2.0] for seed in seeds]
    found = list(dict.fromkeys(row["way"] for row in smoothness(polyline(points, 3), seeds)))
    expected = ways or ["0 to 1", "1 to 2", "2 to 0"]
    assert found == [f"seed {way}" for way in expected] + ([] if ways else ["mean of 3"])


def test_nothing_is_measured_between_equal_faces() -> None:
    features = polyline([[0, 0], [3, 4], [3, 4]], 5)
    with pytest.raises(UserError, match="seeds 8 and 9 give the same face"):
        smoothness(features, [7, 8, 9])


def test_features_are_of_images_before_they_are_rounded() -> None:
    images = torch.zeros(70, 3, 64, 64)
    images[1:] += 1e-3  # an eighth of a level
    found = path_features(patches(), images)
    assert found.shape == (70, 12)
    np.testing.assert_allclose(found[0], 127.5, atol=0.01)
    np.testing.assert_allclose(found[1:], 127.5 + 0.1275, atol=0.01)
    assert path_features(patches(), images + 3).max() == 255


# The animation


def frames_of(path: Path) -> Tensor:
    """An animation's frames at their own size, uint8 [T, 3, H, W]; what is enlarged is equal."""
    found = []
    with Image.open(path) as film:
        for index in range(film.n_frames):
            film.seek(index)
            pixels = torch.from_numpy(np.array(film.convert("RGB"))).permute(2, 0, 1)
            small = pixels[:, ::SCALE, ::SCALE]
            enlarged = small.repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2)
            assert torch.equal(enlarged, pixels)
            found.append(small)
    return torch.stack(found)


def durations(path: Path) -> list[int]:
    with Image.open(path) as film:
        assert film.info["loop"] == 0, "for ever"
        found = []
        for index in range(film.n_frames):
            film.seek(index)
            film.load()
            found.append(film.info["duration"])
    return found


def noise_frames(count: int) -> Tensor:
    draws = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, 10, 12), generator=draws, dtype=torch.uint8)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_animation_holds_every_pixel_of_every_frame(tmp_path: Path, count: int) -> None:
    frames = noise_frames(count)
    write_webp(tmp_path / "film.webp", frames, fps=20)
    assert [path.name for path in tmp_path.iterdir()] == ["film.webp"]
    assert torch.equal(frames_of(tmp_path / "film.webp"), frames)
    if count > 1:
        assert durations(tmp_path / "film.webp") == [50] * count


def test_equal_frames_last_as_long_as_all_of_them(tmp_path: Path) -> None:
    frames = noise_frames(2)[[0, 0, 0, 1]]
    write_webp(tmp_path / "film.webp", frames, fps=20)
    assert sum(durations(tmp_path / "film.webp")) == 4 * 50


def test_labels_stand_above_the_frames(tmp_path: Path) -> None:
    frames = torch.full((2, 3, 20, 40), 7, dtype=torch.uint8)
    write_webp(tmp_path / "film.webp", frames, fps=1, labels=["one", "two"])
    pixels = []
    with Image.open(tmp_path / "film.webp") as film:
        for index in range(2):
            film.seek(index)
            pixels.append(np.array(film.convert("RGB")))
    above = pixels[0].shape[0] - 20 * SCALE
    assert above > 0
    for each in pixels:
        assert (each[above:] == 7).all()
        assert (each[:above] < 128).any()
        assert (each[0] == 255).all()
    assert (pixels[0] != pixels[1]).any()


# The command

Bench = Callable[..., Result]


@pytest.fixture
def bench(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    """Run `bench interpolate` where there are two runs; features are means of patches."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr(benchmarks.studies, "attribute_extractor", lambda device: patches())
    monkeypatch.setattr(eval.studies.interpolate, "PATHS", 20)

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as ending:
            run_command(interpolate, "bench interpolate")
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Result(int(ending.value.code or 0), printed.out, printed.err)

    return call


@pytest.mark.parametrize("run", ["00000", "00001"])
def test_the_strip_and_the_animation_show_the_seeds(bench: Bench, run: str) -> None:
    result = bench(run, "--seeds=3,0,5", "--frames=4", "--out=i.png")
    assert (result.code, result.out) == (0, "i.png\ni.webp\n")
    snapshot = RunDir.find(Path("results"), run).snapshot()
    frames = frames_of(Path("i.webp"))
    assert frames.shape == (12, 3, 64, 64)
    assert durations(Path("i.webp")) == [33] * 12
    for index, seed in ((0, 3), (4, 0), (8, 5)):
        image = image_of(snapshot, seed)
        assert near(frames[index].numpy(), image.numpy()).all()
        assert contains(Path("i.png"), frames[index])
    assert contains(Path("i.png"), frames[6])
    assert not contains(Path("i.png"), image_of(snapshot, 6))


def test_the_last_frame_is_one_step_before_the_first(bench: Bench) -> None:
    bench("00001", "--seeds=3,5", "--frames=4", "--out=there.png")
    bench("00001", "--seeds=5,3", "--frames=4", "--out=back.png")
    there, back = frames_of(Path("there.webp")), frames_of(Path("back.webp"))
    assert near(there[4:].numpy(), back[:4].numpy()).all()
    assert not near(there[7].numpy(), there[0].numpy()).all()


def test_the_same_path_twice_is_the_same_bytes(bench: Bench) -> None:
    written = []
    for _ in range(2):
        bench("00000", "--seeds=0-2", "--frames=3", "--measure", "--out=i.png")
        written.append([Path(f"i.{end}").read_bytes() for end in ("png", "webp", "csv", "json")])
    assert written[0] == written[1]
    bench("00000", "--seeds=0-2", "--frames=3", "--psi=0.5", "--out=i.png")
    assert Path("i.webp").read_bytes() != written[0][1]


def test_pictures_lie_in_the_run_by_default(bench: Bench) -> None:
    result = bench("--seeds=0,1", "--frames=2")
    folder = "results/00001-dcgan-simple-pictures"
    assert result.out.split() == [f"{folder}/interpolate.png", f"{folder}/interpolate.webp"]


def test_measuring_leaves_tables_with_intervals(bench: Bench) -> None:
    result = bench("00000", "--seeds=0-3", "--frames=5", "--measure", "--out=m.png")
    assert result.code == 0, result.err
    assert result.out.split("\n")[:4] == ["m.png", "m.webp", "m.csv", "m.json"]
    table = pd.read_csv("m.csv")
    assert list(table["measure"]) == ["length", "detour", "jump"] * 5 + ["ppl_patches_w20"]
    means = table[table["way"].isin(["mean of 4", "20 random paths"])]
    assert len(means) == 4
    assert (means["low"] <= means["value"]).all()
    assert (means["value"] <= means["high"]).all()
    assert table["low"].isna().sum() == 12
    assert "ppl_patches_w20" in result.out
    assert "seed 0 to 1" not in result.out, "the short table has the means only"
    about = json.loads(Path("m.json").read_text())
    assert (about["space"], about["psi"], about["frames"]) == ("w", 1.0, 5)
    assert (about["seeds"], about["extractor"]) == ([0, 1, 2, 3], "patches")
    assert about["seed"] == 0
    assert about["rows"][0]["low"] is None
    assert about["rows"][-1]["value"] == pytest.approx(table["value"].iloc[-1])

    bench("00000", "--seeds=0-3", "--frames=5", "--measure", "--out=s.png", "--seed=1")
    assert json.loads(Path("s.json").read_text())["seed"] == 1
    seeded = pd.read_csv("s.csv")
    assert list(seeded["value"])[:-1] == list(table["value"])[:-1], "the ways are those of --seeds"
    assert seeded["value"].iloc[-1] != table["value"].iloc[-1], "the paths are others"

    bench("00000", "--seeds=0-3", "--frames=5", "--measure", "--out=z.png", "--space=z")
    other = pd.read_csv("z.csv")
    assert other["value"].iloc[-1] == table["value"].iloc[-1]
    assert other["value"].iloc[0] != table["value"].iloc[0]


def test_two_seeds_have_one_way(bench: Bench) -> None:
    result = bench("00001", "--seeds=0,1", "--frames=5", "--measure", "--out=m.png")
    assert list(pd.read_csv("m.csv")["way"]) == ["seed 0 to 1"] * 3 + ["20 random paths"]
    assert "seed 0 to 1" in result.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--seeds=4"], 2, "--seeds 4: name at least two, such as 4,5"),
        (["--seeds=4,4"], 2, "--seeds 4,4: 4 follows itself"),
        (["--seeds=1,2,1"], 2, "after the last seed comes the first again"),
        (["--seeds=a"], 2, "--seeds: 'a' is no whole number"),
        (["--seeds=0-99", "--frames=60"], 2, "--seeds, --frames: they make 6,000 images"),
        (["--frames=1"], 2, "--frames"),
        (["00001", "--space=w"], 2, "is no StyleGAN: it has no w, only z"),
        (["00001", "--psi=0.5"], 2, "is no StyleGAN"),
        (["00000", "--psi=nan"], 2, "--psi nan"),
        (["00000", "--space=x"], 2, "--space"),
        (["--kimg=7"], 3, "it has 0.008, 0.012"),
        (["--out=i.webp"], 2, "end in .png"),
        (["00007"], 3, "no run 00007"),
    ],
)
def test_mistakes_get_one_line_and_an_exit_code(
    bench: Bench, arguments: list[str], code: int, words: str
) -> None:
    result = bench(*arguments)
    assert (result.code, words in result.err) == (code, True), result.err
    assert result.out == ""


def test_where_every_seed_gives_the_mean_face_nothing_is_measured(bench: Bench) -> None:
    result = bench("00000", "--psi=0", "--seeds=0,1", "--frames=2", "--measure", "--out=i.png")
    assert result.code == 2
    assert "seeds 0 and 1 give the same face" in result.err


def test_help_teaches_with_an_example() -> None:
    printed = CliRunner().invoke(interpolate, ["--help"]).output
    assert "bench interpolate 00003 --seeds 1,2,3,7 --frames 60" in printed
