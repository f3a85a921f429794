"""Claims on latents, data and scores: hand-worked numbers, and `bench claims` on tiny runs."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

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
from eval.attributes import standing
from eval.effects import Floats, Vectors, as_vectors
from eval.faces.targets import TARGETS
from eval.images import Drawn
from eval.studies.cases import DIRECTIONS, Arm, Case, readable, require_readable
from eval.studies.claims import CLAIMS, Claim
from eval.studies.gaussian import DARKNESS, TREND_STD, Seen
from eval.studies.latent_claims import DECIDED_BY, TURNED, by_seed, crosses
from eval.studies.verdicts import (
    ALPHA,
    Found,
    NotRunError,
    Part,
    UnpriceableError,
    apart,
    counted,
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


def attributes(count: int, **values: Any) -> Vectors:
    """Those of N faces: alike, but for what is given."""
    read = {
        target.name: np.full((count, target.size), 1 / target.size)
        if target.kind == "category"
        else np.full(count, target.middle)
        for target in TARGETS
    }
    return as_vectors(read | {name: np.asarray(value, float) for name, value in values.items()})


def trust(**scores: float) -> dict[str, dict[str, Any]]:
    """The standing of heads, of which some have other scores."""
    known = standing()
    return known | {name: {**known[name], "head_score": score} for name, score in scores.items()}


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


def test_a_share_is_clopper_and_pearsons() -> None:
    found = counted("share", 7, 50, 0.1)
    bounds = stats.beta.ppf(0.025, 7, 44), stats.beta.ppf(0.975, 8, 43)
    assert (found.low, found.high) == pytest.approx(bounds)
    assert found.value == 7 / 50
    none = counted("share", 0, 50, 0.1)
    assert (none.low, none.high) == pytest.approx((0, 1 - 0.025 ** (1 / 50)))
    assert none.p > 0.005, "as 0.9 to the 50th is"
    assert not none.holds


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


def test_heads_stay_with_what_rests_on_them() -> None:
    founds = [Found((part(x),), "", heads=("hair_hue",)) for x in (1.0, 2.0)]
    assert pooled(founds).heads == ("hair_hue",)


def test_heads_that_cannot_read_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {"lashes": 0.29, "hair_hue": 0.3}
    monkeypatch.setattr(eval.studies.cases, "standing", lambda: trust(**scores))
    assert readable(["lashes", "hair_hue", "light"]) == ("hair_hue", "light")
    require_readable(["hair_hue", "light"])
    with pytest.raises(UnpriceableError, match="no head can read lashes"):
        readable(["lashes"])
    with pytest.raises(UnpriceableError, match="no head can read lashes"):
        require_readable(["hair_hue", "lashes"])


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
    assert tests > 10
    assert holm([1 / (DIRECTIONS + 1)] * tests).max() <= ALPHA, "else no slope could ever hold"
    names = {*TURNED, *(name for group in DECIDED_BY.values() for name in group)}
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


Z_DIM = 100  # of which 1, 10, 20 ... 90 are walked along
WALKED = [0, *range(9, 90, 10)]
EIGHT = tuple(name for name in DECIDED_BY["coarse"] if name not in ("hair_style", "mouth_shape"))


class Plain:
    """Its images are its latents."""

    G = nn.Identity()

    def sample_z(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, Z_DIM, generator=generator)


def walking(values: Callable[[Floats], Mapping[str, Any]]) -> Case:
    """A run of which faces have these attributes, as shares of their range, by z."""

    def read(images: Drawn) -> Vectors:
        z = images.latents.double().numpy()
        found = {name: np.asarray(value)[:, None] for name, value in values(z).items()}
        return attributes(len(z)) | found

    return case(gan=Plain(), read=read)


def own_attribute(z: Floats) -> dict[str, Floats]:
    """Each variable has an attribute of its own."""
    names = [target.name for target in TARGETS if target.kind == "scalar"]
    return {name: 0.5 + z[:, at] / 50 for name, at in zip(names, WALKED, strict=False)}


def all_alike(z: Floats) -> dict[str, Floats]:
    """Each variable moves six attributes, and in every face alike."""
    return dict.fromkeys(EIGHT, 0.5 + z[:, WALKED].sum(1) / 50)


def all_otherwise(z: Floats) -> dict[str, Floats]:
    """Each moves the same six, up or down by what else the face's z says."""
    whole = z[:, WALKED].sum(1) / 50
    return {name: 0.5 + whole * np.sign(z[:, 1 + at]) for at, name in enumerate(EIGHT)}


