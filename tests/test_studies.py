"""Mixing and truncation in numbers: what must hold whatever a network has learnt."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

import eval.studies.mixing
import eval.studies.truncation
from benchmarks.studies import attribute_extractor
from eval.studies.mixing import mixing_effects
from eval.studies.truncation import truncation_effects
from models.registry import GAN, family
from models.stylegan.generator import Generator
from tests.conftest import TINY_STYLEGAN, Bench, write_pictures


@pytest.fixture
def gan(monkeypatch: pytest.MonkeyPatch) -> GAN:
    monkeypatch.setattr(eval.studies.mixing, "PAIRS", 12)
    monkeypatch.setattr(eval.studies.truncation, "BASES", 12)
    torch.manual_seed(0)
    gan = family("stylegan").build(family("stylegan").resolve("tiny", TINY_STYLEGAN))
    gan.G.eval().requires_grad_(False)
    return gan


def test_all_layers_go_all_the_way_and_none_goes_nowhere(gan: GAN) -> None:
    generator = gan.G
    assert isinstance(generator, Generator)
    groups = {"none": [], "coarse": generator.select("coarse"), "all": generator.select("all")}
    table = mixing_effects(gan, groups, attribute_extractor("cpu"))
    values = table.pivot(index="attribute", columns="group", values="value")
    assert (values["none"] == 0).all()
    assert values["all"].to_numpy() == pytest.approx(1.0)
    assert not values["coarse"].isin([0.0, 1.0]).any()
    assert set(table["on_real"]) == {"labelled", "unvalidated on real"}
    assert table["head_score"].notna().all()
    pd.testing.assert_frame_equal(mixing_effects(gan, groups, attribute_extractor("cpu")), table)


def test_psi_zero_is_the_mean_face_and_psi_one_the_plain_one(gan: GAN) -> None:
    table = truncation_effects(gan, [0.0, 0.5, 1.0], None, attribute_extractor("cpu"))
    values = table.pivot(index="attribute", columns="psi", values="value")
    assert (values[0.0] == 0).all()
    assert values[1.0].to_numpy() == pytest.approx(1.0)
    assert values[0.5].between(-0.5, 1.5).all()


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
    code, out, _ = bench("truncate", "--measure", "--psi=1,0", "--out=truncate.png")
    assert code == 0
    assert set(pd.read_csv("truncate.csv")["psi"]) == {0.0, 1.0}
    quality = pd.read_csv("truncate-quality.csv")
    assert {"fd_faces64_train", "precision_faces64_train", "recall_faces64_train"} <= set(
        quality["metric"]
    )
