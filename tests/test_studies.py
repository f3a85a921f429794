"""Mixing and truncation in numbers: what must hold whatever a network has learnt."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import eval.studies.mixing
import eval.studies.truncation
from benchmarks.studies import attribute_extractor
from eval.attributes import read_attributes
from eval.effects import Vectors, as_vectors
from eval.images import Pictures, Samples
from eval.latents import BATCH, images_of, mixing_grid, truncation_grid
from eval.measure import Gauge, Real
from eval.studies.mixing import mixed_attributes, mixing_effects
from eval.studies.truncation import truncated_attributes, truncation_effects, truncation_quality
from models.registry import GAN, family
from models.stylegan.generator import Generator
from tests.conftest import TINY_STYLEGAN, Bench, write_pictures
from training.sheet import to_uint8

GROUPS = {"none": [], "coarse": [0, 1, 2], "all": list(range(10))}


@pytest.fixture
def gan(monkeypatch: pytest.MonkeyPatch) -> GAN:
    monkeypatch.setattr(eval.studies.mixing, "PAIRS", 12)
    monkeypatch.setattr(eval.studies.truncation, "BASES", 12)
    torch.manual_seed(0)
    gan = family("stylegan").build(family("stylegan").resolve("tiny", TINY_STYLEGAN))
    gan.G.eval().requires_grad_(False)
    return gan


def attributes(images: Tensor) -> Vectors:
    """What is read of float images [N, 3, H, W], all at once."""
    features = attribute_extractor("cpu").embed(to_uint8(images)).numpy()
    return as_vectors(read_attributes(features))


def same(a: Vectors, b: Vectors) -> bool:
    """The same but for how a network rounds in batches of another size, and a level of a pixel."""
    return all(np.allclose(a[name], b[name], atol=0.02) for name in a)


class Bars:
    """A watch that keeps what it was told: of each bar its name, its total, and its steps."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, list[int]]] = []

    @contextmanager
    def __call__(self, what: str, count: int) -> Iterator[Callable[[int], None]]:
        steps: list[int] = []
        self.seen.append((what, count, steps))
        yield steps.append

    def are_kept(self) -> bool:
        """Whether each came to its total, and no step was longer than a batch."""
        totals = all(sum(steps) == count for _, count, steps in self.seen)
        return totals and all(max(steps) <= BATCH for _, _, steps in self.seen)


def test_all_layers_go_all_the_way_and_none_goes_nowhere(gan: GAN) -> None:
    table = mixing_effects(gan, GROUPS, attribute_extractor("cpu"))
    values = table.pivot(index="attribute", columns="group", values="value")
    assert (values["none"] == 0).all()
    assert values["all"].to_numpy() == pytest.approx(1.0)
    assert not values["coarse"].isin([0.0, 1.0]).any()
    assert set(table["on_real"]) >= {"labelled", "unvalidated on real"}
    assert table["head_score"].notna().all()


def test_mixed_faces_are_those_of_the_grid(gan: GAN) -> None:
    generator = gan.G
    assert isinstance(generator, Generator)
    a, b, mixed = mixed_attributes(gan, GROUPS, attribute_extractor("cpu"), seed=3)
    draws = torch.Generator().manual_seed(3)
    ws_a, ws_b = (generator.map(gan.sample_z(12, draws)) for _ in range(2))
    assert same(a, attributes(images_of(generator.synthesize, ws_a)))
    assert same(b, attributes(images_of(generator.synthesize, ws_b)))
    grid = mixing_grid(generator, ws_a, ws_b, GROUPS["coarse"])
    assert same(mixed["coarse"], attributes(torch.stack([grid[i, i] for i in range(12)])))
    assert list(mixed) == list(GROUPS)
    assert not same(mixed["coarse"], a)
    assert not same(mixed["coarse"], b)


def test_psi_zero_is_the_mean_face_and_psi_one_the_plain_one(gan: GAN) -> None:
    table = truncation_effects(gan, [0.0, 0.5, 1.0], None, attribute_extractor("cpu"))
    values = table.pivot(index="attribute", columns="psi", values="value")
    assert (values[0.0] == 0).all()
    assert values[1.0].to_numpy() == pytest.approx(1.0)
    assert values[0.5].between(-0.5, 1.5).all()


@pytest.mark.parametrize("cutoff", [None, 3])
def test_truncated_faces_are_those_of_the_grid(gan: GAN, cutoff: int | None) -> None:
    assert isinstance(gan.G, Generator)
    mean, plain, others = truncated_attributes(gan, [0.5, -1], cutoff, attribute_extractor("cpu"))
    z = gan.sample_z(12, torch.Generator().manual_seed(0))
    grid = truncation_grid(gan.G, z, [0, 1, 0.5, -1], cutoff)
    for found, images in zip([mean, plain, *others], grid, strict=True):
        assert same(found, attributes(images))
    assert not same(others[1], plain)