@pytest.mark.parametrize(
    ("values", "breadth", "consistency", "contradicted_by"),
    [
        (own_attribute, 1, 1, {"breadth", "consistency"}),
        (all_alike, len(EIGHT), 1, {"consistency"}),
        (all_otherwise, len(EIGHT), 0, set()),
    ],
)
def test_one_variable(
    values: Any, breadth: float, consistency: float, contradicted_by: set[str]
) -> None:
    found = measure("4", walking(values))
    of = {part.name: part for part in found.parts}
    assert of["breadth"].value == pytest.approx(breadth, rel=0.1)
    assert of["consistency"].value == pytest.approx(consistency, abs=0.1)
    assert {part.name for part in found.parts if not part.holds} == contradicted_by
    assert found.p < 1e-6
    assert len(found.heads) == len(TARGETS)


def test_variables_that_agree_are_not_many_measurements() -> None:
    """Half of the faces move in one attribute, the others in six, along whatever variable."""

    def values(z: Floats) -> dict[str, Floats]:
        whole = z[:, WALKED].sum(1) / 50
        alone = np.where(z[:, 50] > 0, 0.0, whole)
        return {name: 0.5 + (alone if at else whole) for at, name in enumerate(EIGHT)}

    breadth, _ = measure("4", walking(values)).parts
    error = (breadth.high - breadth.low) / 2 / 1.96
    # The standard error of a mean over 32 faces of two values that are this far from their middle.
    assert error == pytest.approx((breadth.value - 1) / 32**0.5, rel=0.3)


def test_what_cannot_be_read_is_no_part_of_the_breadth(monkeypatch: pytest.MonkeyPatch) -> None:
    unread = dict.fromkeys(EIGHT[1:], 0.2)
    monkeypatch.setattr(eval.studies.cases, "standing", lambda: trust(**unread))
    found = measure("4", walking(all_otherwise))
    assert found.parts[0].value == pytest.approx(1)
    assert not {*unread} & {*found.heads}


def mixed(
    margin: float, spread: float = 0.0, pairs: int = 200
) -> tuple[Vectors, Vectors, dict[str, Vectors]]:
    """Coarse styles go half the way and a margin, fine ones half of it and middle ones a tenth.

    Args:
        spread: of the coarse styles' shares, of which a pair has the same in all attributes.
    """
    rng = np.random.default_rng(0)
    a = attributes(pairs)
    b = {name: rows + rng.choice([-0.4, 0.4], (pairs, 1)) for name, rows in a.items()}
    coarse = 0.5 + margin + rng.normal(0, spread, (pairs, 1))
    gone = {"coarse": coarse, "middle": 0.1, "fine": 0.5}
    return (
        a,
        b,
        {
            group: {name: a[name] + share * (b[name] - a[name]) for name in a}
            for group, share in gone.items()
        },
    )


@pytest.mark.parametrize("margin", [0.2, -0.2])
def test_styles(margin: float) -> None:
    found = measure("5a", case(mixed=mixed(margin, 0.3)))
    (part,) = found.parts
    assert found.holds == (margin > 0)
    assert part.value == pytest.approx(margin, abs=0.05)
    assert found.p < 1e-6
    assert found.heads == DECIDED_BY["coarse"]
    other = measure("5c", case(mixed=mixed(margin, 0.3)))
    assert other.holds == (margin < 0), "if not the coarse ones', then the fine ones'"


def test_attributes_that_agree_are_not_many_measurements() -> None:
    """All eight go the same way in a pair: the interval is that of a mean over pairs."""
    (part,) = measure("5a", case(mixed=mixed(0.0, 0.5, pairs=100))).parts
    shares = 0.5 + np.random.default_rng(0).normal(0, 0.5, 100)
    assert (part.high - part.low) / 2 == pytest.approx(1.96 * shares.std() / 10, rel=0.2)
    (part,) = measure("6a", case(truncated=truncated(0.3, 0.5))).parts
    assert (part.high - part.low) / 2 == pytest.approx(1.96 * shares.std() / 10, rel=0.2)


def test_styles_that_a_network_lacks_or_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b, groups = mixed(0.2)
    small = {name: groups[name] for name in ("coarse", "middle")}
    with pytest.raises(NotRunError, match="no fine layers"):
        measure("5c", case(mixed=(a, b, small)))
    with pytest.raises(NotRunError, match="no others to hold them against"):
        measure("5a", case(mixed=(a, b, {"coarse": groups["coarse"]})))
    scores = {"face_width": 0.1, "mouth_shape": 0.2}
    monkeypatch.setattr(eval.studies.cases, "standing", lambda: trust(**scores))
    found = measure("5a", case(mixed=(a, b, groups)))
    assert found.note.endswith("left out, as they cannot be read: face_width, mouth_shape")
    assert "face_width +" not in found.note
    scores = dict.fromkeys(DECIDED_BY["coarse"], 0.1)
    with pytest.raises(UnpriceableError, match="no head can read face_width"):
        measure("5a", case(mixed=(a, b, groups)))


