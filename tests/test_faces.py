"""The drawn faces: how factors are drawn at random, what they do, how data sets are made."""

import colorsys
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.faces import DISTRIBUTIONS, Factors, draw, factor_table, sample_factors, write_faces
from data.files import PARTIAL
from data.store import Store

ROOT = Path(__file__).parent.parent
SAMPLES = 2_000

# A face whose parts are easy to find by colour: green and blue eyes under short dark hair.
PLAIN = Factors(
    eye_left_hue=120.0,
    eye_right_hue=240.0,
    eye_saturation=0.9,
    hair_hue=20.0,
    fringe_length=0.2,
    parting=0.0,
    background="plain",
    clothes="round",
    clothes_hue=20.0,
    background_hue=20.0,
)


def pixels(factors: Factors) -> np.ndarray:
    """float [64, 64, 3], 0 to 255."""
    return np.asarray(draw(factors)).astype(float)


def changed(first: Factors, second: Factors) -> np.ndarray:
    """Where two faces differ visibly, bool [64, 64]."""
    return np.abs(pixels(first) - pixels(second)).max(axis=2) > 4


def green(factors: Factors) -> np.ndarray:
    red, greens, blue = np.moveaxis(pixels(factors), 2, 0)
    return greens > np.maximum(red, blue) + 25


def blue(factors: Factors) -> np.ndarray:
    red, greens, blues = np.moveaxis(pixels(factors), 2, 0)
    return blues > np.maximum(red, greens) + 25


def centre(mask: np.ndarray) -> complex:
    """The mean place of a mask as x + iy; it must not be empty."""
    y, x = np.nonzero(mask)
    return complex(x.mean(), y.mean())


def sweep(name: str, measure, low=None, high=None, face=PLAIN, steps=5) -> list[float]:
    """A measurement of the picture along a factor, all else fixed."""
    distribution = DISTRIBUTIONS[name]
    values = np.linspace(
        distribution.low if low is None else low,
        distribution.high if high is None else high,
        steps,
    )
    return [float(measure(replace(face, **{name: float(value)}))) for value in values]


def rises(values: list[float], by: float = 0.0) -> bool:
    """Never falls, and gains more than `by` from the first to the last."""
    return all(np.diff(values) >= 0) and values[-1] - values[0] > by


# How factors are drawn at random.


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    return pd.DataFrame([vars(sample_factors(0, index)) for index in range(SAMPLES)])


def test_a_sample_depends_on_seed_and_index_alone() -> None:
    assert sample_factors(3, 5) == sample_factors(3, 5)
    assert len({sample_factors(seed, index) for seed in (3, 4, 5) for index in (3, 4, 5)}) == 9


def test_at_least_24_factors_each_with_a_plain_value_in_range() -> None:
    plain = Factors()
    assert len(fields(Factors)) >= 24
    for name, distribution in DISTRIBUTIONS.items():
        if hasattr(distribution, "values"):
            assert getattr(plain, name) in distribution.values, name
        else:
            assert distribution.low <= getattr(plain, name) <= distribution.high, name


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_samples_fill_their_range_and_do_not_leave_it(samples: pd.DataFrame, name: str) -> None:
    distribution, column = DISTRIBUTIONS[name], samples[name]
    if hasattr(distribution, "values"):
        assert set(column) == set(distribution.values)
        return
    width = distribution.high - distribution.low
    assert column.between(distribution.low, distribution.high).all()
    assert column.max() - column.min() > 0.75 * width


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("background", {"plain": 0.28, "gradient": 0.36, "halo": 0.12}),
        ("mouth_shape", {"smile": 0.46, "neutral": 0.20, "frown": 0.13}),
        ("clothes", {"round": 0.30, "hood": 0.20}),
    ],
)
def test_names_come_as_often_as_documented(
    samples: pd.DataFrame, name: str, expected: dict[str, float]
) -> None:
    counts = Counter(samples[name])
    for value, share in expected.items():
        assert counts[value] / SAMPLES == pytest.approx(share, abs=0.04), value


def test_eyes_match_nearly_always(samples: pd.DataFrame) -> None:
    for what, share in (("hue", 0.97), ("size", 0.97), ("height", 0.97), ("openness", 0.96)):
        same = samples[f"eye_left_{what}"] == samples[f"eye_right_{what}"]
        assert same.mean() == pytest.approx(share, abs=0.02), what


