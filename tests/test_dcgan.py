"""The DCGAN family: exact sizes, losses against closed forms, penalties against calculus."""

import math

import pytest
import torch
from torch import nn

from benchmarks.commands.models import parameter_rows
from data.errors import UserError
from models.dcgan import DCGAN, DCGANOptions
from models.dcgan.networks import Project
from models.losses import LOSSES, gradient_penalty, r1_penalty
from models.registry import family

# Counts that the sources state, or that follow from their tables.
PARAMETERS = {
    "tutorial": (3_576_704, 2_765_568),
    "simple": (3_806_080, 2_765_696),
    "template": (3_807_043, 2_766_657),
    "extended": (23_604_992, 11_166_529),
    "buffed": (178_139_384, 18_899_456),
    "wgan": (3_806_080, 2_765_696),
    "sapienza": (18_421_507, 795_009),
}


def test_parameters_are_exactly_the_published_ones() -> None:
    rows = {row["variant"]: row for row in parameter_rows("dcgan")}
    counted = {
        name: (rows[name]["g_parameters"], rows[name]["d_parameters"]) for name in PARAMETERS
    }
    assert counted == PARAMETERS
    assert set(rows) - set(PARAMETERS) == {"wgan-gp", "r1", "tiny"}


@pytest.mark.parametrize("variant", [v for v in family("dcgan").variants if v != "buffed"])
def test_images_and_logits_have_their_shapes(variant: str) -> None:
    torch.manual_seed(0)
    gan = family("dcgan").build(family("dcgan").resolve(variant, {}))
    images = gan.G(gan.sample_z(2))
    assert images.shape == (2, 3, 64, 64)
    assert images.abs().max() <= 1
    assert gan.D(images).shape == (2,)


@pytest.mark.parametrize("bias", [False, True])
def test_projection_is_the_transposed_convolution(bias: bool) -> None:
    torch.manual_seed(0)
    layer = Project(5, 7, bias)
    z = torch.randn(3, 5)
    expected = nn.functional.conv_transpose2d(z[:, :, None, None], layer.weight, layer.bias)
    torch.testing.assert_close(layer(z), expected)


def test_weights_start_as_published() -> None:
    torch.manual_seed(0)
    gan = DCGAN(DCGANOptions())
    convolution = gan.G.layers[3]
    norm = gan.G.layers[1]
    assert isinstance(convolution, nn.ConvTranspose2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert convolution.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.005)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.2)
    keras = DCGAN(family("dcgan").resolve("sapienza", {}))
    limit = math.sqrt(6 / (100 + 128 * 32 * 32))  # Glorot and Bengio 2010, eq. 16
    assert keras.G[0].weight.abs().max().item() == pytest.approx(limit, rel=1e-3)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


REAL, FAKE = 0.7, -0.3  # one logit of each kind
CLOSED_FORMS = {
    "bce": (
        -math.log(sigmoid(REAL)),
        -math.log(1 - sigmoid(FAKE)),
        -math.log(sigmoid(FAKE)),
    ),
    "lsgan": ((sigmoid(REAL) - 1) ** 2, sigmoid(FAKE) ** 2, (sigmoid(FAKE) - 1) ** 2),
    "wgan": (-REAL, FAKE, -FAKE),
    "wgan-gp": (-REAL, FAKE, -FAKE),
    "hinge": (1 - REAL, 1 + FAKE, -FAKE),
    "logistic": (
        math.log(1 + math.exp(-REAL)),
        math.log(1 + math.exp(FAKE)),
        math.log(1 + math.exp(-FAKE)),
    ),
}


def test_every_loss_has_a_closed_form() -> None:
    assert set(CLOSED_FORMS) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_their_closed_forms(name: str) -> None:
    loss = LOSSES[name]
    real, fake = torch.tensor([REAL, REAL]), torch.tensor([FAKE, FAKE])
    got = (
        loss.real(real, torch.ones(2)).item(),
        loss.fake(fake, torch.zeros(2)).item(),
        loss.generator(fake).item(),
    )
    assert got == pytest.approx(CLOSED_FORMS[name], rel=1e-6)


def d_loss(**settings: object) -> tuple[float, float, float]:
    """D's loss of a DCGAN whose D is a constant, and the two logits' closed-form BCE parts."""
    torch.manual_seed(0)
    gan = DCGAN(
        DCGANOptions(**{"z_dim": 4, "g_channels": (4,) * 4, "d_channels": (4,) * 4, **settings})
    )
    gan.D = ConstantLogit(0.7)
    loss, _ = gan.d_loss(torch.zeros(2, 3, 64, 64))
    return loss.item(), -math.log(sigmoid(0.7)), -math.log(1 - sigmoid(0.7))


class ConstantLogit(nn.Module):
    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logit.expand(len(images))


def test_label_tricks() -> None:
    plain, positive, negative = d_loss()
    assert plain == pytest.approx(positive + negative)
    smoothed, *_ = d_loss(label_smoothing=0.1)  # only reals are smoothed
    assert smoothed == pytest.approx(0.9 * positive + 0.1 * negative + negative)
    weighted, *_ = d_loss(real_weight=0.8)
    assert weighted == pytest.approx(0.8 * positive + negative)
    joint, *_ = d_loss(joint_batch=True)
    assert joint == pytest.approx((positive + negative) / 2)
    # Both labels fall by up to 0.05, and BCE is linear in the label.
    soft, *_ = d_loss(soft_labels=0.05)
    slope = negative - positive
    assert plain < soft < plain + 0.1 * slope


