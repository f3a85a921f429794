"""Jensen-Shannon divergence: against SciPy, its bounds, and what finite samples add to it."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from eval.divergence import binned, jensen_shannon, sampling_floor

Array = np.ndarray


# The divergence


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_equals_scipy(classes: int) -> None:
    rng = np.random.default_rng(classes)
    p, q = rng.integers(1, 9, classes), rng.integers(0, 9, classes)
    q[0] = 3
    expected = jensenshannon(p, q, base=2) ** 2
    assert jensen_shannon(p, q) == pytest.approx(expected, rel=1e-10)
    assert jensen_shannon(q, p) == pytest.approx(expected, rel=1e-10)
    order = rng.permutation(classes)
    assert jensen_shannon(p[order], q[order]) == pytest.approx(expected, rel=1e-10)
    assert jensen_shannon(p / p.sum(), 17 * q) == pytest.approx(expected, rel=1e-10)


def test_of_a_coin_and_a_certainty() -> None:
    # H(3/4, 1/4) - (H(1/2, 1/2) + H(1, 0)) / 2, in bits.
    expected = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)) - 0.5
    assert jensen_shannon([1, 1], [1, 0]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_bounds(seed: int) -> None:
    p, q = np.random.default_rng(seed).dirichlet(np.full(30, 0.1), 2)
    assert jensen_shannon(p, p) == 0
    assert jensen_shannon(p, 3 * p) == pytest.approx(0, abs=1e-15)
    apart = jensen_shannon(np.concatenate([p, 0 * q]), np.concatenate([0 * p, q]))
    assert apart <= 1
    assert apart == pytest.approx(1, abs=1e-14)
    assert 0 < jensen_shannon(p, q) < 1
    assert 0 <= jensen_shannon(p, p * (1 + 1e-9 * q)) < 1e-9


@pytest.mark.parametrize(
    "weights", [[], [0, 0], [1, -1e-3, 2], [1, np.nan], [np.inf, 1], [[1, 2]], 3]
)
def test_what_is_no_distribution(weights: object) -> None:
    for pair in ((weights, [1, 2]), ([1, 2], weights)):
        with pytest.raises(ValueError, match="counts or probabilities, none below 0"):
            jensen_shannon(*pair)


def test_classes_must_agree() -> None:
    with pytest.raises(ValueError, match="2 classes and 3 classes"):
        jensen_shannon([1, 2], [1, 2, 3])


# Bins


@pytest.mark.parametrize("edges", [np.linspace(0, 1, 11), [0, 0.1, 0.5, 2], [-1, 5]])
def test_inside_the_edges_bins_are_those_of_numpy(edges: list[float]) -> None:
    values = np.random.default_rng(0).uniform(edges[0], edges[-1], 500)
    values[:3] = edges[0], edges[-1], edges[len(edges) // 2]
    assert binned(values, edges).tolist() == np.histogram(values, edges)[0].tolist()


def test_beyond_the_edges_values_count_in_the_last_bins() -> None:
    assert binned([-7, 0, 0.4, 0.5, 1, 1.01, 99], [0, 0.5, 1]).tolist() == [3, 4]
    assert binned([], [0, 0.5, 1]).tolist() == [0, 0]


def test_hues_are_bins_on_a_circle() -> None:
    """A turn of all hues by whole bins changes nothing, wherever the circle is cut."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 60, 1000), rng.normal(30, 60, 1000)
    edges = np.linspace(0, 360, 13)

    def divergence(turn: float) -> float:
        return jensen_shannon(*(binned((hues + turn) % 360, edges) for hues in (a, b)))

    assert divergence(0) > 0.01
    for turn in (30, 90, 330):
        assert divergence(turn) == pytest.approx(divergence(0), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "edges", "words"),
    [
        ([np.nan], [0, 1], "not finite"),
        ([np.inf], [0, 1], "not finite"),
        ([0.5], [0, 1, 1], "ascend"),
        ([0.5], [1, 0], "ascend"),
        ([0.5], [0], "two at least"),
        ([0.5], [0, np.nan], "ascend"),
    ],
)
def test_what_cannot_be_binned(values: list[float], edges: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        binned(values, edges)


# Samples


@pytest.mark.parametrize("counts", [(2000, 2000), (500, 4000)])
def test_the_floor_is_what_samples_of_one_distribution_give(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(12, 20.0))
    runs = [jensen_shannon(*(rng.multinomial(n, p) for n in counts)) for _ in range(2000)]
    assert np.mean(runs) == pytest.approx(sampling_floor(12, *counts), rel=0.05)
