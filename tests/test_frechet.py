"""The Frechet distance: against clean-fid, closed forms, 50 digits; FID-infinity."""

from pathlib import Path
from typing import Any

import cleanfid.fid
import mpmath
import numpy as np
import pytest
import scipy.linalg

from benchmarks.speed_fid import clean_fids_distance
from eval.frechet import Moments, TooFewImages, frechet_distance, frechet_infinity

Array = np.ndarray


def distance(a: Array, b: Array) -> float:
    return frechet_distance(Moments.of(a), Moments.of(b))


def correlated(count: int, dimension: int, seed: int, decay: float = 1.0) -> Array:
    """Features whose variances fall as a power, about a mean, along axes of their own."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    scales = (1.0 + np.arange(dimension)) ** (-decay / 2)
    return rng.standard_normal((count, dimension)) * scales @ axes + rng.standard_normal(dimension)


def gaussian(mean: Array, covariance: Array) -> Moments:
    return Moments(100, np.asarray(mean, float), scipy.linalg.cholesky(covariance, lower=True))


def in_50_digits(a: Array, b: Array) -> float:
    """The distance by its definition, as the singular values of the centred features' product."""
    with mpmath.workdps(50):

        def centred(features: Array) -> tuple[Any, Any]:
            rows = mpmath.matrix(features.astype(float).tolist())
            count = rows.rows
            mean = mpmath.matrix([mpmath.fsum(rows[:, j]) / count for j in range(rows.cols)]).T
            for i in range(count):
                rows[i, :] = (rows[i, :] - mean) / mpmath.sqrt(count - 1)
            return mean, rows

        (mean_a, x), (mean_b, y) = centred(a), centred(b)
        product = x * y.T
        if product.rows < product.cols:
            product = product.T
        roots = mpmath.fsum(mpmath.svd_r(product, compute_uv=False))
        squares = [mpmath.fsum(v**2 for v in m) for m in (mean_a - mean_b, x, y)]
        return float(mpmath.fsum(squares) - 2 * roots)


# Moments


@pytest.mark.parametrize("count", [2, 5, 6, 7, 50])
def test_moments_are_the_mean_and_the_unbiased_covariance(count: int) -> None:
    features = correlated(count, 6, seed=count)
    moments = Moments.of(features)
    assert (moments.count, moments.factor.shape) == (count, (6, min(count, 6)))
    np.testing.assert_allclose(moments.mean, features.mean(0), rtol=1e-12)
    covariance = np.cov(features, rowvar=False)
    np.testing.assert_allclose(moments.factor @ moments.factor.T, covariance, atol=1e-14)
    assert moments.trace == pytest.approx(np.trace(covariance), rel=1e-12)


