"""Comparing runs: arms, the measurements that count, and what is said of them."""

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data.errors import MissingError, UserError
from data.store import Store
from eval import compare
from eval.compare import (
    MEASURED,
    Side,
    arm_names,
    arms,
    at_hours,
    best,
    choose_metric,
    comparable,
    last,
    left_out,
    lower_is_better,
    parse_at,
    verdict,
)
from eval.table import load
from tests.conftest import Bench, write_pictures
from tests.measured_runs import METRIC, PROTOCOL, write_run

# A table made by hand


def rows(run: str, seed: int, **changed: Any) -> dict[str, Any]:
    """A measurement of a finished run of a DCGAN."""
    return {
        "run": run,
        "status": "finished",
        "model": "dcgan",
        "variant": "r1",
        "recipe": None,
        "budget": None,
        "dataset": "faces",
        "dataset_sha256": "d" * 64,
        "images": 17000,
        "rows_sha256": str(seed) * 64,
        "options_sha256": "0" * 64,
        "seed": seed,
        "metric": METRIC,
        "value": 20.0 + seed,
        "sample_seed": 1,
        "kimg": 40.0,
        "train_sec": 7200.0,
        "hardware": "H200",
        **PROTOCOL,
        **changed,
    }


def frame(*found: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(found))


def side(name: str, values: Sequence[float], **changed: Any) -> Side:
    """An arm of which the seeds measured so."""
    found = [rows(f"{name}-{n}", n, value=value, **changed) for n, value in enumerate(values)]
    return Side(name, frame(*found))


def both(one: Side, *others: Side) -> pd.DataFrame:
    return pd.concat([one.rows, *(other.rows for other in others)], ignore_index=True)


# Arms


def test_an_arm_is_all_that_differs_in_the_seed_alone() -> None:
    table = frame(
        *(rows(f"a{n}", n) for n in range(3)),
        *(rows(f"a{n}", n, kimg=20.0) for n in range(3)),
        *(rows(f"b{n}", n, model="stylegan", options_sha256="1" * 64) for n in range(2)),
    )
    found = arms(table)
    assert {name: sorted(set(each["run"])) for name, each in found.items()} == {
        "dcgan-r1": ["a0", "a1", "a2"],
        "stylegan-r1": ["b0", "b1"],
    }
    assert len(found["dcgan-r1"]) == 6, "every measurement of it"


@pytest.mark.parametrize(
    ("changed", "added"),
    [
        ({"options_sha256": "1" * 64}, ["00000000", "11111111"]),
        ({"images": 5000}, ["17000", "5000"]),
        ({"dataset_sha256": "e" * 64, "dataset": "photos"}, ["faces", "photos"]),
        ({"dataset_sha256": "e" * 64}, ["dddddddd", "eeeeeeee"]),
    ],
)
def test_what_tells_arms_apart_is_in_their_names(changed: dict[str, Any], added: list[str]) -> None:
    table = frame(rows("a", 0), rows("b", 1), rows("c", 0, **changed), rows("d", 0, model="x"))
    table.loc[table["run"] == "d", "options_sha256"] = "2" * 64
    assert sorted(arms(table)) == [*(f"dcgan-r1:{text}" for text in added), "x-r1"]


def test_recipes_budgets_and_what_a_suite_says_name_arms() -> None:
    def made(run: str, options: str, budget: float = 1.0) -> dict[str, Any]:
        seed = int(run[-1])
        return rows(run, seed, recipe="old", options_sha256=options * 64, budget=budget)

    names = arm_names(
        frame(made("mild-seed0", "1"), made("mild-seed1", "1"), made("no-seed0", "2"))
    )
    assert dict(names) == {
        "mild-seed0": "mild",
        "mild-seed1": "mild",
        "no-seed0": "no",
    }
    names = arm_names(frame(made("a0", "1"), made("b0", "2", 0.05)))
    assert set(names) == {"old:100%", "old:5%"}
    assert set(arm_names(frame(made("mild-seed0", "1")))) == {"mild"}


