"""The instruments: of faces that differ in one factor alone, the tables name that factor."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import pytest

from data.faces import Factors, sample_factors
from eval.faces import draw_faces, load_faces, random_faces
from eval.faces.targets import COLUMN, TARGETS
from eval.faces.validate import fit_heads
from eval.studies.confusion import (
    Pairs,
    breadths,
    changed_in,
    confusion,
    cross_talk,
    eyes,
    midway,
    mixed,
    movements_of,
    named,
    of_qualities,
    quality_seen,
    read,
    truth,
    walk,
    walked,
)
from eval.studies.gaussian import READ_FROM
from eval.studies.walk import CROSS_TALK, FACTORS, LEAST_BASES, SINGLE_FACTOR_BREADTH

CLEAR = ["hair_lightness", "background_hue", "head_tilt", "mouth_openness", "eye_saturation"]
NOTHING = pytest.approx(0, abs=1e-6)


def told(faces: Sequence[Factors]) -> dict[str, np.ndarray]:
    """The factors themselves, where a network would read them off the pictures."""
    columns = {name: np.array([getattr(face, name) for face in faces]) for name in COLUMN}
    return {
        target.name: np.array(columns[target.name][:, None] == target.values, float)
        if target.kind == "category"
        else columns[target.name]
        for target in TARGETS
    }


def own(table: pd.DataFrame) -> pd.Series:
    return pd.Series({factor: table.loc[factor, factor] for factor in table.index})


def test_the_truth_is_what_faces_were_drawn_from() -> None:
    faces = [sample_factors(5, index) for index in range(20)]
    for name, values in truth(faces).items():
        np.testing.assert_allclose(values, told(faces)[name], rtol=1e-6)


@pytest.fixture
def no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values alone are looked at."""
    monkeypatch.setattr("eval.effects.RESAMPLES", 100)
    monkeypatch.setattr("eval.effects.standing", dict)


def test_who_knows_the_factors_names_each_and_no_other(no_intervals: None) -> None:
    pairs = Pairs.of(told, 60)
    assert set(pairs.kept) == set(COLUMN)
    assert breadths(pairs).to_numpy() == pytest.approx(1)
    assert (own(confusion(pairs)) > 0).all()
    assert cross_talk(confusion(pairs)) == NOTHING
    for changed, share in ((pairs.changed, 1), (pairs.halfway, 0.5)):
        table = mixed(pairs, changed)
        assert own(table).to_numpy() == pytest.approx(share)
        assert cross_talk(table) == NOTHING
        assert (named(table)["rank"] == 1).all()


def test_who_knows_the_factors_sees_one_attribute_move_on_a_walk(no_intervals: None) -> None:
    walks = walked(told, LEAST_BASES + 4)
    assert cross_talk(movements_of(walks)) == NOTHING
    whole = walks[walks["attribute"] == "all"].set_index(["measure", "factor"])["value"]
    for measure in ("count", "breadth", "consistency", "consistent"):
        assert whole[measure].to_numpy() == pytest.approx(1)


def test_a_walk_of_a_factor_is_over_its_range_and_passes_the_face() -> None:
    face = sample_factors(0, 1)
    walked = walk(TARGETS[COLUMN["head_tilt"]], face)
    assert walked[FACTORS.index(1.0)] == face
    tilts = np.array([each.head_tilt for each in walked])
    np.testing.assert_allclose(tilts, np.clip(np.array(FACTORS) * face.head_tilt, -14, 14))
    assert len({changed_in(each, "head_tilt", 0.0) for each in walked}) == 1


def test_the_middle_of_two_hues_is_on_the_shorter_way() -> None:
    hue = TARGETS[COLUMN["hair_hue"]]
    ends = [(350, 10), (10, 350), (100, 200), (300, 100)]
    assert [midway(hue, *each) for each in ends] == [0, 0, 150, 20]
    assert midway(TARGETS[COLUMN["head_yaw"]], -1, 0.5) == -0.25


def test_a_quality_moves_with_its_factors_alone() -> None:
    pairs = Pairs.of(told, 60)
    moved, seen = of_qualities(pairs), quality_seen(pairs, pairs)
    for quality, factors in READ_FROM.items():
        assert (moved.loc[list(factors), quality] > 0).all()
        assert (moved.drop(list(factors))[quality] == 0).all()
        assert seen.loc[list(factors), quality].to_numpy() == pytest.approx(1)


def test_eyes_differ_when_one_is_changed_and_not_when_both_are() -> None:
    found = eyes(told, 40)
    alike, apart = (
        found[[f"{what} of {which}" for what in ("hue", "size")]] for which in ("both", "one")
    )
    assert found["as drawn"] == NOTHING
    assert alike.to_numpy() == NOTHING
    assert (apart > 0.05).all()


@pytest.mark.slow
def test_what_the_network_reads_names_a_factor_that_changed() -> None:
    pairs = Pairs.of(partial(read, load_faces()), 20)
    for table in (confusion(pairs), mixed(pairs, pairs.changed), mixed(pairs, pairs.halfway)):
        found = named(table).set_index("changed")
        assert (found.loc[found.index.intersection(CLEAR), "rank"] == 1).all()
        assert (found["rank"] == 1).mean() > 0.8
    assert own(mixed(pairs, pairs.changed))[CLEAR].to_numpy() == pytest.approx(1, abs=0.15)
    assert breadths(pairs).mean() == pytest.approx(SINGLE_FACTOR_BREADTH, abs=0.5)


@pytest.mark.slow
def test_what_an_untrained_network_reads_names_few() -> None:
    untrained = fit_heads(random_faces(0), draw_faces(1000, 500))
    found = named(confusion(Pairs.of(partial(read, untrained), 10)))
    assert (found["rank"] == 1).mean() < 0.3


@pytest.mark.slow
def test_walks_of_a_factor_drift_as_far_as_the_null_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eval.effects.RESAMPLES", 500)
    walks = walked(partial(read, load_faces()), LEAST_BASES + 4)
    table = movements_of(walks)
    assert cross_talk(table) == pytest.approx(CROSS_TALK, abs=0.06)
    assert (named(table)["rank"] == 1).mean() > 0.9
    moved = walks[walks["measure"] == "moved"]
    is_own = moved["attribute"] == moved["factor"]
    assert (moved.loc[is_own, "effect"] == "yes").mean() > 0.9
    assert (moved.loc[~is_own, "effect"] == "yes").mean() < 0.05
