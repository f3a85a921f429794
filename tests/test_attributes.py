"""How attributes spread, by what the shipped `faces` network reads: `js` in the tables."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import eval.attributes
from data.store import Store, write_store
from eval.attributes import read_attributes, standing
from eval.extractors import load_extractor
from eval.faces import load_faces
from eval.faces.distort import distort
from eval.faces.drawn import draw_faces
from eval.faces.network import embed
from eval.faces.targets import COLUMN, TARGETS
from eval.images import Pictures
from eval.measure import Gauge, Real

FRESH_SEED = 4242  # neither trained on nor held out
COUNT = 200


@pytest.fixture(scope="module")
def faces() -> Tensor:
    """uint8 [COUNT, 3, 64, 64]"""
    return draw_faces(FRESH_SEED, COUNT)[0]


def stored(folder: Path, images: Tensor) -> Pictures:
    with write_store(folder, {"kind": "test"}) as (writer, _):
        writer.append(images.numpy())
    return Pictures.whole(Store(folder))


def divergences(fakes: Pictures, real: Pictures) -> dict[str, dict[str, Any]]:
    """The rows of `js`, by attribute."""
    gauge = Gauge(load_extractor("faces", torch.device("cpu")), Real({"all": real}))
    end = f"_faces{COUNT}_all"
    rows = {row["metric"]: row for row in gauge.rows(fakes, ["js"], 0)}
    return {name.removeprefix("js_").removesuffix(end): row for name, row in rows.items()}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_VERSUS_CACHE", str(tmp_path / "cache"))


def test_of_itself_nothing_diverges(tmp_path: Path, faces: Tensor) -> None:
    real = stored(tmp_path / "real", faces)
    rows = divergences(real, real)
    assert set(rows) == set(standing())
    assert all(row["value"] == pytest.approx(0, abs=1e-9) for row in rows.values())


def test_other_hues_are_seen_where_they_are(tmp_path: Path, faces: Tensor) -> None:
    """Hair has some hues more often than others; the distortion shifts all by 90 degrees."""
    generator = torch.Generator().manual_seed(0)
    shifted = distort("hue", faces.float(), torch.full([COUNT], 0.5), generator)
    fakes = stored(tmp_path / "shifted", shifted.round().clamp(0, 255).to(torch.uint8))
    rows = divergences(fakes, stored(tmp_path / "real", faces))
    values = {name: row["value"] for name, row in rows.items()}
    assert max(values, key=lambda name: values[name]) == "hair_hue"
    assert values["hair_hue"] > 0.3
    for name in ("fringe", "hair_style", "head_tilt", "eye_left_openness"):
        assert values[name] < 0.05


def test_what_has_nothing_in_common_is_a_bit_apart(faces: Tensor) -> None:
    """Cut where a bin ends: one half of the circle, and of a range."""
    features = embed(load_faces(), faces).numpy()
    read = read_attributes(features)
    yaw = TARGETS[COLUMN["head_yaw"]]
    for name, middle in (("hair_hue", 180.0), ("head_yaw", yaw.middle)):
        below = read[name] < middle
        assert eval.attributes.divergences(features[below], features[~below])[name] == 1.0


def test_each_says_whether_its_head_was_checked_on_real_faces(
    tmp_path: Path, faces: Tensor
) -> None:
    real = stored(tmp_path / "real", faces)
    rows = divergences(real, real)
    said = {name: row["note"].split("; ")[0] for name, row in rows.items()}
    assert said["hair_hue"] == "head: labelled"
    assert said["accessory"] == "head: labelled (glasses only)"
    assert said["gaze"] == "head: unvalidated on real"