@pytest.mark.parametrize("other", ["a1", "strong-seed1", "mild-seed7"])
def test_a_suites_name_is_an_arms_where_all_its_runs_have_it(other: str) -> None:
    """The last one's name speaks of another seed than it had."""
    assert set(arm_names(frame(rows("mild-seed0", 0), rows(other, 1)))) == {"dcgan-r1"}
    again = rows("mild-seed1", 1, options_sha256="1" * 64)
    both_mild = arm_names(frame(rows("mild-seed0", 0), again))
    assert set(both_mild) == {"mild:00000000", "mild:11111111"}


def test_a_data_set_that_was_renamed_is_the_same() -> None:
    assert len(arms(frame(rows("a", 0), rows("b", 1, dataset="moved")))) == 1


def test_runs_that_have_not_finished_are_left_out_by_name() -> None:
    table = frame(
        rows("a", 0),
        rows("b", 1, status="collapsed"),
        rows("c", 0, model="stylegan", options_sha256="1" * 64, status="running"),
        {"run": "d", "status": "unreadable"},
    )
    assert {name: set(each["run"]) for name, each in arms(table).items()} == {"dcgan-r1": {"a"}}
    assert left_out(table) == {"dcgan-r1": ("b (collapsed)",), "stylegan-r1": ("c (running)",)}


def test_of_no_runs_there_are_no_arms() -> None:
    empty = frame(rows("a", 0)).iloc[:0]
    assert arms(empty) == {}
    assert left_out(empty) == {}


# Measurements


def measured_twice(run: str, seed: int, values: dict[float, tuple[float, float]]) -> pd.DataFrame:
    """By kimg, the values on the sample that chooses and on the one that is reported."""
    return frame(
        *(
            rows(run, seed, kimg=kimg, train_sec=kimg * 3600, sample_seed=sample, value=value)
            for kimg, pair in values.items()
            for sample, value in enumerate(pair)
        )
    )


def test_the_best_is_chosen_on_one_sample_and_reported_on_the_other() -> None:
    found = measured_twice("a", 0, {10: (30, 31), 20: (20, 25), 30: (22, 21), 40: (26, 27)})
    assert list(best(found)["value"]) == [25]
    assert list(last(found)["value"]) == [27]
    only_last = found[(found["sample_seed"] == 0) | (found["kimg"] == 40)]
    assert best(only_last).empty


def test_within_hours_of_training() -> None:
    found = measured_twice("a", 0, {10: (30, 31), 20: (20, 25), 30: (22, 21)})
    assert list(at_hours(found, 20)["value"]) == [20]
    assert list(at_hours(found, 29.9)["value"]) == [20]
    assert list(at_hours(found, 99)["value"]) == [22]
    assert at_hours(found, 9.9).empty
    assert list(parse_at("30h")(found)["value"]) == [22]
    assert list(parse_at("best")(found)["value"]) == [25]


def test_one_measurement_of_each_run() -> None:
    found = pd.concat(
        [measured_twice("a", 0, {10: (3, 3), 20: (2, 2)}), measured_twice("b", 1, {10: (5, 4)})]
    )
    for pick in (last, best, parse_at("12h")):
        assert sorted(pick(found)["run"]) == ["a", "b"]


@pytest.mark.parametrize("text", ["first", "8", "h", "-1h", "1e3h", "Best", ""])
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--at"):
        parse_at(text)


# What is compared


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (["fid5k_heldout", METRIC], ["fid5k_heldout", METRIC], "fid5k_heldout"),
        (["fid5k_heldout", METRIC], [METRIC], METRIC),
        ([METRIC, "fd_inf_faces5k_heldout", "fd_faces5k_train", "kid5k_heldout"], [METRIC], METRIC),
    ],
)
def test_the_metric_that_decides(ours: list[str], theirs: list[str], expected: str) -> None:
    a, b = (
        Side(name, frame(*(rows(name, 0, metric=metric) for metric in metrics)))
        for name, metrics in (("a", ours), ("b", theirs))
    )
    assert choose_metric(a, b) == choose_metric(b, a) == expected


@pytest.mark.parametrize(
    "metric", ["fid_inf5k_heldout", "fd_inf_faces5k_heldout", "fd_faces5k_train", "kid5k_heldout"]
)
def test_without_a_heldout_distance_there_is_no_default(metric: str) -> None:
    with pytest.raises(MissingError, match="b has no distance to held-out images"):
        choose_metric(side("a", [1]), side("b", [1], metric=metric))


