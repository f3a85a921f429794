"""Batches are a function of (seed, images seen); augmentations do what their names say."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data.augment import AUGMENTATIONS, Augmentation
from data.batches import Batches
from data.errors import UserError
from data.store import Store, write_store
from tests.conftest import write_pictures

CPU = torch.device("cpu")


def test_every_image_comes_once_an_epoch(store: Store) -> None:
    batches = Batches(store, CPU)
    rows = torch.cat([batches.rows(0, nimg, 4) for nimg in range(0, 40, 4)])  # four epochs
    for epoch in rows.reshape(4, 10):
        assert sorted(epoch.tolist()) == list(range(10))
    assert len({tuple(epoch.tolist()) for epoch in rows.reshape(4, 10)}) == 4


def test_batches_follow_from_seed_and_images_seen_alone(store: Store) -> None:
    one, other = Batches(store, CPU), Batches(store, CPU)
    later = one.at(3, 24, 4)
    for nimg in (0, 36, 8):
        other.at(3, nimg, 4)
    assert torch.equal(other.at(3, 24, 4), later)
    assert not torch.equal(other.at(4, 24, 4), later)


def test_pixels_span_minus_one_to_one(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(48).reshape(1, 3, 64, 64)
    with write_store(tmp_path / "ramp", {}) as (writer, _):
        writer.append(ramp)
    batch = Batches(Store(tmp_path / "ramp"), CPU).at(0, 0, 1)
    assert batch.dtype == torch.float32
    expected = torch.from_numpy(ramp).double() / 255 * 2 - 1
    torch.testing.assert_close(batch.double(), expected, rtol=0, atol=1e-6)


def test_held_out_images_are_never_trained_on(tmp_path: Path) -> None:
    store = write_pictures(tmp_path / "pictures", 20)
    store.split(5)
    heldout = set(store.rows("heldout"))
    assert len(heldout) == 5
    batches = Batches(store, CPU)
    seen = {row for nimg in range(0, 60, 4) for row in batches.rows(0, nimg, 4).tolist()}
    assert seen == set(range(20)) - heldout


def test_mirror_flips_about_half(store: Store) -> None:
    torch.manual_seed(0)
    plain, mirrored = Batches(store, CPU), Batches(store, CPU, mirror=True)
    before, after = plain.at(0, 0, 1000), mirrored.at(0, 0, 1000)
    same = (before == after).all(dim=(1, 2, 3))
    flipped = (before.flip(3) == after).all(dim=(1, 2, 3))
    assert bool((same | flipped).all())
    assert flipped.float().mean().item() == pytest.approx(0.5, abs=0.05)


IMAGES = torch.randint(20, 230, (200, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(
    torch.uint8
)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_probability_is_each_images_own(name: str) -> None:
    torch.manual_seed(0)
    assert torch.equal(Augmentation.parse(f"{name}:0")(IMAGES), IMAGES)
    before = IMAGES.clone()
    changed = (Augmentation.parse(f"{name}:0.5")(IMAGES) != IMAGES).any(dim=(1, 2, 3))
    assert torch.equal(IMAGES, before), "the store's pixels are not written to"
    # animerush leaves an image alone where it draws the lift (0.3 of 0.95) and that does not act.
    acting = 1 - 0.3 / 0.95 * 0.8 if name == "animerush" else 1.0
    assert changed.float().mean().item() == pytest.approx(acting / 2, abs=0.1)


def test_a_lift_multiplies_by_up_to_a_tenth() -> None:
    torch.manual_seed(0)
    lifted = Augmentation.parse("brightness-lift")(IMAGES).double()
    factors = (lifted / IMAGES).flatten(1).median(dim=1).values
    assert factors.min() >= 0.99
    assert factors.max() <= 1.11
    assert factors.std() > 0.02


def test_jitter_darkens_and_keeps_grey_grey() -> None:
    torch.manual_seed(0)
    grey = torch.full((100, 3, 8, 8), 120, dtype=torch.uint8)
    jittered = Augmentation.parse("color-jitter")(grey).double()
    assert (jittered.amax(1) - jittered.amin(1)).max() <= 1  # hue and saturation spare it
    levels = jittered.mean(dim=(1, 2, 3)) / 120  # contrast spares a flat image too
    assert 0.78 <= levels.min() < 0.85
    assert 0.95 < levels.max() <= 1.01
    assert not torch.equal(Augmentation.parse("color-jitter")(IMAGES), IMAGES)


def test_equalize_spreads_a_narrow_histogram() -> None:
    narrow = (IMAGES.float() / 230 * 20 + 100).to(torch.uint8)
    spread = Augmentation.parse("equalize")(narrow)
    assert narrow.max() - narrow.min() < 21
    assert spread.max() - spread.min() > 230


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("blur", "choose from animerush"),
        ("equalize:2", "not a probability"),
        ("equalize:x", "not a probability"),
    ],
)
def test_bad_augmentations(spec: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Augmentation.parse(spec)
