"""Effects on attributes: against closed forms, and whether intervals cover what they should."""

import numpy as np
import pytest

from eval.effects import Vectors, as_vectors, difference, mean_effect, share_moved, slopes
from eval.faces.targets import TARGETS

RNG = np.random.default_rng(0)


def readings(count: int, **fixed: float) -> dict[str, np.ndarray]:
    """What the heads might say: random, but for the attributes that are given."""
    read = {}
    for target in TARGETS:
        if target.kind == "category":
            read[target.name] = RNG.dirichlet(np.ones(target.size), count)
        elif target.kind == "hue":
            read[target.name] = RNG.uniform(0, 360, count)
        else:
            read[target.name] = RNG.uniform(target.low, target.high, count)
    return read | {name: np.full(count, value) for name, value in fixed.items()}


def vectors(count: int, **fixed: float) -> Vectors:
    return as_vectors(readings(count, **fixed))


def test_differences_have_common_units() -> None:
    a = vectors(5, hair_hue=350.0, skin_tone=0.25, head_tilt=-14.0)
    b = vectors(5, hair_hue=10.0, skin_tone=1.0, head_tilt=14.0)
    apart = difference(a, b)
    np.testing.assert_allclose(apart["hair_hue"], 20 / 180, rtol=1e-6)
    np.testing.assert_allclose(apart["skin_tone"], 0.75)
    np.testing.assert_allclose(apart["head_tilt"], 1.0)
    total_variation = np.abs(a["fringe"] - b["fringe"]).sum(1) / 2
    np.testing.assert_allclose(apart["fringe"], total_variation)
    assert all((each >= 0).all() and (each <= 1 + 1e-12).all() for each in apart.values())
    assert all(np.allclose(each, 0, atol=1e-7) for each in difference(a, a).values())


def test_the_whole_way_is_one_and_none_of_it_is_zero() -> None:
    a, b = vectors(40), vectors(40)
    for mixed, expected in ((a, 0.0), (b, 1.0)):
        for effect in share_moved(a, b, mixed):
            assert effect.value == pytest.approx(expected, abs=1e-12)
            assert effect.low == pytest.approx(expected, abs=1e-12)
            assert effect.high == pytest.approx(expected, abs=1e-12)
    third = {name: a[name] + (b[name] - a[name]) / 3 for name in a}
    assert all(e.value == pytest.approx(1 / 3) for e in share_moved(a, b, third))


def test_only_the_attribute_that_moved_has_moved() -> None:
    a, b = vectors(60), vectors(60)
    noise = {name: a[name] + RNG.normal(0, 0.05, a[name].shape) for name in a}
    moved = {**noise, "hair_hue": b["hair_hue"]}
    found = {effect.attribute: effect for effect in share_moved(a, b, moved)}
    assert found["hair_hue"].value == pytest.approx(1)
    assert not found["hair_hue"].is_none
    nothing = [effect.is_none for name, effect in found.items() if name != "hair_hue"]
    assert np.mean(nothing) > 0.85


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    values = {f"attribute {i}": rng.normal(0.5, 1.0, 50) for i in range(200)}
    covered = [effect.low <= 0.5 <= effect.high for effect in mean_effect(values)]
    assert 0.88 <= np.mean(covered) <= 0.98


def test_slopes_are_those_of_numpy() -> None:
    x, values = np.array([-1.0, 0.0, 0.5, 2.0]), RNG.normal(size=(7, 4))
    np.testing.assert_allclose(slopes(x, values), np.polyfit(x, values.T, 1)[0])
    np.testing.assert_allclose(slopes(x, 3 * x + RNG.normal(size=(7, 1))), 3.0)


def test_a_seed_gives_the_same_interval() -> None:
    values = {"a": RNG.normal(size=30)}
    assert mean_effect(values, seed=1) == mean_effect(values, seed=1)
    assert mean_effect(values, seed=1) != mean_effect(values, seed=2)