def test_different_metrics_are_refused() -> None:
    with pytest.raises(UserError, match="metric is fd_faces5k_heldout and fid5k_heldout"):
        choose_metric(side("a", [1]), side("b", [1], metric="fid5k_heldout"))


OTHERS = {
    "extractor": "inception",
    "extractor_sha256": "9" * 64,
    "feature_precision": "bf16",
    "resize": "bicubic to 299",
    "reference_sha256": "8" * 64,
    "reference_images": 1000,
    "fakes": 1000,
    "psi": 0.7,
    "batch_norm": "train",
    "weights": "raw",
    "dataset_sha256": "e" * 64,
}


@pytest.mark.parametrize("field", OTHERS)
def test_other_protocols_and_data_are_refused_with_both_values(field: str) -> None:
    a, b = side("a", [1, 2]), side("b", [1, 2], **{field: OTHERS[field]})
    with pytest.raises(UserError, match=f"{field} is ") as refused:
        comparable(a, b, METRIC)
    (said,) = [part for part in str(refused.value).split("; ") if f"{field} is" in part]
    mine = {**PROTOCOL, "dataset_sha256": "d" * 64, "batch_norm": "eval mode"}[field]
    for value in (mine, OTHERS[field]):
        assert f"{value:g}" if isinstance(value, float) else str(value)[:8] in said
    assert str(refused.value).count(" is ") == 1, "and nothing else"


def test_every_field_of_the_protocol_is_looked_at() -> None:
    assert {*MEASURED, "dataset_sha256"} == {*OTHERS, "metric"}


def test_a_network_without_batch_norm_is_compared_with_one_in_eval_mode() -> None:
    a, b = side("a", [1, 2], batch_norm=""), side("b", [1, 2])
    assert [len(found) for found in comparable(a, b, METRIC)] == [2, 2]


@pytest.mark.parametrize("changed", [{"psi": 0.7}, {"weights": "raw"}, {"batch_norm": "train"}])
def test_what_does_not_rank_is_not_compared(changed: dict[str, Any]) -> None:
    a, b = side("a", [1, 2], **changed), side("b", [1, 2], **changed)
    with pytest.raises(UserError, match="does not rank"):
        comparable(a, b, METRIC)
    ranking = Side("b", both(b, side("b", [3, 4])))
    (found, _) = comparable(ranking, side("c", [1, 2]), METRIC)
    assert list(found["value"]) == [3, 4]


def test_of_several_protocols_the_common_one_counts() -> None:
    few = side("a", [1, 2], fakes=1000)
    a = Side("a", both(few, few, side("a", [3, 4])))
    ours, theirs = comparable(a, side("b", [5, 6]), METRIC)
    assert (list(ours["value"]), list(theirs["value"])) == ([3, 4], [5, 6])


def test_a_metric_that_a_side_lacks_is_missing() -> None:
    with pytest.raises(MissingError, match=f"b has no kd_faces5k_heldout.*it has {METRIC}"):
        comparable(
            side("a", [1], metric="kd_faces5k_heldout"), side("b", [1]), "kd_faces5k_heldout"
        )
    with pytest.raises(MissingError, match="no measurement"):
        comparable(side("a", [1]), side("b", [math.nan]), METRIC)


# Verdicts

FIVE = [10.0, 11.0, 12.0, 13.0, 14.0]


def later(by: float, count: int = 5) -> list[float]:
    return [value + by for value in FIVE[:count]]


def test_the_sentence() -> None:
    # Variances of 2.5, so an error of 1 and eight degrees of freedom: 2.306004. Hedges' factor is
    # gamma(4) / (2 gamma(3.5)) = 0.902703.
    found = verdict(side("stylegan-tiny", FIVE), side("dcgan-r1", later(12.3)))
    assert found.status == "decided"
    assert found.winner == "stylegan-tiny"
    assert found.sentence == (
        f"stylegan-tiny beats dcgan-r1 on {METRIC} by 12.3 [10.0, 14.6] "
        "(Hedges g 7, 5 and 5 seeds, at kimg 40)."
    )
    assert found.notes == ()


