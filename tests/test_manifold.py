"""Precision, recall, density, coverage: toys that pin which set is real, and their definitions."""

from dataclasses import astuple

import numpy as np
import pytest

from eval.manifold import Manifold, manifold

Array = np.ndarray
RIGHT = np.array([30.0, 0])


def normal(count: int, seed: int, dimension: int = 2, scale: float = 1.0) -> Array:
    return scale * np.random.default_rng(seed).standard_normal((count, dimension))


def defined(reals: Array, fakes: Array, closed: bool = True) -> Manifold:
    """By the papers' formulas, from every distance by itself."""

    def distances(x: Array, y: Array) -> Array:
        return np.array([[np.sqrt(np.square(a - b).sum()) for b in y] for a in x])

    def radii(x: Array, k: int) -> Array:
        return np.sort(distances(x, x), axis=1)[:, k]  # the first is the point itself

    def within(d: Array, r: Array) -> Array:
        return d <= r if closed else d < r

    apart = distances(reals, fakes)
    of_reals, of_fakes = radii(reals, 3)[:, None], radii(fakes, 3)[None]
    large = radii(reals, 5)
    return Manifold(
        precision=float(np.mean(within(apart, of_reals).any(0))),
        recall=float(np.mean(within(apart, of_fakes).any(1))),
        density=float(within(apart, large[:, None]).sum() / (5 * len(fakes))),
        coverage=float(np.mean(within(apart.min(1), large))),
    )


# Toys


def test_fakes_in_a_corner_of_the_reals() -> None:
    reals, fakes = normal(400, 0), normal(100, 1, scale=0.1)
    found = manifold(reals=reals, fakes=fakes)
    assert found.precision == 1
    assert found.recall < 0.1
    assert found.density > 0.7
    assert found.coverage < 0.2
    swapped = manifold(reals=fakes, fakes=reals)
    assert (swapped.precision, swapped.recall) == (found.recall, found.precision)


def test_fakes_far_beyond_the_reals() -> None:
    """Precision is the fakes' share; recall asks for the reals, and those are all there."""
    reals, fakes = normal(100, 0, scale=0.01), normal(2000, 1)
    found = manifold(reals=reals, fakes=fakes)
    assert found.precision < 0.1
    assert found.recall == 1
    assert found.density < 0.1


def test_one_mode_of_two() -> None:
    reals = np.concatenate([normal(200, 0), normal(200, 1) + RIGHT])
    fakes = normal(200, 2)
    found = manifold(reals=reals, fakes=fakes)
    assert found.precision > 0.9
    assert found.recall == pytest.approx(0.5, abs=0.05)
    assert found.density == pytest.approx(1, abs=0.15)
    assert found.coverage == pytest.approx(31 / 64, abs=0.03), "half, of the reals alone"


def test_sets_that_do_not_meet() -> None:
    found = manifold(reals=normal(20, 0), fakes=normal(20, 1) + 1000)
    assert astuple(found) == (0, 0, 0, 0)


def test_an_outlier_among_the_reals_opens_precision_and_not_density() -> None:
    """Fakes half-way to an outlier lie in its huge ball (Naeem et al., figure 1)."""
    reals, fakes = normal(300, 0), normal(300, 1) + RIGHT
    before = manifold(reals=reals, fakes=fakes)
    after = manifold(reals=np.concatenate([reals, [[60, 0]]]), fakes=fakes)
    assert before.precision == 0
    assert after.precision > 0.95
    assert after.density == pytest.approx(1 / 5, abs=0.01), "one ball of k"
    assert after.coverage == pytest.approx(1 / 301)


def test_an_outlier_among_the_fakes_opens_recall_and_not_coverage() -> None:
    reals, fakes = normal(300, 0) + RIGHT, np.concatenate([normal(300, 1), [[60, 0]]])
    found = manifold(reals=reals, fakes=fakes)
    assert found.recall > 0.95
    assert found.coverage == 0


@pytest.mark.parametrize(("reals", "fakes"), [(1500, 1500), (1500, 500)])
def test_one_distribution(reals: int, fakes: int) -> None:
    """A fake is as likely as a real to be among a real's nearest k."""
    found = manifold(reals=normal(reals, 0, 3), fakes=normal(fakes, 1, 3))
    assert found.density == pytest.approx(1, abs=0.06)
    expected = 1 - (reals / (reals + fakes)) ** 5
    assert found.coverage == pytest.approx(expected, abs=0.03)