def test_effects_are_the_same_every_time_and_others_with_another_seed(gan: GAN) -> None:
    extractor = attribute_extractor("cpu")
    for study in (
        lambda seed: mixing_effects(gan, GROUPS, extractor, seed),
        lambda seed: truncation_effects(gan, [0.5], None, extractor, seed),
    ):
        table = study(0)
        pd.testing.assert_frame_equal(study(0), table)
        assert not study(1)["value"].equals(table["value"])


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Real:
    """Two references, and other real images: noise of three seeds."""
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(eval.studies.truncation, "FAKES", 64)
    parts = [Pictures.whole(write_pictures(tmp_path / str(k), 64 + k, seed=k)) for k in range(3)]
    return Real({"heldout": parts[0], "train": parts[1]}, spare=parts[2])


def test_quality_against_psi_is_that_of_samples_with_intervals(gan: GAN, real: Real) -> None:
    extractor = attribute_extractor("cpu")
    table = truncation_quality(gan, [1.0, 0.5], None, real, extractor, seed=2)
    gauge = Gauge(extractor, real)
    for psi, found in table.groupby("psi"):
        samples = Samples(gan, 64, 2, float(psi))
        expected = pd.DataFrame(gauge.rows(samples, ["fd", "pr"], 2)).set_index("metric")
        found = found.set_index("metric")
        assert set(found.index) == set(expected.index)
        expected = expected.loc[found.index]
        np.testing.assert_allclose(found["value"], expected["value"], rtol=1e-6)
        assert list(found["reference_sha256"]) == list(expected["reference_sha256"])
    assert table["floor"].notna().all()
    assert (table["fakes"] == 64).all()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    distances = table[table["metric"].str.startswith("fd")]
    assert (distances["low"] < distances["high"]).all()
    assert (distances["floor"] < distances["value"]).all(), "noise is nearer to noise"
    pd.testing.assert_frame_equal(
        truncation_quality(gan, [1.0, 0.5], None, real, extractor, seed=2), table
    )


def test_every_bar_is_told_of_every_batch(
    gan: GAN, real: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval.studies.mixing, "PAIRS", BATCH + 1)
    monkeypatch.setattr(eval.studies.truncation, "BASES", BATCH + 1)
    extractor, bars = attribute_extractor("cpu"), Bars()
    mixing_effects(gan, {"coarse": [0, 1, 2]}, extractor, watch=bars)
    assert [what for what, _, _ in bars.seen] == ["A, faces", "B, faces", "coarse, faces"]
    truncation_effects(gan, [0.5], None, extractor, watch=bars)
    assert [steps for _, _, steps in bars.seen] == [[BATCH, 1]] * 6
    truncation_quality(gan, [0.5], None, real, extractor, watch=bars)
    assert bars.are_kept()


def test_tables_stand_beside_the_picture(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval.studies.mixing, "PAIRS", 4)
    monkeypatch.setattr(eval.studies.truncation, "BASES", 4)
    monkeypatch.setattr(eval.studies.truncation, "FAKES", 64)
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", 70)
    flags = ["--data=pictures", "--kimg=0.008", "--tick=0.008", "--snap=0.008", "--batch=4"]
    flags += ["--device=cpu", "--precision=fp32", "--memory-format=contiguous"]
    flags += [f"--set={name}={value}" for name, value in TINY_STYLEGAN.items()]
    assert bench("run", "--model=stylegan", "--variant=tiny", *flags)[0] == 0
    code, out, _ = bench("mix", "--measure", "--out=mix.png")
    assert code == 0
    about = json.loads(Path("mix.json").read_text())
    assert (about["study"], about["kimg"], about["extractor"]) == ("mix", 0.008, "faces")
    rows = pd.read_csv("mix.csv")
    assert {"group", "attribute", "value", "low", "high", "effect", "on_real"} <= set(rows)
    assert len(about["rows"]) == len(rows)
    assert "mix.csv" in out
    assert about["seed"] == 0
    assert bench("mix", "--measure", "--seed=1", "--out=other.png")[0] == 0
    assert json.loads(Path("other.json").read_text())["seed"] == 1
    assert Path("other.png").read_bytes() == Path("mix.png").read_bytes(), "its seeds are others"
    assert not pd.read_csv("other.csv")["value"].equals(rows["value"])

    code, out, _ = bench("truncate", "--measure", "--psi=1,0", "--out=truncate.png")
    assert code == 0
    assert set(pd.read_csv("truncate.csv")["psi"]) == {0.0, 1.0}
    quality = pd.read_csv("truncate-quality.csv")
    assert {"fd_faces64_train", "precision_faces64_train", "recall_faces64_train"} <= set(
        quality["metric"]
    )
    assert quality[["low", "high"]].notna().all(axis=None)
    row = quality.iloc[0]
    assert f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in out

    Path("pictures").rename("elsewhere")
    code, _, err = bench("truncate", "--measure", "--psi=1,0", "--out=gone.png")
    assert code == 3
    assert "is gone: name one with --against" in err
    assert not list(Path().glob("gone*")), "before anything is drawn"
    code, _, err = bench("truncate", "--measure", "--psi=1,0", "--against=elsewhere", "--out=g.png")
    assert code == 0, err
    other = pd.read_csv("g-quality.csv")
    assert list(other["value"]) == pytest.approx(list(quality["value"]))