def test_the_order_of_the_sides_does_not_matter() -> None:
    a, b = side("a", FIVE), side("b", later(12.3)[:4], kimg=30.0)
    one, other = verdict(a, b), verdict(b, a)
    assert one.sentence == other.sentence
    assert "at kimg 40 and 30" in one.sentence, "the winner's first"
    assert one.winner == other.winner == "a"
    assert one.effect.difference == pytest.approx(-other.effect.difference)
    assert "5 and 4 seeds" in one.sentence


def test_no_significant_difference() -> None:
    a, b = side("a", FIVE), side("b", later(1.5))
    found = verdict(a, b)
    assert found.status == "no significant difference"
    assert found.winner is None
    assert (
        f"no significant difference between a and b on {METRIC}: b less a is 1.5 [-0.8, 3.8]"
        in (found.sentence)
    )
    assert "a less b is -1.5 [-3.8, 0.8]" in verdict(b, a).sentence


@pytest.mark.parametrize(("by", "winner"), [(12.3, "a"), (0.5, None), (-12.3, "b")])
def test_with_fewer_than_five_seeds_a_verdict_is_provisional(by: float, winner: str | None) -> None:
    found = verdict(side("a", FIVE), side("b", later(by, 4)))
    assert (found.status, found.winner) == ("provisional", winner)
    assert found.sentence.startswith("Provisional: ")
    assert ("no significant difference" in found.sentence) == (winner is None)
    assert verdict(side("a", FIVE), side("b", later(by))).status != "provisional"


def test_of_recall_more_is_better() -> None:
    low, high = [0.1, 0.11, 0.12, 0.13, 0.14], [0.5, 0.51, 0.52, 0.53, 0.54]
    a, b = (
        side(name, values, metric="recall_faces5k_heldout")
        for name, values in (("a", low), ("b", high))
    )
    found = verdict(a, b, "recall_faces5k_heldout")
    assert found.winner == "b"
    assert "b beats a on recall_faces5k_heldout by 0.400 [0.377, 0.423]" in found.sentence
    assert verdict(b, a, "recall_faces5k_heldout").sentence == found.sentence
    assert [lower_is_better(f"{name}5k_heldout") for name in ("recall", "kid", "js_hair_hue_")] == [
        False,
        True,
        True,
    ]


def test_two_runs_are_two_checkpoints() -> None:
    found = verdict(side("a", [20.0], kimg=30.0), side("b", [22.0]))
    assert (found.status, found.winner, found.effect) == ("two checkpoints", None, None)
    assert found.sentence == (
        f"These two checkpoints only: a has 20 on {METRIC} and b has 22 (at kimg 30 and 40); a "
        "single run has no interval."
    )
    assert (
        "a has 20" in verdict(side("b", [22.0]), side("a", [20.0])).sentence.partition(" and ")[0]
    )


def test_one_run_beside_several_is_provisional() -> None:
    found = verdict(side("a", [20.0]), side("b", FIVE))
    assert (found.status, found.winner, found.effect) == ("provisional", None, None)
    assert "b has 12" in found.sentence
    assert "5 and 1 seeds" in found.sentence


def test_a_run_that_does_not_count_is_said_and_makes_it_provisional() -> None:
    whole, other = side("a", [*FIVE, 15.0]), side("b", later(12.3))
    assert verdict(whole, other).status == "decided"

    collapsed = verdict(Side("a", whole.rows, ("a-9 (collapsed)",)), other)
    assert collapsed.status == "provisional"
    assert collapsed.notes == ("left out: a-9 (collapsed)",)

    longer = frame(rows("a-0", 0, kimg=80.0, metric="training", value=None))
    behind = verdict(Side("a", pd.concat([whole.rows, longer])), other)
    assert behind.effect.n_a == 5
    assert behind.notes == ("left out: a-0 (not measured at last)",)

    again = verdict(Side("a", both(whole, side("again", [3.0]))), other)
    assert again.effect.n_a == 6
    assert again.notes == ("left out: again-0 (seed 0 again)",)


def test_nothing_at_that_moment_is_missing() -> None:
    a, b = side("a", FIVE), side("b", FIVE)
    with pytest.raises(MissingError, match="a has no fd_faces5k_heldout at best"):
        verdict(a, b, at="best")
    with pytest.raises(MissingError, match="at 1h"):
        verdict(a, b, at="1h")
    with pytest.raises(UserError, match="recall5k_heldout is no distance"):
        verdict(a, b, "recall5k_heldout", at="best")