def truncated(share: float, spread: float = 0.0) -> dict[float, Vectors]:
    """Faces that are the share of the way from the mean face at psi -1, the same in all."""
    mean, plain, found = mixed(share - 0.5, spread, pairs=100)
    return {0.0: mean, 1.0: plain, -1.0: found["coarse"]}


@pytest.mark.parametrize("share", [-0.4, 0.4])
def test_below_the_mean_face(share: float) -> None:
    found = measure("6a", case(truncated=truncated(share)))
    (part,) = found.parts
    assert (found.holds, part.value) == (share < 0, pytest.approx(share))
    assert found.p < 1e-6
    count = len(TARGETS)
    assert f"{count if share < 0 else 0} of {count} attributes" in found.note


def test_another_value_is_across_the_middle_or_60_degrees_away() -> None:
    a = attributes(4, femininity=[0.2, 0.6, 0.45, 0.9], hair_hue=[350, 350, 180, 0])
    b = attributes(4, femininity=[0.6, 1.0, 0.4, 0.1], hair_hue=[45, 55, 250, 300.5])
    assert crosses("femininity", a, b).tolist() == [True, False, False, True]
    assert crosses("hair_hue", a, b).tolist() == [False, True, True, False]


def far(shares: Sequence[float], faces: int = 100) -> dict[float, Vectors]:
    """At psi 2 these shares of faces have another gender, hair length and hair hue."""
    others = [np.arange(faces) < share * faces for share in shares]
    plain = attributes(faces, femininity=[0.7] * faces, hair_length=0.4 + np.zeros(faces))
    hue = np.where(others[2], 100.0, 0.0)
    large = attributes(
        faces,
        femininity=np.where(others[0], 0.3, 1.0),
        hair_length=np.where(others[1], 0.9, 0.0),
        hair_hue=hue + np.rad2deg(np.arctan2(*plain["hair_hue"][0, ::-1])),
    )
    return {1.0: plain, 2.0: large}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.3, 0.4, 1.0), "holds"),
        ((0.0, 0.0, 0.0), "does not hold"),  # though all are exaggerated
        ((0.3, 0.4, 0.01), "does not hold"),
        ((0.3, 0.4, 0.12), "undecided"),
    ],
)
def test_beyond_the_plain_face(shares: Sequence[float], expected: str) -> None:
    found = measure("6b", case(truncated=far(shares)))
    assert [part.value for part in found.parts] == pytest.approx(shares)
    assert verdict(found, found.p) == expected


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
    found = case(trends=slope)
    size = claim("7b", "warmer").measure(arm(found))
    (part,) = size.parts
    assert size.holds, "whatever its sign"
    assert (part.value, part.low, part.high) == pytest.approx((0.3, 0.2, 0.4))
    assert (size.p, part.threshold) == (0.005, 0.1)
    assert ("rises" if sign > 0 else "falls") in size.note
    mirrored = case(trends=slope.assign(value=-0.3, low=-0.4, high=-0.2))
    both = claim("7b", "warmer").measure(arm(found, mirrored))
    assert (both.parts[0].value, both.parts[0].p) == (pytest.approx(0.3), 0), "sizes, which agree"
    assert f"the trend rises in {1 if sign > 0 else 0} of 2" in both.note


def test_a_trend_that_cannot_be_read_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval.studies.cases, "standing", lambda: trust(hair_saturation=0.1))
    with pytest.raises(UnpriceableError, match="no head can read hair_saturation"):
        claim("7b", "warmer").measure(arm(case(trends=pd.DataFrame())))


@pytest.mark.parametrize(
    ("darkness", "parts", "expected"),
    [
        (lambda mean: 0.5 - 0.3 * mean**2, (0.3, 0.3), "holds"),
        (lambda mean: 0.5 + 0.3 * mean**2, (-0.3, -0.3), "does not hold"),
        # Monotone, and bent as a hill is.
        (lambda mean: 0.5 - 0.2 * mean - 0.1 * mean**2, (-0.1, 0.3), "does not hold"),
        (lambda mean: 0.5 + 0.2 * mean - 0.1 * mean**2, (0.3, -0.1), "does not hold"),
        (lambda mean: 0.5 - 0.0001 * mean**2, (0.0001, 0.0001), "undecided"),
    ],
)
def test_the_darkest_mean(
    darkness: Callable[[float], float], parts: tuple[float, float], expected: str
) -> None:
    rng = np.random.default_rng(0)
    faces = rng.normal(0, 0.3, 200)  # which are dark or light at every mean alike
    found = measure(
        "7c", case(darkness=lambda mean: darkness(mean) + faces + rng.normal(0, 0.01, 200))
    )
    assert [part.value for part in found.parts] == pytest.approx(parts, abs=0.004)
    assert max(part.high - part.low for part in found.parts) < 0.01, "paired"
    assert verdict(found, found.p) == expected


