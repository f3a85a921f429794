"""Walks through latents: against a generator whose every variable is known, and as a command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from eval.effects import Vectors, as_vectors
from eval.faces.targets import TARGETS
from eval.images import Images
from eval.studies.walk import (
    CROSS_TALK,
    FACTORS,
    LEAST_BASES,
    Drawn,
    breadth,
    consistency,
    line_effects,
    tenths,
    walk_effects,
    walks,
)
from tests.test_latents import Bench, bench, contains, image_of  # noqa: F401
from training.run_dir import RunDir

ONCE = np.ones((1, 12))


@pytest.fixture(autouse=True)
def no_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.effects.standing", dict)


class Bright(nn.Module):
    """z's first variable is the brightness of all pixels; no other does anything."""

    def forward(self, z: Tensor) -> Tensor:
        return (z[:, :1, None, None] / 12).clamp(-1, 1).expand(-1, 3, 4, 4)


class Known:
    G = Bright()


def constant(count: int) -> dict[str, np.ndarray]:
    """The same readings for every image."""
    return {
        target.name: np.full((count, target.size), 1 / target.size)
        if target.kind == "category"
        else np.full(count, target.low + 0.0)
        for target in TARGETS
    }


def read_brightness(images: Images) -> Vectors:
    """Skin tone is how bright an image is, from 0 to 1, and nothing else ever varies."""
    light = torch.cat([batch.double().mean((1, 2, 3)) / 255 for batch in images.batches()])
    return as_vectors(constant(len(images))) | {"skin_tone": light.numpy()[:, None]}


def effects(variables: list[int]) -> pd.DataFrame:
    z = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    table = walk_effects(Known(), z, variables, read_brightness)  # type: ignore[arg-type]
    return table.set_index(["variable", "measure", "attribute"]).sort_index()


