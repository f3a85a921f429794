"""Nearest training images: planted copies are found, and the score tells copies from new ones."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import mannwhitneyu

from data.store import Store, write_store
from eval.images import Pictures
from eval.studies.neighbours import BLOCK, memorisation, nearest_features, nearest_pixels
from tests.test_latents import Bench, bench, image_of, places_of  # noqa: F401
from training.run_dir import RunDir

RNG = np.random.default_rng(0)


def test_planted_copies_are_the_nearest_at_distance_0() -> None:
    among = RNG.normal(size=(2 * BLOCK + 7, 5)).astype(np.float32)
    rows = [0, BLOCK - 1, BLOCK, len(among) - 1]
    distances, places = nearest_features(among[rows], among, 3)
    assert places[:, 0].tolist() == rows
    assert (distances[:, 0] == 0).all()
    assert (np.diff(distances, axis=1) >= 0).all()


def test_neighbours_are_those_of_all_distances() -> None:
    queries, among = RNG.normal(size=(9, 4)), RNG.normal(size=(BLOCK + 50, 4))
    apart = np.linalg.norm(queries[:, None] - among, axis=2)
    distances, places = nearest_features(queries.astype(np.float32), among.astype(np.float32), 6)
    np.testing.assert_array_equal(places, np.argsort(apart, axis=1)[:, :6])
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :6], rtol=1e-5)
    few = nearest_features(queries.astype(np.float32), among[:2].astype(np.float32), 6)
    assert few[1].shape == (9, 2)


def test_pixels_are_compared_as_they_are(store: Store) -> None:
    pictures = Pictures.part(store, "train")
    images = torch.from_numpy(store.images[pictures.rows[[4, 2]]])
    distances, places = nearest_pixels(images, pictures)
    assert places[:, 0].tolist() == [4, 2]
    assert (distances == 0).all()
    brighter = (images[:1].int() + 3).clamp(max=255).to(torch.uint8)
    assert nearest_pixels(brighter, pictures)[0][0, 0] == pytest.approx(3, abs=0.1)


def test_the_score_is_half_for_new_images_and_one_for_copies() -> None:
    new, heldout = RNG.gamma(5, size=400), RNG.gamma(5, size=300)
    cases = {"new": new, "copies": 1e-3 * new, "off": 5 + new}
    effects = {"new": "none", "copies": "yes", "off": "yes"}
    for name, fakes in cases.items():
        found = memorisation(fakes, heldout).set_index("measure")
        value, low, high = found.loc["auc", ["value", "low", "high"]]
        u = mannwhitneyu(heldout, fakes).statistic
        assert value == pytest.approx(u / (len(fakes) * len(heldout)))
        assert {"new": low < 0.5 < high, "copies": low > 0.99, "off": high < 0.5}[name]
        assert found.loc["auc", "effect"] == effects[name]
        assert found.loc["median_ratio", "effect"] == effects[name]
        ratio = found.loc["median_ratio"]
        assert ratio["value"] == pytest.approx(np.median(fakes) / np.median(heldout))
        assert ratio["low"] <= ratio["value"] <= ratio["high"]
    assert found["fakes"].tolist() == [400] * 3
    assert found["heldout"].tolist() == [300] * 3


def test_a_few_copies_among_new_images_show() -> None:
    fakes, heldout = RNG.gamma(5, size=1000), RNG.gamma(5, size=1000)
    assert memorisation(fakes, heldout).set_index("measure").loc["close", "low"] < 0.02
    fakes[:100] = 0
    found = memorisation(fakes, heldout).set_index("measure").loc["close"]
    assert found["value"] == pytest.approx(0.11, abs=0.015)
    assert found["low"] > 0.05


def test_ties_count_half_and_a_held_out_set_of_copies_breaks_nothing() -> None:
    found = memorisation(np.zeros(100), np.zeros(100)).set_index("measure")
    assert found.loc["auc", "value"] == 0.5
    assert np.isfinite(found["value"]).all()


def test_the_score_is_the_same_every_time() -> None:
    a, b = RNG.gamma(5, size=100), RNG.gamma(5, size=100)
    assert memorisation(a, b).equals(memorisation(a, b))


# The command


def first_pixels() -> torch.nn.Module:
    """An extractor: a picture's corner."""

    class Corner(torch.nn.Module):
        size, resize, dimension = 64, "none", 12

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :, :2, :2].flatten(1)

    return Corner()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path))