def test_the_documented_correlations_and_no_others(samples: pd.DataFrame) -> None:
    assert (samples.femininity == 0.15).mean() == pytest.approx(0.28, abs=0.04)
    towards = samples[["hair_length", "lashes", "brow_thickness"]].corrwith(samples.femininity)
    assert towards.hair_length > 0.3
    assert towards.lashes > 0.5
    assert towards.brow_thickness < -0.5
    spiky = samples.hair_style == "spiky"
    assert spiky[samples.femininity < 0.5].mean() > 3 * spiky[samples.femininity > 0.5].mean()

    related = {"femininity", "hair_length", "lashes", "brow_thickness"}
    related |= {name for name in samples if name.startswith(("hair_", "eye_left", "eye_right"))}
    free = samples.drop(columns=list(related)).select_dtypes("number").corr().to_numpy()
    assert np.abs(free - np.eye(len(free))).max() < 0.1


def test_hair_comes_in_coherent_colours(samples: pd.DataFrame) -> None:
    fair = samples[(samples.hair_lightness > 0.55) & (samples.hair_saturation > 0.58)]
    natural = samples[samples.hair_lightness < 0.23]
    assert fair.hair_hue.between(90, 190).mean() < 0.1  # there is no neon green
    assert natural.hair_saturation.mean() < 0.3  # black is nearly grey


# What the factors do to the picture.


def test_the_same_factors_give_the_same_pixels() -> None:
    face = draw(PLAIN)
    draw(sample_factors(0, 1))  # no state is left behind
    assert face.size == (64, 64)
    assert face.mode == "RGB"
    assert face.tobytes() == draw(replace(PLAIN)).tobytes()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_factor_shows(name: str) -> None:
    face, distribution = Factors(accessory="ribbon"), DISTRIBUTIONS[name]
    if hasattr(distribution, "values"):
        values = distribution.values
    elif name == "strand_seed":
        values = (0, 1)
    else:  # the two ends of a hue are one colour
        values = (distribution.low, 0.5 * (distribution.low + distribution.high))
    pictures = {draw(replace(face, **{name: value})).tobytes() for value in values}
    assert len(pictures) == len(values)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("what", ["hue", "size", "openness", "height"])
def test_an_eye_changes_its_own_half_of_the_middle_of_the_face(side: str, what: str) -> None:
    name = f"eye_{side}_{what}"
    distribution = DISTRIBUTIONS[name]
    face = replace(PLAIN, brow_height=1.0)
    other = replace(face, **{name: distribution.low + 0.2 * (distribution.high - distribution.low)})
    y, x = np.nonzero(changed(face, other))
    assert len(x) > 5
    assert y.min() > 24
    assert y.max() < 50
    assert x.max() < 32 if side == "left" else x.min() > 31


def test_hair_takes_the_hue_it_is_given() -> None:
    def hue(factors: Factors) -> float:
        red, greens, blues = pixels(factors)[12:16, 24:40].mean(axis=(0, 1)) / 255
        return colorsys.rgb_to_hls(red, greens, blues)[0] * 360

    face = replace(PLAIN, hair_shine=0.0, hair_saturation=0.8)
    for given in (20, 80, 140, 200, 260, 320):
        assert hue(replace(face, hair_hue=given)) == pytest.approx(given, abs=12)


def test_hair_lightness_and_skin_tone_set_how_light_they_are() -> None:
    assert rises(sweep("hair_lightness", lambda face: pixels(face)[12:16, 24:40].mean()), by=90)
    tones = sweep("skin_tone", lambda face: -pixels(face)[45:48, 26:38].mean())
    assert rises(tones, by=90)


def test_longer_hair_covers_more() -> None:
    face = replace(PLAIN, hair_hue=120.0, hair_saturation=0.9, eye_left_hue=240.0)
    assert rises(sweep("hair_length", lambda each: green(each).sum(), face=face), by=300)


def test_waves_move_hanging_hair_only() -> None:
    moved = changed(replace(PLAIN, hair_wave=0.0), replace(PLAIN, hair_wave=1.0))
    assert moved[40:].sum() > 100
    assert moved[:24].sum() == 0


def test_a_sharper_hairline_has_more_contrast_and_acts_on_the_forehead() -> None:
    def steepest(factors: Factors) -> float:
        forehead = pixels(factors)[14:32, 24:40].mean(axis=2)
        return np.abs(np.diff(forehead, axis=0)).max(axis=0).mean()

    face = replace(PLAIN, fringe="blunt", brow_height=0.0, hair_lightness=0.2)
    assert rises(sweep("hairline_sharpness", steepest, face=face, steps=3), by=10)


