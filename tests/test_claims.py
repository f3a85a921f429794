"""Claims on latents, data and scores: hand-worked numbers, and `bench claims` on tiny runs."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import benchmarks.cli
import eval.studies.cases
import eval.studies.latent_claims
import eval.studies.mixing
import eval.studies.truncation
from benchmarks.commands.claims import claims, cost_in_words
from benchmarks.recipe import recipe_names
from benchmarks.studies import attribute_extractor
from benchmarks.suite import suite_names
from data.errors import MissingError
from eval.studies.cases import DIRECTIONS, Arm, Case
from eval.studies.claims import CLAIMS, Claim
from eval.studies.latent_claims import DECIDED_BY, FLIPPED, by_seed, eye_differences
from eval.studies.verdicts import (
    ALPHA,
    Found,
    NotRunError,
    Part,
    apart,
    holm,
    one_sided,
    over,
    pooled,
    verdict,
)
from tests.conftest import FAST, TINY_STYLEGAN, Bench, write_pictures
from training.run_dir import STATS, RunDir


def part(value: float, reach: float = 1.0, **changed: Any) -> Part:
    return Part("number", value, value - reach, value + reach, **{"threshold": 0.0, **changed})


def case(ticks: Sequence[Mapping[str, Any]] = (), **measured: Any) -> Case:
    """A run of which these are the ticks, and these tables what studies find."""

    def gone() -> Any:
        raise MissingError("gone")

    made = Case(RunDir(Path("gone")), pd.DataFrame(), gone, gone, attribute_extractor("cpu"))
    vars(made).update(ticks=ticks, **measured)  # where cached properties keep what they have found
    return made


def arm(*cases: Case) -> Arm:
    return Arm("arm", cases)


def measure(number: str, *cases: Case) -> Found:
    return claim(number).measure(arm(*cases))


def claim(number: str, words: str = "") -> Claim:
    (found,) = [each for each in CLAIMS if each.number == number and words in each.statement]
    return found


def shares(**columns: Any) -> pd.DataFrame:
    """Effects with intervals of 0.1 to each side, of heads that read well."""
    table = pd.DataFrame({"head_score": 0.9, **columns})
    return table.assign(low=table["value"] - 0.1, high=table["value"] + 0.1)


# Arithmetic


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, and never less than the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.3, 0.4, 0.5]), [0.9, 0.9, 0.9])
    np.testing.assert_allclose(holm([0.9, 0.6]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.04]), [0.04])
    assert len(holm([])) == 0


def test_holm_makes_few_mistakes_where_nothing_is_true() -> None:
    ps = np.random.default_rng(0).random((2000, 5))
    rate = np.mean([(holm(row) <= 0.05).any() for row in ps])
    assert rate == pytest.approx(0.05, abs=0.02)
    assert np.mean((ps <= 0.05).any(1)) > 0.2, "uncorrected"


@pytest.mark.parametrize("freedom", [math.inf, 5])
def test_p_says_what_the_interval_says(freedom: float) -> None:
    assert part(1.0, 1.0, freedom=freedom).p == pytest.approx(0.05)
    assert part(1.01, 1.0, freedom=freedom).p < 0.05 < part(0.99, 1.0, freedom=freedom).p
    assert part(-1.0, 1.0, freedom=freedom).p == pytest.approx(0.05), "two-sided"
    assert part(0.0, 1.0, freedom=freedom).p == 1
    assert part(1.0, 0.0).p == 0
    lopsided = Part("number", 1.0, 0.1, 9.0, 0.0)
    assert lopsided.p < 0.05, "the side that faces the threshold counts"
    assert part(5.0, 0.1, exact=0.3).p == 0.3


def test_a_mean_of_few_numbers_is_students() -> None:
    values = np.random.default_rng(0).normal(1, 2, 6)
    found, expected = over("mean", values, 0.5), stats.ttest_1samp(values, 0.5)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    with pytest.raises(NotRunError, match="a mean over 1 numbers has no interval"):
        over("mean", [1.0], 0.5)


def test_without_an_interval_there_is_no_verdict() -> None:
    with pytest.raises(NotRunError, match="number: nothing varies"):
        part(math.nan)
    with pytest.raises(NotRunError, match="nothing varies"):
        Part("number", 1.0, math.nan, 2.0, 0.0)


@pytest.mark.parametrize(
    ("parts", "corrected", "expected"),
    [
        ([part(3.0)], 0.01, "holds"),
        ([part(3.0)], 0.05, "holds"),
        ([part(3.0)], 0.051, "undecided"),
        ([part(-3.0)], 0.01, "does not hold"),
        ([part(-3.0)], 0.2, "undecided"),
        ([part(-3.0, above=False)], 0.01, "holds"),
        ([part(3.0, above=False)], 0.01, "does not hold"),
        ([part(3.0, threshold=4.0)], 0.01, "does not hold"),
        ([part(3.0), part(0.2, threshold=0.5, above=False)], 0.01, "holds"),
        ([part(3.0), part(0.8, threshold=0.5, above=False)], 0.01, "does not hold"),
        ([part(0.0)], 1.0, "undecided"),
    ],
)
def test_verdicts(parts: list[Part], corrected: float, expected: str) -> None:
    assert verdict(Found(tuple(parts), ""), corrected) == expected


def test_every_part_must_hold_and_one_can_contradict() -> None:
    sure, unsure, against = part(3.0), part(0.5), part(-2.0)
    both = Found((sure, unsure), "")
    assert (both.deciding, both.p) == (unsure, unsure.p), "as sure as the least sure"
    contradicted = Found((sure, unsure, against), "")
    assert (contradicted.deciding, contradicted.p) == (against, pytest.approx(3 * against.p))
    assert Found((part(-0.1), part(-0.1)), "").p == 1, "no p is above 1"


def test_two_arms_are_welchs() -> None:
    a, b = [1.0, 2.0, 2.5, 4.0], [3.0, 3.5, 5.0]
    found, expected = apart("gap", a, b), stats.ttest_ind(b, a, equal_var=False)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.holds, found.p) == (True, pytest.approx(expected.pvalue))
    shifted = apart("gap", a, b, threshold=1.0, above=False)
    expected = stats.ttest_ind(np.subtract(b, 1), a, equal_var=False)
    assert (shifted.value, shifted.low, shifted.high) == pytest.approx(
        (found.value, found.low, found.high)
    )
    assert (shifted.holds, shifted.p) == (False, pytest.approx(expected.pvalue))
    for sides in ((a, b[:1]), (a[:1], b), ([], [])):
        with pytest.raises(NotRunError, match="at least 2 a side"):
            apart("gap", *sides)


def test_equivalence_by_hand() -> None:
    # Five values of mean 0.02 and standard deviation sqrt(0.0025 / 4) * 2 = 0.05.
    values = 0.02 + np.array([-0.05, -0.05, 0.0, 0.05, 0.05])
    error = 0.05 / 5**0.5
    bounds = (-0.1, True), (0.1, False)
    parts = tuple(one_sided(over("change", values, bound, above)) for bound, above in bounds)
    assert [part.p for part in parts] == pytest.approx(
        [stats.t.sf((0.02 + 0.1) / error, 4), stats.t.sf((0.1 - 0.02) / error, 4)]
    )
    found = Found(parts, "")
    assert found.holds
    assert found.p == parts[1].p, "the larger of two one-sided p"
    # ... which is at most 0.05 where the 90% interval is within the bounds, and not the 95% one.
    margin = 0.02 + stats.t.ppf(0.95, 4) * error
    just = one_sided(over("change", values, margin, above=False))
    assert just.p == pytest.approx(0.05)
    assert just.high > margin
    far = Found(tuple(one_sided(over("change", values + 1, b, a)) for b, a in bounds), "")
    assert not far.holds
    assert far.p == pytest.approx(2 * stats.t.sf((1.02 - 0.1) / error, 4)), "of either bound"


def test_seeds_are_pooled_and_one_is_left_as_it_is() -> None:
    only = Found((part(3.0),), "as it is")
    assert pooled([only]) is only
    values, thresholds = [0.3, 0.5, 0.4], [0.1, 0.2, 0.0]
    founds = [
        Found((part(x, threshold=t), part(-x, above=False)), "of one", sign=sign)
        for x, t, sign in zip(values, thresholds, (1, -1, 1), strict=True)
    ]
    found = pooled(founds)
    expected = stats.ttest_1samp(np.subtract(values, thresholds), 0)
    assert (found.parts[0].value, found.parts[0].threshold) == pytest.approx((0.4, 0.1))
    assert found.parts[0].p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert found.parts[0].low == pytest.approx(interval.low + 0.1)
    assert found.parts[1].p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert (found.parts[1].above, found.holds) == (False, True)
    assert "over 3 training seeds; number 0.3, 0.5, 0.4; number -0.3, -0.5, -0.4" in found.note
    assert "rises in 2 of 3 (exact binomial p 1 " in found.note
    agreeing = pooled([Found((part(x),), "", sign=-1) for x in range(6)])
    assert "rises in 0 of 6 (exact binomial p 0.031 " in agreeing.note, "2 / 2^6"


def test_runs_that_cannot_tell_are_left_out() -> None:
    def tell(case: Case) -> Found:
        if not case.ticks:
            raise NotRunError("nothing to see")
        return Found((part(case.ticks[0]["x"]),), "")

    silent, cases = case(), [case([{"x": x}]) for x in (1.0, 2.0)]
    measured = by_seed(tell)(arm(silent, *cases))
    assert measured.parts[0].value == 1.5
    assert by_seed(tell)(arm(silent, cases[0])).parts[0].value == 1
    with pytest.raises(NotRunError, match="nothing to see"):
        by_seed(tell)(arm(silent))


# Claims


def test_the_table_of_claims() -> None:
    numbers = [each.number for each in CLAIMS]
    assert {number.rstrip("abcd") for number in numbers} == {str(each) for each in range(1, 13)}
    assert numbers == sorted(numbers, key=lambda each: (int(each.rstrip("abcd")), each))
    assert numbers.count("7b") == 4
    assert len({each.statement for each in CLAIMS}) == len(CLAIMS)
    # Of a run of each family: of training it is scores alone, twice, that one run can tell of.
    tests = len([each for each in CLAIMS if not each.needs.everywhere]) + 1
    assert holm([1 / (DIRECTIONS + 1)] * tests).max() <= ALPHA, "else no slope could ever hold"
    names = {*FLIPPED, *(name for group in DECIDED_BY.values() for name in group)}
    page = (Path(__file__).parents[1] / "docs" / "faces.md").read_text()
    assert all(f"`{name}`" in page for name in names)


def test_the_page_of_claims() -> None:
    page = (Path(__file__).parents[1] / "docs" / "claims.md").read_text()
    for each in CLAIMS:
        assert f"| {each.number} |" in page
        assert each.statement in page
        assert not each.needs.suite or f"`{each.needs.suite}`" in page


def test_recipes_and_suites_of_claims_are_there() -> None:
    for each in CLAIMS:
        assert {*each.needs.recipes} <= {*recipe_names()}
        assert each.needs.suite in ("", *suite_names())


@pytest.mark.parametrize(("breadth", "consistency"), [(3.0, 0.1), (3.0, 0.9), (1.0, 0.1)])
def test_one_variable(monkeypatch: pytest.MonkeyPatch, breadth: float, consistency: float) -> None:
    def walked(gan: Any, z: Any, variables: Any, read: Any) -> pd.DataFrame:
        wobble = np.tile([-0.01, 0.01], 5)
        found = {"breadth": breadth + wobble, "consistency": consistency + wobble}
        rows = [pd.DataFrame({"measure": name, "value": of}) for name, of in found.items()]
        rest = pd.DataFrame({"measure": ["consistency"], "value": [99.0], "attribute": "hair_hue"})
        return pd.concat([*(each.assign(attribute="all") for each in rows), rest])

    monkeypatch.setattr(eval.studies.latent_claims, "walk_effects", walked)
    monkeypatch.setattr(
        eval.studies.latent_claims, "seeded_z", lambda gan, seeds: np.zeros((32, 100))
    )
    found = measure("4", case(gan=object()))  # type: ignore[arg-type]
    assert found.holds == (breadth > 2 and consistency < 0.5)
    assert found.p < 1e-6
    assert found.deciding.name == ("breadth" if breadth < 2 else "consistency")


def mixed(margin: float, unreadable: Sequence[str] = ()) -> pd.DataFrame:
    """Coarse styles decide their attributes by a margin over the fine ones."""
    rows = [
        {
            "attribute": name,
            "group": group,
            "value": {"coarse": 0.5 + margin, "middle": 0.1, "fine": 0.5}[group] + wobble,
            "head_score": 0.1 if name in unreadable else 0.9,
        }
        for group in ("coarse", "middle", "fine")
        for name, wobble in zip(
            DECIDED_BY["coarse"], np.linspace(0, 0.02, 8) * (group == "coarse"), strict=True
        )
    ]
    return pd.DataFrame(rows)


def test_styles() -> None:
    found = measure("5a", case(mixed=mixed(0.2)))
    assert (found.holds, found.deciding.value) == (True, pytest.approx(0.21))
    assert found.p < 1e-6
    found = measure("5a", case(mixed=mixed(-0.2)))
    assert (found.holds, found.deciding.value) == (False, pytest.approx(-0.19))
    found = measure("5a", case(mixed=mixed(0.2, ["face_width", "mouth_shape"])))
    assert found.note.endswith("left out, as they cannot be read: face_width, mouth_shape")
    assert "face_width +" not in found.note


def test_styles_that_a_network_lacks_or_that_cannot_be_read() -> None:
    small = mixed(0.2).query("group != 'fine'")
    with pytest.raises(NotRunError, match="no fine layers"):
        measure("5c", case(mixed=small))
    with pytest.raises(NotRunError, match="over 0 numbers"):
        measure("5a", case(mixed=mixed(0.2, DECIDED_BY["coarse"])))


@pytest.mark.parametrize("side", [-1, 1])
def test_truncation(side: int) -> None:
    names = list(FLIPPED)
    opposite = shares(psi=-1.0, attribute=names, value=side * np.array([0.5, 0.6, 0.4]))
    far = shares(psi=2.0, attribute=names, value=1 - side * np.array([0.5, 0.6, 0.4]))
    found = case(truncated=pd.concat([opposite, far]))
    below, beyond = measure("6a", found), measure("6b", found)
    assert (below.holds, below.deciding.value) == (side < 0, pytest.approx(side * 0.5))
    assert beyond.holds == (side < 0)
    assert max(below.p, beyond.p) < 0.05
    assert f"{3 if side < 0 else 0} of 3 attributes" in below.note
    far.loc[1, ["value", "low", "high"]] = 1.0, 0.9, 1.1
    found = case(truncated=pd.concat([opposite, far]))
    assert not measure("6b", found).holds, "each of the three, not most"


def test_a_narrow_latent() -> None:
    columns = {
        "std": [0.4] * 3 + [1.0] * 3,
        "mean": 0.0,
        "attribute": ["fd", "precision", "recall"] * 2,
    }
    settings = shares(**columns, value=[2.0, 0.9, 0.2, 3.0, 0.7, 0.6])
    found = measure("7a", case(settings=settings))
    (distance,) = found.parts
    assert (found.holds, distance.value) == (True, pytest.approx(-1))
    assert distance.high - distance.value == pytest.approx(0.1 * 2**0.5)
    # Both errors are a tenth over the quantile of t with nine degrees of freedom.
    error = 0.1 * 2**0.5 / stats.t.ppf(0.975, 9)
    assert distance.p == pytest.approx(2 * stats.t.sf(1 / error, 9))
    assert "precision 0.90 at 0.4, 0.70 at 1; recall 0.20 at 0.4, 0.60 at 1" in found.note
    settings["value"] = settings["value"].iloc[::-1].to_numpy()[[2, 1, 0, 5, 4, 3]]
    assert not measure("7a", case(settings=settings)).holds


@pytest.mark.parametrize("sign", [-1, 1])
def test_trends(sign: int) -> None:
    random = {"random_low": 0.0, "random_median": 0.1, "random_high": 0.25}
    slope = shares(
        trend="slope", attribute=["hair warmth"], value=[sign * 0.3], p=[0.005], **random
    )
    bend = shares(trend="bend", attribute=["darkness"], value=[sign * 0.2], p=[0.5], **random)
    found = case(trends=pd.concat([slope, bend]))
    size = claim("7b", "warmer").measure(arm(found))
    (part,) = size.parts
    assert size.holds, "whatever its sign"
    assert (part.value, part.low, part.high) == pytest.approx((0.3, 0.2, 0.4))
    assert (size.p, part.threshold) == (0.005, 0.1)
    assert ("rises" if sign > 0 else "falls") in size.note
    mirrored = case(trends=pd.concat([slope.assign(value=-0.3, low=-0.4, high=-0.2), bend]))
    both = claim("7b", "warmer").measure(arm(found, mirrored))
    assert (both.parts[0].value, both.parts[0].p) == (pytest.approx(0.3), 0), "sizes, which agree"
    assert f"the trend rises in {1 if sign > 0 else 0} of 2" in both.note
    darkest = measure("7c", found)
    assert darkest.holds == (sign < 0)
    assert darkest.p == pytest.approx(2 * stats.norm.sf(2 * stats.norm.ppf(0.975)))


def test_eyes_differ_in_hue_and_size() -> None:
    def hue(*degrees: float) -> np.ndarray:
        angle = np.deg2rad(degrees)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    read = {name: np.zeros((3, 1)) for name in attribute_names() if "hue" not in name}
    read |= {name: hue(0, 0, 0) for name in attribute_names() if "hue" in name}
    read |= {"eye_left_hue": hue(350, 0, 0), "eye_right_hue": hue(10, 180, 0)}
    read |= {"eye_left_size": np.array([[0.5], [0.0], [0.25]])}
    read |= {"eye_right_size": np.array([[0.5], [1.0], [0.5]]), "eye_left_height": np.ones((3, 1))}
    found = eye_differences(read)
    np.testing.assert_allclose(found, [(20 / 180) / 2, 1.0, 0.125], atol=1e-7)


def attribute_names() -> list[str]:
    from eval.faces.targets import TARGETS

    return [target.name for target in TARGETS]


def test_less_data_and_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    odd, even = rng.normal(0.3, 0.1, 200), rng.normal(0.2, 0.1, 200)
    faces: list[np.ndarray] = []

    def compare(few: Sequence[np.ndarray], many: Sequence[np.ndarray]) -> Found:
        faces[:] = [*few, *many]
        arms = []
        for images, count in ((10, len(few)), (20, len(many))):
            config = SimpleNamespace(data={"images": images})
            arms.append(arm(*(case(gan=object(), config=config) for _ in range(count))))
        return claim("9").measure(*arms)

    monkeypatch.setattr(eval.studies.latent_claims, "Samples", lambda *_, **__: None)
    monkeypatch.setattr(Case, "read", lambda self, images: None)
    monkeypatch.setattr(eval.studies.latent_claims, "eye_differences", lambda read: faces.pop(0))
    found = compare([odd], [even])
    (part,) = found.parts
    assert (found.holds, part.value) == (True, pytest.approx(odd.mean() - even.mean()))
    # Of two means, as Welch has it.
    welch = stats.ttest_ind(odd, even, equal_var=False).confidence_interval()
    assert (part.low, part.high) == pytest.approx((welch.low, welch.high), abs=0.003)
    assert "two runs do not tell" in found.note
    assert not compare([even], [odd]).holds, "the other way round"
    assert compare([odd], [odd]).p == 1, "the same faces"

    # Over training seeds it is the runs' means that vary, however many faces each has.
    few, many = [odd, odd + 0.02, odd - 0.01], [even, even + 0.05]
    found = compare(few, many)
    expected = stats.ttest_ind(
        [faces.mean() for faces in few], [faces.mean() for faces in many], equal_var=False
    )
    assert found.p == pytest.approx(expected.pvalue)
    assert "3 and 2 training seeds" in found.note


def test_low_scores() -> None:
    scores = [0.02, 0.03, 0.01, 0.04, 0.05, 0.4, 0.6, None]
    found = measure("10", case([{"kimg": 1.0, "d_fake": score} for score in scores]))
    (part,) = found.parts
    assert (found.holds, part.value) == (False, pytest.approx(0.03 - 0.5))
    assert part.low == pytest.approx(part.value, abs=0.02)
    assert verdict(found, found.p) == "does not hold"
    assert "5 of 7 ticks" in found.note
    same = measure("10", case([{"d_fake": 0.0}] * 5))
    assert (same.holds, same.p) == (False, 0), "nothing varies, and all of it contradicts"


def test_low_scores_that_are_too_few_or_no_probabilities() -> None:
    with pytest.raises(NotRunError, match=r"in 4 of 5 ticks; at least 5"):
        measure("10", case([{"d_fake": 0.02}] * 4 + [{"d_fake": 0.5}]))
    with pytest.raises(NotRunError, match="no probabilities"):
        measure("10", case([{"logit_fake": -4.0}] * 9))


# The command


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command, with studies of a few images."""
    monkeypatch.setitem(benchmarks.cli.bench.commands, "claims", claims)
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "cache"))
    for module, sizes in (
        (eval.studies.latent_claims, {"BASES": 8, "FACES": 16}),
        (eval.studies.cases, {"IMAGES": 64, "DIRECTIONS": 3, "TREND_BASES": 10}),
    ):
        for name, value in sizes.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(eval.studies.mixing, "PAIRS", 8)
    monkeypatch.setattr(eval.studies.truncation, "BASES", 8)