SPEC = f"--extractor={__name__}:first_pixels"


def planted(folder: Path, run: str) -> None:
    """A data set that a run has learnt by heart: the images of its seeds 0 to 9, among others."""
    snapshot = RunDir.find(Path("results"), run).snapshot()
    copies = torch.stack([image_of(snapshot, seed) for seed in range(10)]).numpy()
    others = RNG.integers(0, 255, (80, 3, 64, 64), dtype=np.uint8)
    with write_store(folder, {"kind": "test"}) as (writer, _):
        writer.append(np.concatenate([others, copies]))


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("run", ["00000", "00001"])
def test_planted_neighbours_are_drawn(bench: Bench, tmp_path: Path, run: str) -> None:  # noqa: F811
    planted(tmp_path / "data", run)
    arguments = ["--against", str(tmp_path / "data"), SPEC, "-k", "2", "--seeds=3", "--out=n.png"]
    result = bench("neighbours", run, *arguments)
    assert (result.code, result.out) == (0, "n.png\n"), result.err
    image = image_of(RunDir.find(Path("results"), run).snapshot(), 3)
    found = sorted(x for _, x in places_of(Path("n.png"), image))
    assert len(found) == 3, "generated, nearest by features, and nearest by pixels"
    step = found[1] - found[0]
    assert found[2] - found[0] == 3 * step, "the second nearest is another"
    before = Path("n.png").read_bytes()
    bench("neighbours", run, *arguments)
    assert Path("n.png").read_bytes() == before


@pytest.mark.usefixtures("cache")
def test_memory_is_measured_against_held_out_images(bench: Bench, tmp_path: Path) -> None:  # noqa: F811
    planted(tmp_path / "data", "00001")
    Store(tmp_path / "data").split(64)
    arguments = ["00001", "--against", str(tmp_path / "data"), SPEC, "--num=64", "--measure"]
    result = bench("neighbours", *arguments, "--seeds=3", "--out=n.png")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[:3] == ["n.png", "n.csv", "n.json"]
    table = pd.read_csv("n.csv").set_index("measure")
    for line, (name, row) in zip(lines[4:7], table.iterrows(), strict=True):
        found = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        none = row["low"] <= row["if_new"] <= row["high"]
        assert row["effect"] == ("none" if none else "yes")
        assert line.split()[0] == name
        assert ("none" if none else found) in line
    about = json.loads(Path("n.json").read_text())
    assert (about["study"], about["seed"], len(about["rows"])) == ("neighbours", 0, 3)
    bench("neighbours", *arguments, "--seeds=3", "--seed=1", "--out=o.png")
    assert Path("o.png").read_bytes() == Path("n.png").read_bytes()
    assert not pd.read_csv("o.csv").equals(pd.read_csv("n.csv"))


@pytest.mark.usefixtures("cache")
def test_without_held_out_images_there_is_a_picture_and_no_score(bench: Bench) -> None:  # noqa: F811
    result = bench("neighbours", "--measure", SPEC, "--seeds=0-1")
    assert result.code == 0, result.err
    (path,) = result.out.splitlines()
    assert Path(path).parent == RunDir.find(Path("results"), "latest").path
    assert "no score" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-k", "0"], 2, "-k"),
        (["--num=5"], 2, "--num"),
        (["--seeds=0-64"], 2, "--seeds: 65 rows; at most 64"),
        (["--extractor=nothing"], 2, 'no extractor "nothing"'),
        (["--against=nowhere"], 3, "nowhere"),
        (["--out=n.jpg"], 2, "end in .png"),
    ],
)
def test_mistakes_get_one_line(
    bench: Bench,  # noqa: F811
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    result = bench("neighbours", *arguments)
    assert (result.code, words in result.err) == (code, True), result.err
    assert result.out == ""