# Against the definitions


@pytest.mark.parametrize(("reals", "fakes"), [(30, 40), (41, 23), (6, 4), (6, 30)])
@pytest.mark.parametrize("dimension", [1, 3, 20])
def test_equals_the_definitions(reals: int, fakes: int, dimension: int) -> None:
    x, y = normal(reals, 0, dimension), normal(fakes, 1, dimension, scale=1.2)
    found = manifold(reals=x, fakes=y)
    assert astuple(found) == pytest.approx(astuple(defined(x, y)), abs=1e-12)
    assert astuple(found) == pytest.approx(astuple(defined(x, y, closed=False)), abs=1e-12)


def test_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(50, 0, 5), normal(33, 1, 5)
    whole = manifold(reals=x, fakes=y)
    for block in (1, 7, 33):
        monkeypatch.setattr("eval.manifold.BLOCK", block)
        assert manifold(reals=x, fakes=y) == whole


def test_does_not_depend_on_order_place_or_scale() -> None:
    x, y = normal(60, 0, 4), normal(50, 1, 4)
    expected = manifold(reals=x, fakes=y)
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    assert manifold(reals=rng.permutation(x), fakes=rng.permutation(y)) == expected
    assert manifold(reals=x @ axes, fakes=y @ axes) == expected
    assert manifold(reals=x + 1e6, fakes=y + 1e6) == expected
    assert manifold(reals=x * 1e-3, fakes=y * 1e-3) == expected
    assert manifold(reals=x, fakes=y + 0.5) != expected


# Ties and copies


@pytest.mark.parametrize(("scale", "place"), [(1 / 7, 0), (1e9 / 7, 0), (1, 1e6)])
def test_ties_are_inside(scale: float, place: float) -> None:
    """On a grid nearly all distances are ties, and the balls are closed."""
    grid = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), axis=-1).reshape(-1, 3)
    rng = np.random.default_rng(0)
    x, y = rng.permutation(grid)[:70], rng.permutation(grid)[:60]
    expected = defined(x, y)
    assert expected != defined(x, y, closed=False), "there are ties"
    found = manifold(reals=x * scale + place, fakes=y * scale + place)
    assert astuple(found) == pytest.approx(astuple(expected), abs=1e-12)


def test_a_set_and_its_copy() -> None:
    """Each fake is in the balls of its own real and of the k that have it as a neighbour."""
    x = normal(600, 0, 8) + 1e4
    found = manifold(reals=x, fakes=x[::-1])
    assert astuple(found) == pytest.approx((1, 1, 6 / 5, 1), abs=1e-12)


def test_more_than_k_copies_of_a_point_hold_themselves_alone() -> None:
    # Rounded when they are squared, and far from the centre of all.
    point, other = np.full(30, 1 / 3), np.full(30, 1 / 3 + 1e-3)
    reals = np.concatenate([np.tile(point, (7, 1)), normal(7, 0, 30) + 100])
    found = manifold(reals=reals, fakes=np.tile(point, (4, 1)))
    assert astuple(found) == pytest.approx((1, 0.5, 7 / 5, 0.5))
    beside = manifold(reals=reals, fakes=np.tile(other, (4, 1)))
    assert astuple(beside) == (0, 0, 0, 0)


def test_float32_is_computed_in_float64() -> None:
    x, y = (normal(40, seed, 6).astype(np.float32) + 100 for seed in (0, 1))
    wide = manifold(reals=x.astype(np.float64), fakes=y.astype(np.float64))
    assert manifold(reals=x, fakes=y) == wide == defined(x.astype(float), y.astype(float))


def test_inputs_are_left_alone() -> None:
    x, y = normal(20, 0), normal(20, 1)
    kept = x.copy(), y.copy()
    manifold(reals=x, fakes=y)
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])


@pytest.mark.parametrize(
    ("reals", "fakes", "words"),
    [
        (np.eye(5), np.eye(5), "5 images are too few: at least 6"),
        (normal(6, 0), normal(3, 0), "3 images are too few: at least 4"),
        (normal(6, 0), normal(6, 0, 3), "2 and of 3 dimensions"),
        (normal(6, 0), np.full((6, 2), np.inf), "not finite"),
    ],
)
def test_what_has_no_manifold(reals: Array, fakes: Array, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        manifold(reals=reals, fakes=fakes)
