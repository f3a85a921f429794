"""The kernel distance: against clean-fid, against its definition, over many draws."""

from fractions import Fraction
from itertools import permutations, product

import cleanfid.fid
import numpy as np
import pytest

from eval.kernel import kernel_distance

Array = np.ndarray


def features(count: int, seed: int, dimension: int = 8, shift: float = 0.0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, dimension)) + shift


def defined(fakes: Array, reals: Array) -> Fraction:
    """The unbiased estimate as sums over pairs of rows of whole numbers: exact."""
    x, y = ([[int(value) for value in row] for row in rows] for rows in (fakes, reals))

    def mean(pairs: list[tuple[list[int], list[int]]]) -> Fraction:
        dots = (sum(i * j for i, j in zip(a, b, strict=True)) for a, b in pairs)
        return sum(((Fraction(dot, len(x[0])) + 1) ** 3 for dot in dots), Fraction(0)) / len(pairs)

    within = mean(list(permutations(x, 2))) + mean(list(permutations(y, 2)))
    return within - 2 * mean(list(product(x, y)))


@pytest.mark.parametrize(
    ("reals", "fakes", "size"),
    [(60, 40, 20), (40, 60, 20), (30, 50, 1000), (50, 30, 1000), (30, 30, 30)],
)
def test_equals_clean_fid_of_the_same_seed(reals: int, fakes: int, size: int) -> None:
    x, y = features(reals, 0), features(fakes, 1, shift=0.3)
    found = kernel_distance(reals=x, fakes=y, seed=5, subsets=7, subset_size=size)
    np.random.seed(5)
    expected = cleanfid.fid.kernel_distance(x, y, num_subsets=7, max_subset_size=size)
    assert found.value == pytest.approx(expected, rel=1e-12)
    other = kernel_distance(reals=x, fakes=y, seed=6, subsets=7, subset_size=size).value
    everything = reals == fakes <= size
    assert (other == pytest.approx(expected, rel=1e-6)) == everything


@pytest.mark.slow
def test_defaults_are_those_of_clean_fid() -> None:
    x, y = features(1010, 0), features(1005, 1)
    np.random.seed(0)
    expected = cleanfid.fid.kernel_distance(x, y)
    assert kernel_distance(reals=x, fakes=y).value == pytest.approx(expected, abs=1e-12)


def test_equals_its_definition_in_whole_numbers() -> None:
    rng = np.random.default_rng(0)
    reals, fakes = rng.integers(-9, 10, (7, 4)), rng.integers(-5, 12, (7, 4))
    found = kernel_distance(reals=reals, fakes=fakes, subsets=2)
    assert found.value == pytest.approx(float(defined(fakes, reals)), rel=1e-13)
    assert found.subset_std == pytest.approx(0, abs=1e-9), "each subset is everything"


def test_the_standard_deviation_is_that_of_subsets() -> None:
    x, y = features(60, 0), features(60, 1, shift=0.3)
    values = []
    np.random.seed(3)  # clean-fid, a subset at a time
    for _ in range(9):
        values.append(cleanfid.fid.kernel_distance(x, y, num_subsets=1, max_subset_size=20))
    found = kernel_distance(reals=x, fakes=y, seed=3, subsets=9, subset_size=20)
    assert found.value == pytest.approx(np.mean(values), rel=1e-10)
    assert found.subset_std == pytest.approx(np.std(values, ddof=1), rel=1e-10)


def test_is_unbiased() -> None:
    """Of one distribution it is 0 on average, and as often below as above."""
    values = np.array(
        [
            kernel_distance(
                reals=features(40, seed), fakes=features(40, seed + 1000), subsets=2
            ).value
            for seed in range(400)
        ]
    )
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert 0.3 < (values < 0).mean() < 0.7
    shifted = kernel_distance(reals=features(400, 0), fakes=features(400, 1, shift=1.0))
    assert shifted.value > 8 * values.std()


def test_does_not_depend_on_the_number_of_images() -> None:
    """The expected distance to a shifted distribution is the same at 20 and at 200 images."""

    def mean(count: int) -> tuple[float, float]:
        pairs = ((features(count, s), features(count, s + 1000, shift=0.5)) for s in range(200))
        values = [kernel_distance(reals=x, fakes=y, subsets=2).value for x, y in pairs]
        return float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))

    (few, few_error), (many, many_error) = mean(20), mean(200)
    assert abs(few - many) < 4 * np.hypot(few_error, many_error)
    assert few > 10 * few_error


def test_float32_is_computed_in_float64() -> None:
    x, y = (features(50, seed).astype(np.float32) for seed in (0, 1))
    wide = kernel_distance(reals=x.astype(np.float64), fakes=y.astype(np.float64))
    assert kernel_distance(reals=x, fakes=y) == wide


def test_global_randomness_is_left_alone() -> None:
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)
    kernel_distance(reals=features(5, 0), fakes=features(5, 1))
    assert np.random.random() == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reals": np.zeros((1, 8))}, "1 images are too few"),
        ({"fakes": np.zeros((0, 8))}, "0 images are too few"),
        ({"fakes": np.zeros((5, 7))}, "8 and of 7 dimensions"),
        ({"fakes": np.full((5, 8), np.nan)}, "not finite"),
        ({"subsets": 1}, "at least 2 subsets"),
        ({"subset_size": 1}, "of at least 2 images"),
    ],
)
def test_what_has_no_kernel_distance(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kernel_distance(**{"reals": features(5, 0), "fakes": features(5, 1), **changes})