def test_what_else_differs_is_said() -> None:
    def arm(name: str, count: int, **changed: Any) -> Side:
        values = {10.0 * n: (30.0 - n, 31.0 - n) for n in range(1, count + 1)}
        found = [measured_twice(f"{name}-{seed}", seed, values) for seed in range(5)]
        return Side(name, pd.concat(found).assign(**changed))

    a, b = arm("a", 3), arm("b", 2, images=5000, hardware="A100")
    assert verdict(a, b).notes == ("trained on 17,000 images and 5,000 images",)
    assert "at kimg 30 and 20)" in verdict(a, b).sentence
    assert "the best of 3 snapshots and 2 snapshots" in verdict(a, b, at="best").notes
    hours = verdict(a, b, at="20h")
    assert "hours are of H200 and A100" in hours.notes
    assert "within 20h, kimg 20)" in hours.sentence
    assert verdict(a, arm("c", 3), at="best").notes == ()


def test_a_part_of_a_batch_is_not_another_length() -> None:
    found = verdict(side("a", FIVE, kimg=3500.03), side("b", FIVE, kimg=3500.0))
    assert "at kimg 3,500)" in found.sentence


# The command


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """Two arms of five seeds; the second one's distances are 12.3 higher in the end."""
    results = tmp_path_factory.mktemp("written") / "results"
    for seed in range(5):
        write_run(results, store, seed, {8.0: 30.0, 16.0: FIVE[seed]})
    for seed in range(5):
        values = {8.0: 40.0, 16.0: FIVE[seed] + 12.3}
        write_run(results, store, seed, values, {"loss": "hinge"})
    return results


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, written: Path, store: Store) -> Path:
    """The same, and four runs that each have something amiss."""
    folder = tmp_path_factory.mktemp("odd")
    results = shutil.copytree(written, folder / "results")
    others = write_pictures(folder / "others", 10, seed=1)
    write_run(results, store, 9, {16.0: 20.0}, fakes=1000)
    write_run(results, others, 9, {16.0: 20.0})
    (write_run(results, store, 9, {16.0: 20.0}).path / "config.json").write_text("{")
    write_run(results, store, 9, {16.0: 20.0}, {"z_dim": 9}, status="stopped")
    return results


@pytest.fixture
def results(written: Path, tmp_path: Path) -> Path:
    """The two arms, in the folder that is looked in by default."""
    return shutil.copytree(written, tmp_path / "results")


ONE, OTHER = (",".join(f"{n:05d}" for n in range(start, start + 5)) for start in (0, 5))


def test_two_arms(bench: Bench, results: Path) -> None:
    both = arms(load(results))
    one, other = sorted(both, key=lambda name: both[name]["run"].min())
    code, out, err = bench("compare", one, other)
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    assert "by 12.3 [10.0, 14.6] (Hedges g 7, 5 and 5 seeds, at kimg 16)" in words
    assert "12 s.d. 1.6" in words
    assert "5,000 fakes of sample seed 1, averaged weights, psi 1, against pictures held" in words
    assert compare.RULE in words
    assert max(map(len, out.splitlines())) <= 100

    code, out, _ = bench("compare", other, one, "--json")
    found = json.loads(out)
    assert found["status"] == "decided"
    assert found["b"]["name"] == found["winner"]
    assert [run["value"] for run in found["b"]["runs"]] == FIVE
    assert found["effect"]["difference"] == pytest.approx(-12.3)
    assert found["protocol"]["fakes"] == 5000
    assert found["rule"] == compare.RULE

    code, out, _ = bench("compare", one, other, "--at", "8h", "--json")
    found = json.loads(out)
    assert [run["value"] for run in found["a"]["runs"]] == [30.0] * 5
    assert found["effect"]["hedges_g"] is None, "endless, which JSON does not know"


def test_runs_with_commas_are_an_arm(bench: Bench, results: Path) -> None:
    code, out, _ = bench("compare", ONE, OTHER, "--json")
    assert (code, json.loads(out)["status"]) == (0, "decided")
    code, out, _ = bench("compare", ONE[:11], OTHER[:11], "--json")
    assert (code, json.loads(out)["status"]) == (0, "provisional")


