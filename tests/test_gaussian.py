"""Latents from other Gaussians: against plain samples and generators whose trends are known."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from eval.frechet import Moments
from eval.images import Images
from eval.latents import images_of, seeded_z
from eval.studies.gaussian import (
    DARKNESS,
    DISTANCES,
    MEANS,
    QUALITIES,
    STDS,
    TREND_BASES,
    RealFaces,
    Seen,
    gaussian,
    jackknife,
    look,
    parabola,
    qualities,
    random_directions,
    rank_p,
    setting_effects,
    std_at_mean_0,
    trend_effects,
    unit_noise,
)
from tests.test_latents import Bench, bench, contains, gan, image_of  # noqa: F401
from training.run_dir import RunDir
from training.sheet import to_uint8

FACE = {
    "hair_hue": 30.0,
    "hair_saturation": 0.8,
    "eye_left_hue": 350.0,
    "eye_right_hue": 10.0,
    "eye_left_size": 1.0,
    "eye_right_size": 1.2,
    "eye_left_openness": 0.9,
    "eye_right_openness": 0.4,
    "eye_left_height": 0.0,
    "eye_right_height": 1.0,
    "mouth_clarity": 0.6,
}


@pytest.fixture(autouse=True)
def no_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    trust = {"head_score": 0.5, "on_real": ""}
    monkeypatch.setattr("eval.effects.standing", dict)
    monkeypatch.setattr("eval.studies.gaussian.standing", lambda: dict.fromkeys(FACE, trust))


def face(**changed: float) -> dict[str, np.ndarray]:
    return {name: np.array([value]) for name, value in (FACE | changed).items()}


class Bright(nn.Module):
    """The brightness is the sum of z over the length of ones: a direction like no other."""

    def forward(self, z: Tensor) -> Tensor:
        light = z.sum(1) / z.shape[1] / 2
        return light[:, None, None, None].clamp(-1, 1).expand(-1, 3, 4, 4)


class Known:
    G = Bright()


def see(images: Images) -> Seen:
    """The brightness as the one feature that varies, and as darkness."""
    light = torch.cat([batch.double().mean((1, 2, 3)) / 255 for batch in images.batches()]).numpy()
    noise = np.random.default_rng(0).normal(0, 0.01, (len(light), 2))
    features = np.column_stack([light, noise]).astype(np.float32)
    return Seen(features, {name: np.ones(len(light)) for name in QUALITIES} | {DARKNESS: 1 - light})


def real_faces() -> RealFaces:
    rng = np.random.default_rng(1)
    features = np.column_stack([rng.normal(0.5, 0.02, 300), rng.normal(0, 0.01, (300, 2))])
    return RealFaces(features.astype(np.float32), Moments.of(features))


def test_mean_0_and_std_1_are_the_plain_samples(gan: object) -> None:  # noqa: F811
    seeds = [3, 0, 77]
    plain = seeded_z(gan, seeds)  # type: ignore[arg-type]
    z = gaussian(unit_noise(seeds, plain.shape[1]), 1.0, 0.0)
    assert torch.equal(z, plain)
    images = images_of(gan.G, z)  # type: ignore[attr-defined]
    assert torch.equal(to_uint8(images), to_uint8(images_of(gan.G, plain)))  # type: ignore[attr-defined]


def test_latents_have_the_mean_and_std_asked_for() -> None:
    z = gaussian(unit_noise(range(500), 50), 0.4, -0.5)
    assert z.mean() == pytest.approx(-0.5, abs=0.01)
    assert z.std() == pytest.approx(0.4, abs=0.01)


def test_random_directions_are_as_long_as_ones_and_point_anywhere() -> None:
    directions = random_directions(200, 64, seed=0)
    torch.testing.assert_close(directions.norm(dim=1), torch.full((200,), 8.0))
    assert directions.mean(1).abs().max() < 0.6
    assert torch.equal(directions, random_directions(200, 64, seed=0))
    assert not torch.equal(directions, random_directions(200, 64, seed=1))


def test_qualities_are_what_their_words_say() -> None:
    warm = {hue: qualities(face(hair_hue=hue))["hair warmth"][0] for hue in (30, 120, 210)}
    assert warm[30] == pytest.approx(0.8)
    assert warm[120] == pytest.approx(0)
    assert warm[210] == pytest.approx(-0.8)
    assert qualities(face(hair_saturation=0.0))["hair warmth"][0] == 0
    found = qualities(face())
    assert found["eye roundness"][0] == pytest.approx(0.65)
    assert found["mouth clarity"][0] == 0.6
    # 20 of 180 degrees across 0, 0.2 of 0.4, 0.5 of 1 and 1 of 2.
    assert found["eye symmetry"][0] == pytest.approx(1 - (1 / 9 + 0.5 + 0.5 + 0.5) / 4)


def test_darkness_is_that_of_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    class Three:
        def __len__(self) -> int:
            return 3

        def batches(self) -> list[Tensor]:
            colours = torch.tensor([[0, 0, 0], [255, 255, 255], [0, 255, 0]], dtype=torch.uint8)
            return [colours[:, :, None, None].expand(-1, -1, 4, 4)]

    class Blind:
        name = "blind"

        def embed(self, images: Tensor) -> Tensor:
            return torch.zeros(len(images), 2)

    monkeypatch.setattr("eval.studies.gaussian.read_attributes", lambda features: face())
    found = look(Blind(), Three()).qualities[DARKNESS]  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [1, 0, 1 - 0.587], atol=1e-6)


def test_parabolas_give_slope_and_bend() -> None:
    means = np.array(MEANS)
    values = np.stack([2 + 3 * means - 0.5 * means**2, 1 - means], axis=1)
    np.testing.assert_allclose(parabola(values, 1), [3, -1])
    np.testing.assert_allclose(parabola(values, 2), [-0.5, 0], atol=1e-12)


def test_p_is_where_the_first_lies() -> None:
    others = np.arange(1, 100) / 100.0
    assert rank_p(np.array([5.0, *others]), 0.0) == 0.01
    assert rank_p(np.array([-5.0, *others]), 0.0) == 0.01
    assert rank_p(np.array([0.0, *others]), 0.0) == 1
    assert rank_p(np.array([0.501, *others]), 0.0) == pytest.approx(0.5)
    assert rank_p(np.zeros(100) + 1e-17 * np.arange(100), 0.0) == 1, "rounding is a tie"
    nothing = np.zeros(99)
    assert rank_p(np.array([-0.0002, *nothing]), 0.0) == 1, "no other ever varies"
    assert rank_p(np.array([-0.0002, *nothing[1:], 0.0001]), 0.0) == 0.01


def test_a_jackknife_of_a_mean_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(3, 2, 20)
    (found,) = jackknife(lambda rows: {"mean": values[rows].mean()}, 20, 20)
    expected = stats.t.interval(0.95, 19, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.value == pytest.approx(values.mean())


def test_a_direction_like_no_other_is_found_and_others_are_not() -> None:
    noise, ways = unit_noise(range(64), 32), random_directions(39, 32, seed=0)
    found = trend_effects(Known(), noise, see, real_faces(), ways)  # type: ignore[arg-type]
    slope = found[found["trend"] == "slope"].set_index("attribute")
    # The mean m moves the brightness by m / 2 of the range from -1 to 1.
    assert slope.loc[DARKNESS, "value"] == pytest.approx(-0.25, abs=0.01)
    assert slope.loc[DARKNESS, "high"] < -0.24
    assert slope.loc[DARKNESS, "p"] == pytest.approx(1 / 40)
    assert slope.loc[DARKNESS, "random_high"] < 0.15
    assert slope.loc["mouth clarity", "effect"] == "none"
    assert slope.loc["mouth clarity", "p"] == 1
    bend = found[found["trend"] == "bend"].set_index("attribute")
    assert bend.loc["fd", "low"] > 0, "the distance is least in the middle"
    assert bend.loc["fd", "p"] == pytest.approx(1 / 40)
    assert (found["count"] == TREND_BASES).all(), "however much noise there is"
    again = trend_effects(Known(), noise, see, real_faces(), ways)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(found, again)

    ways[7] = 1.0  # now it is one of two
    found = trend_effects(Known(), noise, see, real_faces(), ways)  # type: ignore[arg-type]
    slope = found[found["trend"] == "slope"].set_index("attribute")
    assert slope.loc[DARKNESS, "p"] == pytest.approx(2 / 40)


def test_each_setting_has_each_number_with_an_interval() -> None:
    noise = unit_noise(range(64), 32)
    found = setting_effects(Known(), noise, see, real_faces())  # type: ignore[arg-type]
    assert len(found) == len(STDS) * len(MEANS) * (len(QUALITIES) + 1 + len(DISTANCES))
    assert (found["count"] == 64).all()
    assert (found["effect"] == "level").all(), "a distance is never 0, and not for that an effect"
    assert (found["low"] <= found["value"] + 1e-12).all()
    assert (found["value"] <= found["high"] + 1e-12).all()
    dark = found[found["attribute"] == DARKNESS].set_index(["std", "mean"])["value"]
    for mean in MEANS:
        assert dark[0.2, mean] == pytest.approx(0.5 - mean / 4, abs=0.01)
    distance = found[found["attribute"] == "fd"].set_index(["std", "mean"])["value"]
    assert distance[0.2, 0.0] < distance[0.2, 0.5] < distance[0.2, 1.0]
    again = setting_effects(Known(), noise, see, real_faces())  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(found, again)


def test_progress_comes_to_its_end_and_is_told_on_the_way() -> None:
    noise, ways = unit_noise(range(64), 32), random_directions(19, 32, seed=0)
    bars: list[tuple[int, list[int]]] = []

    @contextmanager
    def watch(what: str, count: int) -> Iterator[Callable[[int], None]]:
        bars.append((count, []))
        yield bars[-1][1].append

    setting_effects(Known(), noise, see, real_faces(), watch=watch)  # type: ignore[arg-type]
    trend_effects(Known(), noise, see, real_faces(), ways, watch=watch)  # type: ignore[arg-type]
    assert len(bars) == 2
    for count, told in bars:
        assert sum(told) == count
        assert max(told) < count / 50


def test_a_generator_that_normalises_z_does_not_see_std(gan: object) -> None:  # noqa: F811
    assert std_at_mean_0(gan, unit_noise(range(4), 8)) <= 1  # type: ignore[arg-type]
    assert std_at_mean_0(Known(), unit_noise(range(4), 8)) > 1  # type: ignore[arg-type]


# The command


@pytest.mark.parametrize("run", ["00000", "00001"])
def test_the_picture_holds_the_plain_samples(bench: Bench, run: str) -> None:  # noqa: F811
    result = bench("latents", run, "--study=gaussian", "--seeds=5-8", "--out=g.png")
    assert (result.code, result.out) == (0, "g.png\n"), result.err
    snapshot = RunDir.find(Path("results"), run).snapshot()
    for seed, shown in ((5, True), (7, True), (8, False)):
        assert contains(Path("g.png"), image_of(snapshot, seed)) == shown


def test_mistakes_get_one_line(bench: Bench) -> None:  # noqa: F811
    for argument in ("--num=63", "--directions=18"):
        result = bench("latents", "--study=gaussian", argument)
        assert result.code == 2
        assert argument.split("=")[0] in result.err
    crowd = bench("latents", "--study=gaussian", "--seeds=0-999")
    assert (crowd.code, "--seeds: they make 20,000 images" in crowd.err) == (2, True)
