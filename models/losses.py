"""Adversarial losses on logits, and penalties on the discriminator's gradient.

Every loss is a mean over the batch, computed in float32 whatever the networks ran in.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.shard import mine, whole


class AdversarialLoss(NamedTuple):
    """One loss.

    Attributes:
        real: D's loss on real images, from logits [N] and their targets [N].
        fake: D's loss on fakes, likewise.
        generator: G's loss, from the logits [N] of its fakes.
        has_targets: targets act: labels can be smoothed or softened.
        has_probabilities: the sigmoid of a logit is D's probability of "real".
    """

    real: Callable[[Tensor, Tensor], Tensor]
    fake: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    has_targets: bool
    has_probabilities: bool


def least_squares(logits: Tensor, targets: Tensor) -> Tensor:
    """Squared error of the probability. Mao et al. (2017, arXiv 1611.04076) have no sigmoid; the
    student's template that this reproduces does.
    """
    return F.mse_loss(logits.sigmoid(), targets)


def towards_real(criterion: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """G's non-saturating loss: D's criterion with fakes labelled as real."""
    return lambda logits: criterion(logits, torch.ones_like(logits))


bce = F.binary_cross_entropy_with_logits

LOSSES = {
    # Goodfellow et al. 2014 (arXiv 1406.2661), non-saturating.
    "bce": AdversarialLoss(bce, bce, towards_real(bce), True, True),
    "lsgan": AdversarialLoss(least_squares, least_squares, towards_real(least_squares), True, True),
    # Arjovsky et al. 2017 (arXiv 1701.07875); Gulrajani et al. 2017 (arXiv 1704.00028) add the
    # gradient penalty below.
    "wgan": AdversarialLoss(
        lambda real, _: -real.mean(),
        lambda fake, _: fake.mean(),
        lambda fake: -fake.mean(),
        False,
        False,
    ),
    # Lim and Ye 2017 (arXiv 1705.02894).
    "hinge": AdversarialLoss(
        lambda real, _: F.relu(1 - real).mean(),
        lambda fake, _: F.relu(1 + fake).mean(),
        lambda fake: -fake.mean(),
        False,
        False,
    ),
    # As in StyleGAN: bce without labels.
    "logistic": AdversarialLoss(
        lambda real, _: F.softplus(-real).mean(),
        lambda fake, _: F.softplus(fake).mean(),
        lambda fake: F.softplus(-fake).mean(),
        False,
        True,
    ),
}
LOSSES["wgan-gp"] = LOSSES["wgan"]


Discriminator = Callable[[Tensor], Tensor]  # images [N, 3, H, W] to logits [N]


def input_gradients(D: Discriminator, images: Tensor) -> Tensor:
    """The gradient of each logit by its image, [N, 3, H, W], in float32, differentiable again."""
    images = images.detach().float().requires_grad_()
    with torch.autocast(images.device.type, enabled=False), differentiable_twice():
        (gradients,) = torch.autograd.grad(D(images).sum(), images, create_graph=True)
    return gradients


def gradient_penalty(D: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
    """E (|grad D(x)| - 1)^2 at x uniform between a real and a fake (1704.00028 eq. 3)."""
    alpha = mine(torch.rand(whole(len(real)), 1, 1, 1, device=real.device))
    between = torch.lerp(fake.detach().float(), real.float(), alpha)
    norms = input_gradients(D, between).flatten(1).norm(dim=1)  # [N]
    return (norms - 1).square().mean()


def r1_penalty(D: Discriminator, real: Tensor) -> Tensor:
    """E |grad D(x)|^2 on reals: R1 without gamma / 2 (Mescheder et al. 2018, 1801.04406 eq. 9)."""
    return input_gradients(D, real).square().sum(dim=(1, 2, 3)).mean()


def differentiable_twice() -> AbstractContextManager[None]:
    """Run compiled modules as they are written: torch.compile has no second derivatives."""
    return torch.compiler.set_stance("force_eager")


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Use a module without computing gradients for its weights."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
