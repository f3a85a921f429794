"""Differences of means: against scipy, least squares and hand."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from eval.welch import Effect, factorial, welch


def draws(seed: int, *shapes: tuple[int, float, float]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(mean, spread, count) for count, mean, spread in shapes]


@pytest.mark.parametrize(
    "shapes",
    [
        [(5, 10, 1), (5, 12, 1)],
        [(2, 10, 1), (7, 10, 5)],
        [(30, 0, 1e-6), (3, 1e-6, 1e-5)],
        [(4, 1e6, 1), (4, -1e6, 100)],
    ],
)
def test_welch_is_scipys(shapes: list[tuple[int, float, float]]) -> None:
    a, b = draws(0, *shapes)
    found, expected = welch(a, b), stats.ttest_ind(b, a, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.n_a, found.n_b) == (len(a), len(b))


def test_welch_by_hand() -> None:
    # Variances 1 and 1, so an error of sqrt(2/3) and four degrees of freedom; a table's 97.5% point
    # of Student's t is 2.776445 there. Hedges' factor is gamma(2) / (sqrt(2) gamma(3/2)).
    found = welch([0, 1, 2], [3, 4, 5])
    assert (found.low, found.high) == pytest.approx((0.733043, 5.266957), abs=1e-6)
    assert found.hedges_g == pytest.approx(3 * math.sqrt(2 / math.pi))
    # Variances 1 and 20/3: an error of sqrt(1/3 + 5/3), 4 / (1/18 + 25/27) degrees of freedom.
    found = welch([1, 2, 3], [2, 4, 6, 8])
    reach = stats.t.ppf(0.975, 216 / 53) * math.sqrt(2)
    assert (found.low, found.high) == pytest.approx((3 - reach, 3 + reach))


@pytest.mark.parametrize("sides", [([1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0]), ([], [1.0, 2.0])])
def test_one_value_has_no_interval(sides: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="at least two values"):
        welch(*sides)


def numbers(effect: Effect) -> tuple[float, ...]:
    return effect.difference, effect.low, effect.high, effect.p, effect.hedges_g


def test_swapping_the_sides_flips_the_sign() -> None:
    a, b = draws(1, (5, 10, 1), (7, 12, 3))
    found, swapped = welch(a, b), welch(b, a)
    assert numbers(swapped) == pytest.approx(numbers(found.reversed()))
    assert numbers(found.reversed().reversed()) == numbers(found)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert (swapped.n_a, swapped.n_b) == (7, 5)


@pytest.mark.parametrize("scale", [1e-150, 0.01, 1e9])
def test_units_do_not_matter(scale: float) -> None:
    a, b = draws(2, (5, 10, 1), (6, 12, 3))
    found, scaled = welch(a, b), welch(a * scale, b * scale)
    in_units = (scaled.difference / scale, scaled.low / scale, scaled.high / scale)
    assert in_units == pytest.approx((found.difference, found.low, found.high))
    assert (scaled.p, scaled.hedges_g) == pytest.approx((found.p, found.hedges_g))
    moved = welch(a + 5, b + 5)
    assert numbers(moved) == pytest.approx(numbers(found))


def test_the_same_values_differ_in_nothing() -> None:
    (a,) = draws(3, (5, 10, 1))
    found = welch(a, a)
    assert (found.difference, found.hedges_g, found.p) == (0, 0, pytest.approx(1))
    assert found.is_none


def test_where_nothing_varies() -> None:
    same, apart = welch([2, 2], [2, 2, 2]), welch([2, 2], [3, 3])
    assert numbers(same) == (0, 0, 0, 1, 0)
    assert same.is_none
    assert numbers(apart) == (1, 1, 1, 0, math.inf)
    assert not apart.is_none
    assert welch([3, 3], [2, 2]).hedges_g == -math.inf


def coverage(shapes: Sequence[tuple[int, float, float]], stretch: float = 1.0) -> float:
    """How many of 2,000 intervals, made so much wider, hold the true difference."""
    truth, rng, hits = shapes[1][1] - shapes[0][1], np.random.default_rng(4), 0
    for _ in range(2000):
        found = welch(*(rng.normal(mean, spread, count) for count, mean, spread in shapes))
        reach = (found.high - found.low) / 2 * stretch
        hits += abs(found.difference - truth) <= reach
    return hits / 2000


@pytest.mark.parametrize(
    "shapes", [[(5, 10, 1), (5, 12, 1)], [(5, 10, 1), (5, 12, 6)], [(3, 0, 1), (8, 0, 2)]]
)
def test_intervals_hold_the_truth_95_times_in_100(shapes: list[tuple[int, float, float]]) -> None:
    assert coverage(shapes) == pytest.approx(0.95, abs=0.02)


def test_intervals_that_are_too_narrow_or_too_wide_would_be_found_out() -> None:
    shapes = [(5, 10, 1), (5, 12, 6)]
    assert coverage(shapes, 0.75) < 0.93
    assert coverage(shapes, 1.4) > 0.97


def test_a_difference_is_found_more_often_the_larger_it_is() -> None:
    rng = np.random.default_rng(5)
    found = [
        np.mean([not welch(rng.normal(0, 1, 5), rng.normal(d, 1, 5)).is_none for _ in range(500)])
        for d in (0, 1, 2, 4)
    ]
    assert found == sorted(found)
    assert found[0] < 0.09
    assert found[-1] > 0.95


def test_hedges_g_is_right_on_average_where_cohens_d_is_not() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(0, 1, (2000, 3)), rng.normal(1, 1, (2000, 3))
    cohen = (b.mean(1) - a.mean(1)) / np.sqrt((a.var(1, ddof=1) + b.var(1, ddof=1)) / 2)
    assert np.mean([welch(*pair).hedges_g for pair in zip(a, b, strict=True)]) == pytest.approx(
        1, abs=0.08
    )
    assert cohen.mean() > 1.15


# Four cells


def cells(*values: Sequence[float]) -> dict[tuple[str, str], Sequence[float]]:
    names = [(n, t) for n in ("dcgan", "stylegan") for t in ("classic", "modern")]
    return dict(zip(names, values, strict=True))


def least_squares(
    design: dict[tuple[str, str], Sequence[float]],
) -> tuple[np.ndarray, np.ndarray, int]:
    """Coefficients, their errors and degrees of freedom, of factors coded -1/2 and 1/2."""
    x, y = [], []
    for (network, training), values in design.items():
        n, t = 0.5 - (network == "dcgan"), 0.5 - (training == "classic")
        x += [[1, n, t, n * t]] * len(values)
        y += list(values)
    matrix, outcomes = np.array(x, float), np.array(y)
    coefficients, *_ = np.linalg.lstsq(matrix, outcomes, rcond=None)
    freedom = len(y) - 4
    variance = np.sum((outcomes - matrix @ coefficients) ** 2) / freedom
    errors = np.sqrt(variance * np.diag(np.linalg.inv(matrix.T @ matrix)))
    return coefficients[1:], errors[1:], freedom


def test_effects_in_closed_form() -> None:
    # Cell means 10, 8, 7, 1: the network does -3 and -7, the training -2 and -6.
    found = factorial(cells([9, 11], [7, 9], [6, 8], [0, 2]))
    assert list(found.index) == ["network", "training", "interaction"]
    assert list(found["value"]) == [-5, -4, -4]
    assert list(found["of"]) == [
        "stylegan less dcgan",
        "modern less classic",
        "modern less classic of stylegan less dcgan",
    ]
    # Variances of 2 in each cell of two: an error of 1 for a factor, 2 for the interaction, and
    # four degrees of freedom.
    reach = found["high"] - found["value"]
    assert list(reach) == pytest.approx([2.776445, 2.776445, 2 * 2.776445], abs=1e-6)


def test_effects_are_those_of_least_squares() -> None:
    design = cells(*draws(7, (5, 10, 1), (5, 8, 1), (5, 7, 1), (5, 1, 1)))
    found, (expected, errors, freedom) = factorial(design), least_squares(design)
    assert list(found["value"]) == pytest.approx(list(expected))
    # Its intervals are too where all cells vary alike.
    (deviations,) = draws(8, (5, 0, 1))
    alike = cells(*(deviations + mean for mean in (10, 8, 7, 1)))
    found, (expected, errors, freedom) = factorial(alike), least_squares(alike)
    reach = stats.t.ppf(0.975, freedom) * errors
    assert list(found["low"]) == pytest.approx(list(expected - reach))
    assert list(found["high"]) == pytest.approx(list(expected + reach))
    assert list(found["p"]) == pytest.approx(list(2 * stats.t.sf(abs(expected / errors), freedom)))


def test_no_interaction_where_effects_add_up() -> None:
    found = factorial(cells([9, 11], [7, 9], [6, 8], [4, 6])).loc["interaction"]
    assert found["value"] == 0
    assert found["low"] < 0 < found["high"]


def test_cells_may_vary_and_number_differently() -> None:
    rng, hits = np.random.default_rng(9), np.zeros(3)
    for _ in range(400):
        shapes = [(3, 10, 1), (8, 8, 4), (5, 7, 2), (4, 1, 1)]
        found = factorial(cells(*(rng.normal(m, s, n) for n, m, s in shapes)))
        truth = np.array([-5, -4, -4])
        hits += (found["low"].to_numpy() <= truth) & (truth <= found["high"].to_numpy())
    assert hits / 400 == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("design", "words"),
    [
        (cells([1, 2], [1, 2], [1, 2], [1]), "two values"),
        ({("a", "x"): [1, 2], ("b", "y"): [1, 2]}, "four cells"),
        ({(n, "x"): [1, 2] for n in "abcd"}, "four cells"),
        ({("a", "x"): [1, 2], ("a", "y"): [1, 2], ("b", "x"): [1, 2], ("c", "y"): [1]}, "four"),
    ],
)
def test_other_designs_are_refused(design: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        factorial(design)