Train = Callable[..., RunDir]


@pytest.fixture
def train(bench: Bench, tmp_path: Path, small: None) -> Train:
    """Train for two steps on 70 pictures, or on a recipe's share of them."""
    write_pictures(tmp_path / "pictures", 70)

    def made(model: str, *more: str) -> RunDir:
        flags = {
            "dcgan": FAST,
            "stylegan": [
                *(flag for flag in FAST if not flag.startswith("--set")),
                "--variant=tiny",
                *(f"--set={name}={value}" for name, value in TINY_STYLEGAN.items()),
            ],
        }[model]
        lengths = ["--kimg=0.008", "--tick=0.004", "--snap=0.008"]
        ending = bench("run", f"--model={model}", "--data=pictures", *lengths, *flags, *more)
        assert ending[0] == 0, ending[2]
        return RunDir.find(Path("results"), "latest")

    return made


def flat(out: str) -> str:
    """Without the line breaks of a terminal."""
    return " ".join(out.split())


def rows_of(path: str = "results/claims") -> pd.DataFrame:
    table = pd.read_csv(f"{path}.csv", dtype={"claim": str})
    about = json.loads(Path(f"{path}.json").read_text())
    assert len(about["rows"]) == len(table)
    assert about["tests"] == table["p"].notna().sum()
    return table