def test_a_suites_name_for_an_arm(bench: Bench, tmp_path: Path, store: Store) -> None:
    for name, loss in (("mild", "bce"), ("strong", "hinge")):
        for seed in range(2):
            run = write_run(tmp_path / "results", store, seed, {16.0: 10.0 + seed}, {"loss": loss})
            run.path.rename(run.path.with_name(f"{name}-seed{seed}"))
    code, out, _ = bench("compare", "mild", "strong", "--json")
    found = json.loads(out)
    assert (code, found["a"]["name"]) == (0, "mild")
    assert [run["run"] for run in found["b"]["runs"]] == ["strong-seed0", "strong-seed1"]


def test_a_suites_arm_goes_by_its_network_too(bench: Bench, tmp_path: Path, store: Store) -> None:
    for name, loss in (("mild", "bce"), ("strong", "hinge")):
        run = write_run(tmp_path / "results", store, 0, {16.0: 10.0}, {"loss": loss})
        run.path.rename(run.path.with_name(f"{name}-seed0"))
    code, _, err = bench("compare", "dcgan-simple", "mild")
    assert (code, err) == (2, "error: dcgan-simple may be mild or strong: write which\n")


def test_data_without_a_heldout_part_has_another_remedy(
    bench: Bench, tmp_path: Path, store: Store
) -> None:
    for loss in ("bce", "hinge"):
        metric = METRIC.replace("heldout", "train")
        write_run(tmp_path / "results", store, 0, {16.0: 9.0}, {"loss": loss}, metric=metric)
    code, _, err = bench("compare", "00000", "00001")
    assert code == 3
    assert "bench fid" not in err, "measuring again cannot help"
    assert "`bench data split DIR --heldout 2000`" in err
    assert bench("compare", "00000", "00001", "--metric", metric)[0] == 0


def test_two_runs(bench: Bench, results: Path) -> None:
    code, out, _ = bench("compare", "00000", "00005")
    assert code == 0
    assert "These two checkpoints only: 00000 has 10 on" in out


def test_a_run_from_elsewhere(bench: Bench, results: Path, store: Store, tmp_path: Path) -> None:
    far = write_run(tmp_path / "far", store, 7, {16.0: 50.0})
    assert far.id == "00000-dcgan-simple-pictures", "the name of another run"
    code, out, _ = bench("compare", "00000", str(far.path), "--json")
    found = json.loads(out)
    assert (code, found["status"]) == (0, "two checkpoints")
    assert [found[side]["runs"][0]["value"] for side in "ab"] == [10, 50]


def test_runs_that_did_not_finish_are_named(bench: Bench, results: Path, store: Store) -> None:
    write_run(results, store, 5, {16.0: 90.0}, status="collapsed")
    one, other = arms(load(results))
    _, out, _ = bench("compare", one, other)
    assert "Provisional: " in out
    assert "left out: 00010-dcgan-simple-pictures (collapsed)" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["dcgan-simple", "00000"], 2, "may be dcgan-simple:"),
        (["00000", "00000"], 2, "share 00000-dcgan-simple-pictures"),
        ([ONE, "00002"], 2, "share 00002-dcgan-simple-pictures"),
        (["00000,00005", "00001"], 2, "several arms"),
        (["00000", "stylegan-tiny"], 3, "no run stylegan-tiny"),
        (["00000", "00005", "--at", "soon"], 2, "--at soon"),
        (["00000", "00005", "--metric", "fid5k_heldout"], 3, "has no fid5k_heldout"),
        (["00000", "00005", "--at", "1h"], 3, "at 1h"),
        (["00000", "00010"], 2, "fakes is 5000 and 1000"),
        (["00000", "00011"], 2, "dataset_sha256 is "),
        (["00000", "00012"], 2, "cannot be read"),
        (["00000", "00013,00013"], 3, "00013-dcgan-simple-pictures (stopped)"),
    ],
)
def test_mistakes_are_one_line(
    bench: Bench, odd: Path, arguments: list[str], code: int, words: str
) -> None:
    found, out, err = bench("compare", *arguments, f"--results={odd}")
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