def test_float32_is_accumulated_in_float64() -> None:
    features = (correlated(500, 4, seed=0) + 1000).astype(np.float32)
    moments = Moments.of(features)
    assert moments.mean.dtype == moments.factor.dtype == np.float64
    covariance = np.cov(features.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(moments.factor @ moments.factor.T, covariance, rtol=1e-9, atol=1e-12)
    in_float32 = np.cov(features, rowvar=False, dtype=np.float32)
    assert not np.allclose(in_float32, covariance, rtol=1e-9), "the claim is not idle"


@pytest.mark.parametrize("count", [5, 50])
def test_moments_survive_a_file(tmp_path: Path, count: int) -> None:
    a, b = (Moments.of(correlated(count, 8, seed)) for seed in (0, 1))
    np.savez(tmp_path / "moments.npz", **a.arrays())
    with np.load(tmp_path / "moments.npz") as arrays:
        loaded = Moments.from_arrays(arrays)
    assert type(loaded.count) is int
    assert loaded.count == count
    assert frechet_distance(loaded, b) == frechet_distance(a, b)


@pytest.mark.parametrize(
    ("features", "words", "few"),
    [
        (np.zeros((0, 3)), "0 images are too few", True),
        (np.zeros((1, 3)), "1 images are too few: at least 2", True),
        (np.zeros(3), r"not of shape \[3\]", False),
        (np.array([[0.0], [np.nan]]), "not finite", False),
        (np.array([[0.0], [np.inf]], np.float32), "not finite", False),
    ],
)
def test_features_that_have_no_moments(features: Array, words: str, few: bool) -> None:
    with pytest.raises(ValueError, match=words) as error:
        Moments.of(features)
    assert isinstance(error.value, TooFewImages) == few


def test_dimensions_must_agree() -> None:
    a, b = Moments.of(np.eye(3)), Moments.of(np.eye(4))
    with pytest.raises(ValueError, match="3 and of 4 dimensions"):
        frechet_distance(a, b)
    with pytest.raises(ValueError, match="9 and of 4 dimensions"):
        frechet_infinity(np.eye(9), np.eye(4))


# Against others


@pytest.mark.parametrize(("dimension", "counts"), [(8, (50, 80)), (64, (200, 100))])
def test_equals_clean_fid(
    monkeypatch: pytest.MonkeyPatch, dimension: int, counts: tuple[int, int]
) -> None:
    check_against_clean_fid(monkeypatch, dimension, counts)


@pytest.mark.slow
def test_equals_clean_fid_in_512_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    check_against_clean_fid(monkeypatch, 512, (1500, 1100))


def root_without_disp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clean-fid run with any scipy: newer ones do not take the `disp` that it passes."""
    root = scipy.linalg.sqrtm
    monkeypatch.setattr(cleanfid.fid.linalg, "sqrtm", lambda matrix, disp: (root(matrix), 0.0))


def check_against_clean_fid(
    monkeypatch: pytest.MonkeyPatch, dimension: int, counts: tuple[int, int]
) -> None:
    root_without_disp(monkeypatch)
    a, b = (correlated(count, dimension, seed) for seed, count in enumerate(counts))
    expected = cleanfid.fid.frechet_distance(
        a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False)
    )
    assert distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_the_rival_of_the_speed_test_is_clean_fid_whatever_scipy_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = (correlated(90, 12, seed) for seed in (0, 1))
    statistics = [part for x in (a, b) for part in (x.mean(0), np.cov(x, rowvar=False))]
    root = scipy.linalg.sqrtm

    def sqrtm(matrix: Array) -> Array:  # as from scipy 1.18 on
        return root(matrix)

    monkeypatch.setattr(scipy.linalg, "sqrtm", sqrtm)
    with pytest.raises(TypeError, match="disp"):
        cleanfid.fid.frechet_distance(*statistics)
    assert clean_fids_distance(*statistics) == pytest.approx(distance(a, b), rel=1e-9)
    root_without_disp(monkeypatch)
    assert clean_fids_distance(*statistics) == pytest.approx(distance(a, b), rel=1e-9)


def test_no_root_of_a_matrix_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("sqrtm")

    monkeypatch.setattr(scipy.linalg, "sqrtm", refuse)
    for counts in ((5, 5), (5, 50), (50, 50)):
        a, b = (correlated(count, 8, seed) for seed, count in enumerate(counts))
        assert distance(a, b) > 0


# Closed forms


def test_of_diagonal_covariances() -> None:
    a, b = gaussian([1, 2, 3], np.diag([4, 9, 1])), gaussian([1, 0, 3.5], np.diag([1, 25, 1]))
    assert frechet_distance(a, b) == pytest.approx(4 + 0.25 + (2 - 1) ** 2 + (3 - 5) ** 2)


def test_of_covariances_that_commute() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    p, q = rng.uniform(0.1, 4, (2, 20))
    a, b = (gaussian(np.zeros(20), axes * v @ axes.T) for v in (p, q))
    expected = np.square(np.sqrt(p) - np.sqrt(q)).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_of_two_by_two_covariances_that_do_not() -> None:
    p, q = np.array([[2.0, 1], [1, 3]]), np.array([[5.0, -2], [-2, 1]])
    assert not np.allclose(p @ q, q @ p)
    # (tr R)^2 = tr R^2 + 2 det R, of R = (PQ)^(1/2).
    root = np.sqrt(np.trace(p @ q) + 2 * np.sqrt(np.linalg.det(p) * np.linalg.det(q)))
    a, b = gaussian([0, 0], p), gaussian([0, 0], q)
    expected = np.trace(p) + np.trace(q) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("count", [5, 100])
def test_of_a_shift_and_of_a_stretch(count: int) -> None:
    features = correlated(count, 8, seed=0)
    shift = np.arange(8.0)
    assert distance(features, features + shift) == pytest.approx(np.square(shift).sum(), rel=1e-12)
    variance = features.var(0, ddof=1).sum()
    about_mean = features + 2 * (features - features.mean(0))
    assert distance(features, about_mean) == pytest.approx(4 * variance, rel=1e-12)


def awkward() -> dict[str, tuple[Array, Array]]:
    """Pairs with singular covariances: 12 dimensions."""
    a, b = correlated(30, 12, 0), correlated(40, 12, 1)
    dead_a, dead_b, constant, repeated = a.copy(), b.copy(), a.copy(), a.copy()
    dead_a[:, [1, 5, 6]] = 0
    dead_b[:, [2, 5]] = 0
    constant[:, 3] = 0.1  # its mean is rounded
    repeated[:, 7] = repeated[:, 2]
    twice = np.concatenate([a[:6], a[:6], a[:6]])
    return {
        "few of both": (a[:7], b[:9]),
        "few of one": (a[:7], b),
        "as many as dimensions": (a[:12], b[:12]),
        "one more": (a[:13], b[:13]),
        "two of each": (a[:2], b[:2]),
        "dead in one": (dead_a, b),
        "dead in both": (dead_a, dead_b),
        "constant": (constant, b),
        "repeated features": (repeated, b),
        "repeated images": (twice, b),
        "in subspaces that do not meet": (np.pad(a[:, :5], ((0, 0), (0, 7))), dead_b * (a[0] == 0)),
        "steep": (correlated(30, 12, 2, decay=9), correlated(30, 12, 3, decay=9)),
    }


@pytest.mark.parametrize("name", list(awkward()))
def test_of_singular_covariances_to_50_digits(name: str) -> None:
    a, b = awkward()[name]
    expected = in_50_digits(a, b)
    assert distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_of_sets_without_variance() -> None:
    a, b = np.zeros((5, 3)), np.full((4, 3), 2.0)
    assert distance(a, a) == 0
    assert distance(a, b) == pytest.approx(12)


# Properties


@pytest.mark.parametrize("count", [2, 20, 64, 65, 300])
@pytest.mark.parametrize("decay", [0, 1, 3, 6])
def test_a_set_is_at_no_distance_from_itself(count: int, decay: float) -> None:
    features = correlated(count, 64, seed=count, decay=decay)
    moments = Moments.of(features)
    assert 0 <= frechet_distance(moments, moments) <= 2e-8 * moments.trace
    shuffled = np.random.default_rng(0).permutation(features)
    assert 0 <= distance(features, shuffled) <= 2e-8 * moments.trace


@pytest.mark.parametrize("counts", [(20, 30), (20, 300), (300, 200)])
def test_invariances(counts: tuple[int, int]) -> None:
    a, b = (correlated(count, 32, seed) for seed, count in enumerate(counts))
    expected = pytest.approx(distance(a, b), rel=1e-9)
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((32, 32)))[0]
    assert distance(b, a) == expected
    assert distance(rng.permutation(a), rng.permutation(b)) == expected
    assert distance(a @ axes, b @ axes) == expected
    assert distance(a + 100, b + 100) == expected
    assert distance(3 * a, 3 * b) / 9 == expected
    assert distance(np.pad(a, ((0, 0), (0, 2))), np.pad(b, ((0, 0), (0, 2)))) == expected
    assert distance(a @ axes, b) != expected


def test_a_distance_grows_with_the_difference() -> None:
    a = correlated(200, 16, seed=0)
    distances = [distance(a, a * scale) for scale in (1, 1.01, 1.1, 2)]
    assert distances == sorted(distances)
    assert distances[1] > 1e-6


def test_small_singular_values_are_not_left_to_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Well-conditioned sets take the fast way, others the exact one."""
    asked = []
    exact = scipy.linalg.svdvals
    monkeypatch.setattr(
        scipy.linalg, "svdvals", lambda matrix: asked.append(matrix.shape) or exact(matrix)
    )
    distance(correlated(200, 16, 0), correlated(300, 16, 1))
    assert not asked
    distance(correlated(200, 16, 0, decay=9), correlated(300, 16, 1, decay=9))
    assert asked == [(16, 16)]


# Infinity

DIMENSION = 16
SCALES = np.linspace(0.5, 1.5, DIMENSION)


def two_samples(seed: int, stretch: float = 1.0, count: int = 300) -> tuple[Array, Array]:
    """Fakes and reals, whose true distance is (stretch - 1)^2 times the total variance."""
    rng = np.random.default_rng(seed)
    fakes, reals = rng.standard_normal((2, count, DIMENSION)) * SCALES
    return fakes * stretch, reals


@pytest.mark.parametrize("seed", range(8))
def test_infinity_is_nearer_to_0_than_any_sample(seed: int) -> None:
    fakes, reals = two_samples(seed)
    found = frechet_infinity(fakes, reals, seed=seed)
    assert found.distances[0] == pytest.approx(distance(fakes, reals), rel=1e-9)
    assert abs(found.value) < found.distances[0] / 2


@pytest.mark.parametrize("stretch", [1.0, 1.5])
def test_infinity_is_unbiased(stretch: float) -> None:
    true = np.square((stretch - 1) * SCALES).sum()
    runs = [frechet_infinity(*two_samples(seed, stretch), seed=seed) for seed in range(40)]
    values = np.array([run.value for run in runs])
    largest = np.array([run.distances[0] for run in runs])
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - true) < 4 * error
    assert largest.mean() - true > 8 * error, "what is taken away is there"