@pytest.mark.slow
def test_every_claim_on_tiny_runs(bench: Bench, train: Train) -> None:
    many, few = (train("dcgan", f"--recipe=versus-dcgan-{size}") for size in ("full", "19k"))
    styles = train("stylegan")
    for _ in range(5):
        styles.append(STATS, {"kimg": 0.008, "d_fake": 0.02 + 1e-4})
    code, out, err = bench("claims", "00000", "00001", "00002", "00002", "--device=cpu")
    assert code == 0, err
    table = rows_of()
    assert set(table["claim"]) == {each.number for each in CLAIMS}
    on_training = [each for each in CLAIMS if each.needs.everywhere and each.number != "9"]
    assert len(table) == 2 * 7 + 5 + 1 + 3 + len(on_training), (
        "of a DCGAN twice, of a StyleGAN, of sizes, of scores, and of training"
    )
    assert (
        table.loc[table["claim"].isin([e.number for e in on_training]), "verdict"] == "not run"
    ).all()
    ran = table[table["verdict"] != "not run"]
    assert ran[["value", "low", "high", "p", "p_holm"]].notna().all(axis=None)
    np.testing.assert_allclose(ran["p_holm"], holm(ran["p"]))
    assert (ran.loc[ran["p_holm"] > 0.05, "verdict"] == "undecided").all()
    assert (ran.loc[ran["p_holm"] <= 0.05, "verdict"] != "undecided").all()
    assert set(table[table["claim"] == "9"]["run"]) == {f"{few.id} and {many.id}"}
    scores = table[table["claim"] == "10"].set_index("run")
    assert scores.loc[styles.id, "verdict"] == "does not hold"
    assert scores.loc[few.id, "verdict"] == "not run"
    assert (scores.loc[few.id, "cost_runs"], scores.loc[few.id, "cost_kimg"]) == (1, 0.008)
    assert scores.loc[few.id, "cost_hours"] > 0
    assert f"    bench mix {styles.path} --layers coarse\n" in out
    assert out.endswith("results/claims.csv\nresults/claims.json\n")