def test_a_longer_fringe_hides_the_forehead() -> None:
    def hair(factors: Factors) -> int:
        return green(factors)[16:34, 24:40].sum()

    face = replace(PLAIN, hair_hue=120.0, hair_saturation=0.9, eye_left_hue=0.0)
    assert rises(sweep("fringe_length", hair, face=face), by=40)


def test_an_eye_closes_by_degrees() -> None:
    iris = sweep("eye_left_openness", lambda face: green(face).sum())
    assert iris[0] == 0
    assert rises(iris, by=20)


def test_a_larger_eye_shows_more_iris_and_leaves_the_other_alone() -> None:
    assert rises(sweep("eye_left_size", lambda face: green(face).sum()), by=10)
    assert len(set(sweep("eye_left_size", lambda face: blue(face).sum()))) == 1


def test_the_eyes_move_as_told() -> None:
    gap = sweep("eye_spacing", lambda face: (centre(blue(face)) - centre(green(face))).real)
    height = sweep("eye_right_height", lambda face: -centre(blue(face)).imag)
    gaze = sweep("gaze", lambda face: centre(blue(face)).real)
    assert rises(gap, by=1.5)
    assert rises(height, by=1.5)
    assert rises(gaze, by=1)


def test_the_head_turns_and_leans() -> None:
    turned = sweep("head_yaw", lambda face: centre(green(face)).real)
    assert rises(turned, by=4)
    for degrees in (-12.0, 0.0, 12.0):
        face = replace(PLAIN, head_tilt=degrees)
        line = centre(blue(face)) - centre(green(face))
        assert np.degrees(np.angle(line)) == pytest.approx(degrees, abs=2.5)


def test_a_turned_head_is_the_mirror_image_of_its_opposite() -> None:
    turned = replace(PLAIN, head_yaw=0.8, gaze=0.5)
    swapped = {"eye_left_hue": PLAIN.eye_right_hue, "eye_right_hue": PLAIN.eye_left_hue}
    opposite = replace(PLAIN, head_yaw=-0.8, gaze=-0.5, **swapped)
    for mask in (green, blue):
        there, back = centre(mask(turned)), centre(mask(opposite))
        assert there.real == pytest.approx(63 - back.real, abs=0.7)
        assert there.imag == pytest.approx(back.imag, abs=0.7)


@pytest.mark.parametrize("shape", ["smile", "neutral", "smirk", "cat", "frown"])
def test_a_mouth_opens_downwards_by_degrees(shape: str) -> None:
    def opening(factors: Factors) -> int:
        return changed(replace(factors, mouth_openness=0.0), factors)[44:60, 20:44].sum()

    face = replace(PLAIN, mouth_shape=shape)
    assert rises(sweep("mouth_openness", opening, face=face), by=15)


def test_a_clear_mouth_stands_out() -> None:
    def contrast(factors: Factors) -> float:
        mouth = pixels(factors)[46:53, 26:38].mean(axis=2)
        return mouth.max() - mouth.min()

    assert rises(sweep("mouth_clarity", contrast), by=40)


def test_a_smile_turns_up_and_a_frown_turns_down() -> None:
    def corners_below_middle(shape: str) -> float:
        rows = pixels(replace(PLAIN, mouth_shape=shape))[46:53].sum(axis=2)
        corner, middle = rows[:, 28].argmin(), rows[:, 31:33].mean(axis=1).argmin()
        return float(corner) - float(middle)

    assert corners_below_middle("smile") < 0 < corners_below_middle("frown")


def test_a_blush_reddens_the_cheeks() -> None:
    def red(factors: Factors) -> float:
        cheek = pixels(factors)[42:45, 20:24].mean(axis=(0, 1))
        return cheek[0] - cheek[1]

    assert rises(sweep("blush", red), by=15)


def test_light_from_the_left_leaves_the_right_in_shadow() -> None:
    def left_lead(factors: Factors) -> float:
        face = pixels(factors).mean(axis=2)
        return face[46:52, 18:23].mean() - face[46:52, 41:46].mean()

    face = replace(PLAIN, shading=1.0, hair_length=0.0)
    shift = sweep("light", left_lead, face=face, steps=2)
    assert shift[0] > 3
    assert shift[1] < -3


def test_the_background_shows_in_the_corners_and_not_on_the_face() -> None:
    for change in ({"background_hue": 200.0}, {"background_lightness": 0.5}):
        moved = changed(PLAIN, replace(PLAIN, **change))
        assert moved[:6, :6].all()
        assert moved[:6, -6:].all()
        assert not moved[28:56, 20:44].any()