def test_infinity_scales_both_sets() -> None:
    """With 30 times as many reals as are used, the distance at infinity is still 0."""
    rng = np.random.default_rng(0)
    fakes = rng.standard_normal((300, DIMENSION)) * SCALES
    reals = rng.standard_normal((9000, DIMENSION)) * SCALES
    found = frechet_infinity(fakes, reals)
    assert found.sizes == (300, 150, 100, 75)
    assert abs(found.value) < found.distances[0] / 2


def test_infinity_is_the_intercept_of_its_line() -> None:
    found = frechet_infinity(*two_samples(0, count=2 * DIMENSION + 2))
    assert found.sizes == (2 * DIMENSION + 2, DIMENSION + 1)
    for size, mean in zip(found.sizes, found.distances, strict=True):
        assert found.value + found.slope / size == pytest.approx(mean)
    assert found.slope > 0


def test_infinity_pairs_parts_off() -> None:
    """Each half of the fakes is compared with one half of the reals: no image counts twice."""
    fakes, reals = two_samples(3, count=2 * DIMENSION + 2)
    rng = np.random.default_rng(7)
    a, b = rng.permutation(fakes), rng.permutation(reals)
    half = DIMENSION + 1
    expected = (distance(a[:half], b[:half]) + distance(a[half:], b[half:])) / 2
    assert frechet_infinity(fakes, reals, seed=7).distances[1] == pytest.approx(expected)


def test_infinity_depends_on_the_seed_alone() -> None:
    fakes, reals = two_samples(0)
    kept = fakes.copy(), reals.copy()
    first = frechet_infinity(fakes, reals, seed=1)
    np.random.default_rng(0).random(5)
    assert frechet_infinity(fakes, reals, seed=1) == first
    assert frechet_infinity(fakes, reals, seed=2).value != first.value
    assert np.array_equal(fakes, kept[0])
    assert np.array_equal(reals, kept[1])


@pytest.mark.parametrize("which", [0, 1])
def test_infinity_needs_two_sizes_above_the_dimension(which: int) -> None:
    samples = list(two_samples(0))
    samples[which] = samples[which][: 2 * DIMENSION + 1]
    words = "33 images are too few to extrapolate from: features of 16 dimensions need 34"
    with pytest.raises(TooFewImages, match=words):
        frechet_infinity(*samples)
