"""Differentiable augmentation: of both kinds of images, for D alone, with gradients through it."""

import pytest
import torch
from torch import Tensor

from models.diffaug import change_colours, diffaug, translate
from models.losses import r1_penalty
from models.registry import GAN, family
from tests.conftest import TINY, TINY_STYLEGAN


def make_gan(model: str, **settings: bool) -> GAN:
    tiny = {"dcgan": TINY, "stylegan": TINY_STYLEGAN}[model]
    chosen = family(model)
    return chosen.build(chosen.resolve(chosen.variant(None)[0], {**tiny, **settings}))


def test_translation_shifts_by_an_eighth_at_most_and_lets_zeros_in() -> None:
    torch.manual_seed(0)
    images = torch.rand(400, 3, 16, 16) + 1  # no zeros of its own
    shifts = set()
    for image, moved in zip(images, translate(images), strict=True):
        inside = moved[0] != 0
        down = 16 - int(inside.any(1).sum()), int(inside.any(1).nonzero()[0, 0]) > 0
        right = 16 - int(inside.any(0).sum()), int(inside.any(0).nonzero()[0, 0]) > 0
        y, x = (count if first else -count for count, first in (down, right))
        expected = torch.zeros(3, 20, 20)
        expected[:, 2 + y : 18 + y, 2 + x : 18 + x] = image
        assert torch.equal(moved, expected[:, 2:18, 2:18])
        shifts.add((y, x))
    assert shifts == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_colours_change_as_published() -> None:
    """Brightness moves the mean, contrast the spread, saturation the distance from grey; each
    alone is drawn for each image."""
    torch.manual_seed(0)
    images = torch.rand(4000, 3, 4, 4)
    changed = change_colours(images)
    shift = changed.mean((1, 2, 3)) - images.mean((1, 2, 3))
    assert -0.5 <= shift.min() < -0.49
    assert 0.49 < shift.max() <= 0.5

    def ratio(of: Tensor, to: Tensor) -> Tensor:
        return of.std((1, 2, 3)) / to.std((1, 2, 3))

    grey = images.mean(1, keepdim=True)
    contrast = ratio(changed.mean(1, keepdim=True), grey)
    assert 0.5 <= contrast.min() < 0.51
    assert 1.49 < contrast.max() <= 1.5001
    saturation = ratio(changed - changed.mean(1, keepdim=True), images - grey) / contrast
    assert saturation.min() < 0.01
    assert 1.99 < saturation.max() <= 2.001
    assert saturation.mean() == pytest.approx(1, abs=0.03)


def test_gradients_pass_through_twice() -> None:
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def augmented(images: Tensor) -> Tensor:
        torch.manual_seed(3)
        return diffaug(images).pow(3)

    assert torch.autograd.gradcheck(augmented, (images,))
    assert torch.autograd.gradgradcheck(augmented, (images,))


@pytest.mark.parametrize("model", ["dcgan", "stylegan"])
def test_d_sees_reals_and_fakes_augmented_and_only_when_asked(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def watched(images: Tensor) -> Tensor:
        calls.append(len(images))
        return images

    monkeypatch.setattr(f"models.{model}.diffaug", watched)
    real = torch.zeros(4, 3, 64, 64)
    for on, expected in ((True, [4, 4, 4, 4]), (False, [])):
        calls.clear()
        gan = make_gan(model, diffaug=on)
        loss = {phase.name: phase.loss for phase in gan.phases()}
        loss["D"](real)
        loss["G"](real)
        r1_penalty(gan.judge, real)  # type: ignore[attr-defined]
        assert calls == expected