def test_darkness_is_of_the_same_noise_at_each_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(extractor: Any, images: Drawn, watch: Any) -> Seen:
        return Seen(np.zeros((1, 1), np.float32), {DARKNESS: images.latents.double().numpy()})

    monkeypatch.setattr(eval.studies.cases, "look", look)
    low, high = (case(gan=Plain()).darkness(mean) for mean in (-1.0, 0.5))
    np.testing.assert_allclose(high - low, 1.5, rtol=1e-5)
    assert low.shape == (200, Z_DIM)
    assert low.std() == pytest.approx(TREND_STD, rel=0.05)


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
        (eval.studies.latent_claims, {"BASES": 8}),
        (eval.studies.cases, {"IMAGES": 64, "DIRECTIONS": 3, "TREND_BASES": 10, "FACES": 16}),
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
    on_training = [each for each in CLAIMS if each.needs.everywhere]
    assert len(table) == 2 * 7 + 5 + 3 + len(on_training), (
        "of a DCGAN twice, of a StyleGAN, of scores, and of training"
    )
    assert (
        table.loc[table["claim"].isin([e.number for e in on_training]), "verdict"] == "not run"
    ).all()
    ran = table[table["verdict"] != "not run"]
    assert ran[["value", "low", "high", "p", "p_holm"]].notna().all(axis=None)
    np.testing.assert_allclose(ran["p_holm"], holm(ran["p"]))
    assert (ran.loc[ran["p_holm"] > 0.05, "verdict"] == "undecided").all()
    assert (ran.loc[ran["p_holm"] <= 0.05, "verdict"] != "undecided").all()
    assert set(table[table["claim"] == "9a"]["run"]) == {f"{few.id} and {many.id}"}
    read = ran["claim"].str.fullmatch("4|[56].|7b")
    assert ran.loc[read, "heads"].str.startswith("worst head ").all()
    assert ran.loc[~read, "heads"].isna().all()
    scores = table[table["claim"] == "10"].set_index("run")
    assert scores.loc[styles.id, "verdict"] == "does not hold"
    assert scores.loc[few.id, "verdict"] == "not run"
    assert (scores.loc[few.id, "cost_runs"], scores.loc[few.id, "cost_kimg"]) == (1, 0.008)
    assert scores.loc[few.id, "cost_hours"] > 0
    assert f"    bench mix {styles.path} --layers coarse\n    not drawn yet\n" in out
    assert out.endswith("results/claims.csv\nresults/claims.json\n")


def test_missing_runs_are_not_run_with_the_reason_and_the_cost(bench: Bench, train: Train) -> None:
    run = train("dcgan")
    run.append(STATS, {"sec_per_kimg": 3600.0})
    code, out, err = bench("claims", "--claims=5, 6a,9,10", "--out=found.csv", "--device=cpu")
    assert code == 0, err
    table = rows_of("found").set_index("claim")
    assert list(table.index) == ["5a", "5b", "5c", "6a", "9a", "9b", "10"]
    assert (table["verdict"] == "not run").all()
    assert (table.loc[["5a", "6a"], "reason"] == "it takes a stylegan run").all()
    assert table.loc["5a", "cost_kimg"] > 1
    assert math.isnan(table.loc["5a", "cost_hours"])
    assert "for hours that no such run tells yet" in flat(out)
    assert "two arms of one model and variant on different" in table.loc["9a", "reason"]
    ticks = [row["sec_per_kimg"] for row in run.rows(STATS)]
    assert table.loc["10", "cost_hours"] == pytest.approx(0.008 * np.median(ticks) / 3600)
    assert "7 not run" in out
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


def test_without_any_run_every_arm_is_needed(bench: Bench, small: None) -> None:
    code, out, err = bench("claims", "--claims=9,10", "--device=cpu")
    assert code == 0, err
    table = rows_of().set_index("claim")
    assert list(table["cost_runs"]) == [4, 4, 1], "two arms of two seeds, and one run"
    assert "It would cost 4 runs " in flat(out)
    assert cost_in_words(table.loc["9a"].to_dict()) in flat(out), "read again, as the report does"
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