def test_labels_need_a_loss_that_has_them() -> None:
    with pytest.raises(UserError, match="label_smoothing"):
        DCGANOptions(loss="wgan", label_smoothing=0.1)
    DCGANOptions(loss="lsgan", label_smoothing=0.1)


class Linear(nn.Module):
    """D(x) = w . x: its gradient is w everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, 4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images * self.weight).sum(dim=(1, 2, 3))


class Cubic(nn.Module):
    """D(x) = a sum(x^3) / 3: its gradient is a x^2."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.a / 3 * images.pow(3).sum(dim=(1, 2, 3))


def test_r1_and_its_derivative_by_the_weights() -> None:
    torch.manual_seed(0)
    D, x = Cubic(), torch.randn(5, 3, 4, 4)
    penalty = r1_penalty(D, x)
    fourth = x.pow(4).sum(dim=(1, 2, 3)).mean().item()
    assert penalty.item() == pytest.approx(4 * fourth, rel=1e-5)  # a^2 sum x^4
    penalty.backward()
    assert D.a.grad is not None
    assert D.a.grad.item() == pytest.approx(4 * fourth, rel=1e-5)  # 2 a sum x^4


def test_gradient_penalty_of_a_linear_critic() -> None:
    torch.manual_seed(0)
    D = Linear()
    penalty = gradient_penalty(D, torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4))
    assert penalty.item() == pytest.approx((D.weight.norm().item() - 1) ** 2, rel=1e-5)


def test_gradient_penalty_is_taken_between_reals_and_fakes() -> None:
    torch.manual_seed(0)
    zeros, ones = torch.zeros(2000, 1, 1, 1), torch.ones(2000, 1, 1, 1)
    D = Cubic()  # on one pixel x, the gradient's norm is 2 x^2; x is uniform in [0, 1]
    expected = 4 / 5 - 2 * 2 / 3 + 1  # E (2 x^2 - 1)^2
    assert gradient_penalty(D, ones, zeros).item() == pytest.approx(expected, rel=0.1)


def test_schedules() -> None:
    step = DCGANOptions(lr_milestones_kimg=(10, 20), lr_gamma=0.75).lr(1e-3)
    assert [step(n, 0) for n in (0, 9_999, 10_000, 20_000)] == pytest.approx(
        [1e-3, 1e-3, 0.75e-3, 0.5625e-3]
    )
    inverse = DCGANOptions(lr_decay=0.5).lr(1e-3)
    assert [inverse(0, t) for t in (0, 2, 6)] == pytest.approx([1e-3, 5e-4, 2.5e-4])


def test_weights_of_a_clipped_critic_stay_in_their_box(make_trainer) -> None:
    trainer = make_trainer("wgan", {"weight_clip": 0.003})
    assert max(p.abs().max() for p in trainer.gan.D.parameters()) > 0.003
    trainer.step()
    assert max(p.abs().max() for p in trainer.gan.D.parameters()) <= 0.003


def test_gradient_values_are_clipped(make_trainer) -> None:
    clipped = make_trainer("simple", {"grad_clip": 1e-7})
    clipped.step()
    for phase in clipped.phases:
        for parameter in phase.optimizer.param_groups[0]["params"]:
            assert parameter.grad.abs().max() <= 1e-7


def test_r1_acts_at_its_interval(make_trainer) -> None:
    trainer = make_trainer("r1", {"r1_interval": 3})
    seen = []
    for _ in range(6):
        trainer.step()
        seen.append("r1_penalty" in trainer.meter.means())
    assert seen == [False, False, True, False, False, True]


def test_critic_steps_count_their_own_batches(make_trainer) -> None:
    trainer = make_trainer("wgan-gp", {"critic_steps": 3}, batch=4)
    before = [p.clone() for p in trainer.gan.G.parameters()]
    trainer.step()
    trainer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.gan.G.parameters(), strict=True))
    trainer.step()
    assert not torch.equal(before[0], next(trainer.gan.G.parameters()))
    assert trainer.nimg == 12
    assert trainer.updates("G") == 1


def test_reused_fakes_are_the_ones_that_d_saw(make_trainer) -> None:
    for reuse in (True, False):
        gan = make_trainer("simple", {"reuse_fakes": reuse}).gan
        seen: list[torch.Tensor] = []
        gan.D.register_forward_hook(
            lambda _, inputs, __, seen=seen: seen.append(inputs[0].detach())
        )
        reals = torch.zeros(4, 3, 64, 64)
        gan.d_loss(reals)
        gan.g_loss(reals)
        assert torch.equal(seen[1], seen[2]) == reuse


def test_latents_follow_their_mean_and_std() -> None:
    options = DCGANOptions(z_dim=64, latent_mean=0.3, latent_std=0.4)
    z = DCGAN(options).sample_z(2000)
    assert z.mean().item() == pytest.approx(0.3, abs=0.01)
    assert z.std().item() == pytest.approx(0.4, abs=0.01)