def test_the_variables_of_the_source() -> None:
    assert tenths(100) == [1, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert tenths(512)[0] == 1
    assert len(tenths(512)) == 10
    assert tenths(3) == [1, 2]


def test_a_walk_multiplies_one_variable_and_leaves_the_others() -> None:
    z = torch.randn(4, 7)
    lines = walks(z, [1, 7, 3])
    assert lines.shape == (3, 4, 7, 7)
    assert torch.equal(lines[:, :, FACTORS.index(1)], z.expand(3, -1, -1))
    for row, variable in enumerate([1, 7, 3]):
        others = [column for column in range(7) if column != variable - 1]
        assert torch.equal(lines[row][..., others], z[:, None, others].expand(-1, 7, -1))
        for column, factor in enumerate(FACTORS):
            expected = z[:, variable - 1] * factor
            torch.testing.assert_close(lines[row, :, column, variable - 1], expected)


def test_the_variable_that_is_the_brightness_is_found_and_always_does_the_same() -> None:
    found = effects([1, 4])
    slope = found.loc[(1, "slope", "skin_tone")]
    assert slope["value"] == pytest.approx(1 / 24, rel=0.02)  # z / 12 of the range from -1 to 1
    assert slope["low"] > 0
    assert found.loc[(1, "consistency", "skin_tone"), "value"] == pytest.approx(1)
    assert found.loc[(1, "consistency", "all"), "low"] == pytest.approx(1)
    assert found.loc[(1, "breadth", "all"), "value"] == pytest.approx(1)
    assert found.loc[(1, "consistent", "all"), "value"] == 1
    assert found.loc[(1, "count", "all"), "value"] == 1
    assert (found.loc[(1, "moved")].drop("skin_tone")["value"] == 0).all()
    assert found.loc[(1, "moved", "skin_tone"), "value"] > 0.1


def test_a_variable_that_does_nothing_is_called_none() -> None:
    found = effects([1, 4]).loc[4]
    assert (found["effect"] == "none").all()
    assert found.loc[("consistent", "all"), "value"] == 0
    assert found.loc[("count", "all"), "value"] == 0


def test_effects_are_the_same_every_time() -> None:
    pd.testing.assert_frame_equal(effects([1]), effects([1]))


def line_of(change: np.ndarray) -> Vectors:
    """A line on which skin tone changes by so much for each unit of K, in each base."""
    tone = 0.5 + change[:, None] * np.array(FACTORS)
    flat = as_vectors(constant(tone.size))
    rows = {name: each.reshape(*tone.shape, -1) for name, each in flat.items()}
    return rows | {"skin_tone": tone[..., None]}


def test_an_effect_whose_sign_depends_on_the_face_moves_much_and_is_not_consistent() -> None:
    lengths = np.random.default_rng(0).normal(size=60)
    sides = np.resize([1, -1], 60)
    for change, agrees in ((0.05 * lengths, True), (0.05 * sides, False)):
        table = line_effects(line_of(change), FACTORS, FACTORS.index(1), lengths)
        found = table.set_index(["measure", "attribute"])
        assert found.loc[("moved", "skin_tone"), "low"] > 0.1
        assert (found.loc[("consistency", "skin_tone"), "effect"] == "yes") == agrees
        assert (found.loc[("slope", "skin_tone"), "effect"] == "yes") == agrees


@pytest.mark.parametrize(("times_null", "moved"), [(0.9, False), (1.1, True)])
def test_what_moves_no_farther_than_others_make_it_is_none(times_null: float, moved: bool) -> None:
    far = times_null * CROSS_TALK * 0.5  # as below, two bases are 0.5 apart
    line = line_of(np.full(12, far / (FACTORS[-1] - FACTORS[0])))
    line["skin_tone"] += np.resize([0.25, -0.25], 12)[:, None, None]
    table = line_effects(line, FACTORS, FACTORS.index(1), np.ones(12))
    found = table.set_index(["measure", "attribute"])
    row = found.loc[("moved", "skin_tone")]
    assert (row["value"], row["usual"]) == (pytest.approx(far), pytest.approx(0.5))
    for measure, attribute in (("moved", "skin_tone"), ("count", "all"), ("breadth", "all")):
        assert (found.loc[(measure, attribute), "effect"] == "yes") == moved
    assert found.loc[("count", "all"), "value"] == moved
    assert found.loc[("slope", "skin_tone"), "effect"] == "yes"


def test_a_movement_that_is_the_null_only_on_average_is_none() -> None:
    """Some faces move far and others not at all: what is left of it has an interval."""
    far = np.where(np.arange(12) < 4, 3.3 * CROSS_TALK * 0.5, 0) / (FACTORS[-1] - FACTORS[0])
    line = line_of(far)
    line["skin_tone"] += np.resize([0.25, -0.25], 12)[:, None, None]
    table = line_effects(line, FACTORS, FACTORS.index(1), np.ones(12))
    row = table.set_index(["measure", "attribute"]).loc[("moved", "skin_tone")]
    assert row["value"] > CROSS_TALK * row["usual"]
    assert row["effect"] == "none"


def test_consistency_is_the_mean_cosine_of_pairs() -> None:
    slopes = np.random.default_rng(1).normal(size=(12, 3)) + 0.5
    dots = slopes @ slopes.T
    lengths = np.linalg.norm(slopes, axis=1)
    pairs = ~np.eye(12, dtype=bool)
    expected = dots[pairs].sum() / np.outer(lengths, lengths)[pairs].sum()
    assert consistency(slopes, ONCE)[0] == pytest.approx(expected)
    assert consistency(np.ones((12, 1)), ONCE)[0] == pytest.approx(1)
    assert consistency(np.zeros((12, 2)), ONCE)[0] == 0
    nobody_else = np.eye(12)[:1] * np.ones((12, 1))[0]
    assert consistency(slopes, nobody_else)[0] == 0, "a base is no other base's equal"


def test_consistency_of_random_slopes_is_0_on_average_also_in_resamples() -> None:
    rng = np.random.default_rng(2)
    times = rng.multinomial(12, np.full(12, 1 / 12), size=200).astype(float)
    found = [consistency(rng.normal(size=(12, 4)), times).mean() for _ in range(200)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 200**0.5
    assert abs(np.mean(found)) < 0.02


def test_breadth_counts_attributes() -> None:
    shares = np.array([[1.0, 1.0, 0.0, 0.3], [0.0, 1.0, 0.0, 0.3], [0.0, 0.0, 0.0, 0.3]])
    np.testing.assert_allclose(breadth(shares), [1, 2, 0, 3])


def test_too_few_bases_have_no_interval() -> None:
    few = LEAST_BASES - 1
    with pytest.raises(ValueError, match="at least 8"):
        line_effects(line_of(np.ones(few)), FACTORS, 4, np.ones(few))


def test_drawn_images_come_in_order_and_are_all_there() -> None:
    z = torch.linspace(-12, 12, 150)[:, None]
    drawn = Drawn(Bright(), z)
    light = torch.cat([batch[:, 0, 0, 0] for batch in drawn.batches()])
    assert len(drawn) == len(light) == 150
    assert light.tolist() == sorted(light.tolist())
    assert light[0] == 0
    assert light[-1] == 255


# The command


@pytest.mark.parametrize("run", ["00000", "00001"])
def test_a_picture_of_a_walk_holds_the_base_image(bench: Bench, run: str) -> None:  # noqa: F811
    result = bench("latents", run, "--variables=1,3", "--seeds=5-6", "--out=w.png")
    assert (result.code, result.out) == (0, "w.png\n"), result.err
    snapshot = RunDir.find(Path("results"), run).snapshot()
    for seed, shown in ((5, True), (6, True), (7, False)):
        assert contains(Path("w.png"), image_of(snapshot, seed)) == shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variables=9"], "--variables 9: this run's z has 8 variables"),
        (["--variables=0-3"], "they are counted from 1"),
        (["--variables=x"], "--variables: 'x'"),
        (["--study=gaussian", "--variables=1"], "--variables needs --study walk"),
        (["--num=100"], "--num needs --study gaussian"),
        (["--directions=20"], "--directions needs --study gaussian"),
        (["--against=x"], "--against needs --study gaussian"),
        (["--measure", "--seeds=0-3"], "--measure needs at least 8 base latents"),
        (["--study=sideways"], "sideways"),
    ],
)
def test_mistakes_get_one_line(bench: Bench, arguments: list[str], words: str) -> None:  # noqa: F811
    result = bench("latents", *arguments)
    assert (result.code, words in result.err) == (2, True), result.err
    assert result.out == ""