def test_missing_runs_are_not_run_with_the_reason_and_the_cost(bench: Bench, train: Train) -> None:
    run = train("dcgan")
    run.append(STATS, {"sec_per_kimg": 3600.0})
    code, out, err = bench("claims", "--claims=5, 6a,9,10", "--out=found.csv", "--device=cpu")
    assert code == 0, err
    table = rows_of("found").set_index("claim")
    assert list(table.index) == ["5a", "5b", "5c", "6a", "9", "10"]
    assert (table["verdict"] == "not run").all()
    assert (table.loc[["5a", "6a"], "reason"] == "it takes a stylegan run").all()
    assert table.loc["5a", "cost_kimg"] > 1
    assert math.isnan(table.loc["5a", "cost_hours"])
    assert "for hours that no such run tells yet" in flat(out)
    assert "two runs of one model and variant on different" in table.loc["9", "reason"]
    ticks = [row["sec_per_kimg"] for row in run.rows(STATS)]
    assert table.loc["9", "cost_hours"] == pytest.approx(0.008 * np.median(ticks) / 3600)
    assert "6 not run" in out
    assert not Path("results/claims.csv").exists()


@pytest.mark.slow
def test_seeds_of_an_arm_are_pooled_and_the_latest_arm_is_looked_at(
    bench: Bench, train: Train
) -> None:
    alone = train("dcgan", "--set=lr_g=1e-3")
    runs = [train("dcgan", f"--seed={seed}") for seed in range(2)]
    code, _, err = bench("claims", "--claims=4", "--device=cpu")
    assert code == 0, err
    assert list(rows_of()["run"]) == [f"{runs[0].id}, {runs[1].id}"]
    assert rows_of()["note"].str.startswith("over 2 training seeds; breadth ").all()
    code, _, err = bench("claims", alone.id, runs[0].id, "--claims=4", "--device=cpu")
    assert code == 0, err
    assert list(rows_of()["run"]) == [alone.id, runs[0].id], "two arms of a run each"