def test_a_broader_face_is_broader() -> None:
    def skin(factors: Factors) -> int:
        red, greens, _ = np.moveaxis(pixels(factors)[44], 1, 0)
        return ((red > 215) & (greens > 175)).sum()

    face = replace(PLAIN, hair_style="spiky", hair_length=0.0, background_hue=200.0)
    assert rises(sweep("face_width", skin, face=face, steps=3), by=3)


def test_femininity_narrows_the_jaw() -> None:
    def jaw(factors: Factors) -> int:
        red, greens, _ = np.moveaxis(pixels(factors)[51], 1, 0)
        return -((red > 215) & (greens > 175)).sum()

    face = replace(PLAIN, hair_style="spiky", hair_length=0.0, background_hue=200.0)
    assert rises(sweep("femininity", jaw, face=face, steps=3), by=2)


# Data sets of faces.


def small_set(out: Path, count: int, seed: int = 0, processes: int = 1) -> Store:
    write_faces(out, count, seed, processes=processes)
    return Store(out)


def test_a_set_is_the_same_for_any_number_of_processes_and_faces(tmp_path: Path) -> None:
    finished: list[int] = []
    alone = small_set(tmp_path / "alone", 150)
    write_faces(tmp_path / "pair", 150, 0, finished.append, processes=2)
    few = small_set(tmp_path / "few", 20)

    for name in ("images.npy", "factors.csv", "card.json"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "pair" / name).read_bytes()
    last = np.asarray(draw(sample_factors(0, 149))).transpose(2, 0, 1)
    np.testing.assert_array_equal(alone.images[149], last)
    assert sum(finished) == 150
    assert len(finished) > 1
    np.testing.assert_array_equal(few.images, alone.images[:20])
    assert not np.array_equal(small_set(tmp_path / "other", 20, seed=1).images, few.images)


def test_the_table_draws_the_images_again(tmp_path: Path) -> None:
    store = small_set(tmp_path / "set", 24, seed=9)
    table = pd.read_csv(tmp_path / "set" / "factors.csv")
    assert list(table.columns) == [field.name for field in fields(Factors)]
    for row, image in zip(table.to_dict("records"), store.images, strict=True):
        np.testing.assert_array_equal(np.asarray(draw(Factors(**row))), image.transpose(1, 2, 0))
    assert [Factors(**row) for row in table.to_dict("records")] == [
        sample_factors(9, index) for index in range(24)
    ]


def test_the_card_says_what_made_the_set(tmp_path: Path) -> None:
    card = small_set(tmp_path / "set", 3, seed=7).card
    assert card["kind"] == "faces"
    assert card["seed"] == 7
    assert card["count"] == 3
    assert {"numpy", "pillow"} <= set(card["versions"])
    assert "generator" in card


def test_drawing_needs_no_torch() -> None:
    code = "import sys, data.faces; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


SCRIPT = """
import sys
from pathlib import Path
from data.faces import write_faces

if __name__ == "__main__":
    write_faces(Path(sys.argv[1]), 100_000, 0, lambda done: print(done, flush=True), processes=2)
"""


@pytest.fixture
def long_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A big set in the making, in a process group of its own, after its first chunk."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "set")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        yield run
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


def group_is_gone(group: int, within_seconds: float = 5.0) -> bool:
    end = time.monotonic() + within_seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(os.name == "nt", reason="needs process groups")
def test_an_interrupt_leaves_neither_files_nor_workers_nor_their_tracebacks(
    long_run: subprocess.Popen[str], tmp_path: Path
) -> None:
    os.killpg(long_run.pid, signal.SIGINT)  # as Ctrl-C does: every process gets it
    _, errors = long_run.communicate(timeout=20)
    assert long_run.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1, errors
    assert group_is_gone(long_run.pid)
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


@pytest.mark.skipif(os.name == "nt", reason="needs process groups")
def test_workers_do_not_outlive_a_killed_parent(
    long_run: subprocess.Popen[str], tmp_path: Path
) -> None:
    long_run.kill()
    long_run.wait(timeout=20)
    assert group_is_gone(long_run.pid)
    assert not (tmp_path / "set").exists()
    assert all(path.name.startswith(PARTIAL) for path in tmp_path.iterdir() if path.is_dir())


def test_the_page_shows_the_factors_as_they_are() -> None:
    assert factor_table() in (ROOT / "docs" / "faces.md").read_text(encoding="utf-8")