def test_without_any_run_two_are_needed_for_a_comparison(bench: Bench, small: None) -> None:
    code, out, err = bench("claims", "--claims=9,10", "--device=cpu")
    assert code == 0, err
    table = rows_of().set_index("claim")
    assert (table.loc["9", "cost_runs"], table.loc["10", "cost_runs"]) == (2, 1)
    assert table.loc["9", "cost_kimg"] == 2 * table.loc["10", "cost_kimg"]
    assert "It would cost 2 runs, " in flat(out)
    assert cost_in_words(table.loc["9"].to_dict()) in flat(out), "read again, as the report does"
    assert max(map(len, out.splitlines())) <= 100


def test_what_is_gone_is_not_run_and_the_rest_is(
    bench: Bench, train: Train, tmp_path: Path
) -> None:
    train("dcgan")
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    code, out, err = bench("claims", "--claims=4,7a", "--device=cpu")
    assert code == 0, err
    table = rows_of().set_index("claim")
    assert table.loc["4", "verdict"] != "not run"
    assert table.loc["7a", "verdict"] == "not run"
    assert "is gone" in table.loc["7a", "reason"]
    assert "It costs no training" in flat(out)
    code, out, err = bench("claims", "--claims=7a", "--against=elsewhere", "--device=cpu")
    assert code == 0, err
    assert rows_of().loc[0, "verdict"] != "not run"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--claims=4,13"], 2, "--claims 4,13: there is no claim '13'; there are 1a, 1b, 2a, 2b"),
        (["--claims="], 2, "there is no claim ''"),
        (["--claims=7d"], 2, "there is no claim '7d'"),
        (["--out=claims.png"], 2, "let the name end in .csv"),
        (["--out=nowhere/claims.csv"], 2, "there is no folder nowhere"),
        (["00007"], 3, "there is no run 00007 in results"),
    ],
)
def test_mistakes_get_one_line(
    bench: Bench, small: None, arguments: list[str], code: int, words: str
) -> None:
    found, out, err = bench("claims", *arguments)
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1
    assert not Path("results").exists()
