"""The DCGAN family: the networks of five student reports and two later standards, one trainer."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from data.errors import UserError, require
from data.shard import mine, whole
from models.dcgan.networks import (
    Discriminator,
    Generator,
    initialise,
    sapienza_discriminator,
    sapienza_generator,
)
from models.diffaug import diffaug
from models.losses import LOSSES, frozen, gradient_penalty, r1_penalty
from models.registry import GAN, Phase, Variant, known, option, register
from ops.native import Impl

Optimizer = Literal["adam", "rmsprop"]
POSITIVE = ("z_dim", "critic_steps", "r1_interval", "lr_d", "lr_g", "latent_std", "eps")
NOT_NEGATIVE = ("lr_decay", "lr_gamma", "real_weight", "r1_gamma", "gp_weight")
CLIPS = ("grad_clip", "weight_clip")


@dataclass(frozen=True)
class DCGANOptions:
    """Everything of a DCGAN that can be set with `bench run --set NAME=VALUE`."""

    network: Literal["dcgan", "sapienza"] = option(
        "dcgan", "layers: Radford's, or Keras's", network=True
    )
    z_dim: int = option(128, "numbers in a latent", network=True)
    g_channels: tuple[int, ...] = option(
        (512, 256, 128, 64), "G's maps, from 4 px up", network=True
    )
    d_channels: tuple[int, ...] = option(
        (64, 128, 256, 512), "D's maps, from 32 px down", network=True
    )
    g_bias: bool = option(False, "convolutions of G have a bias", network=True)
    d_bias: bool = option(False, "convolutions of D have a bias")
    g_slope: float = option(0.0, "LeakyReLU's negative slope in G; 0 is ReLU", network=True)
    d_slope: float = option(0.2, "LeakyReLU's negative slope in D", network=True)
    d_norm: bool = option(True, "batch norm in D")
    d_first_norm: bool = option(True, "batch norm on D's first layer too")
    init: Literal["dcgan", "glorot", "torch"] = option("dcgan", "how weights start")

    loss: str = option("bce", f"one of {', '.join(sorted(LOSSES))}")
    label_smoothing: float = option(0.0, "reals are labelled 1 - this (one-sided)")
    soft_labels: float = option(0.0, "labels lose up to this, drawn anew for each image")
    real_weight: float = option(1.0, "multiplies D's loss on reals")
    gp_weight: float = option(10.0, "weight of the gradient penalty of wgan-gp")
    r1_gamma: float = option(0.0, "R1's gamma; 0 is off")
    r1_interval: int = option(16, "R1 acts every so many steps, as many times as strongly")
    diffaug: bool = option(False, "D sees reals and fakes augmented alike (DiffAugment)")

    d_optimizer: Optimizer = option("adam", "adam or rmsprop")
    g_optimizer: Optimizer = option("adam", "adam or rmsprop")
    lr_d: float = option(2e-4, "D's learning rate")
    lr_g: float = option(2e-4, "G's learning rate")
    betas: tuple[float, float] = option((0.5, 0.999), "Adam's betas")
    alpha: float = option(0.99, "RMSprop's smoothing (Keras's rho)")
    eps: float = option(1e-8, "the optimisers' epsilon")
    grad_clip: float = option(0.0, "each gradient value is clipped to +- this; 0 is off")
    weight_clip: float = option(0.0, "each weight of D is clipped to +- this; 0 is off")
    lr_decay: float = option(0.0, "inverse-time decay: lr / (1 + this * updates)")
    lr_milestones_kimg: tuple[float, ...] = option((), "at each, lr is multiplied by lr_gamma")
    lr_d_milestones_kimg: tuple[float, ...] = option((), "... and at these, D's alone")
    lr_gamma: float = option(0.75, "see lr_milestones_kimg")

    critic_steps: int = option(1, "steps of D for one of G")
    joint_batch: bool = option(False, "D sees reals and fakes as one batch; its loss is the mean")
    reuse_fakes: bool = option(False, "G learns from the fakes that D has just seen")
    latent_mean: float = option(0.0, "z ~ N(mean, std)")
    latent_std: float = option(1.0, "z ~ N(mean, std)")
    ops: Impl = option("auto", "native: compiled, ref: plain torch, auto: compiled if possible")

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the option and the remedy."""
        known(self.loss, LOSSES, "--set loss")
        labels = self.label_smoothing or self.soft_labels
        if labels and not LOSSES[self.loss].has_targets:
            raise UserError(
                f"--set label_smoothing and soft_labels act on labels, and {self.loss} has none; "
                "use the loss bce or lsgan, or real_weight"
            )
        if 4 * 2 ** len(self.g_channels) != 64:
            raise UserError("--set g_channels: four numbers are needed to grow 4 px to 64")
        if len(self.d_channels) not in (4, 5):
            raise UserError("--set d_channels: four or five numbers are needed to shrink 64 px")
        for name, value in dataclasses.asdict(self).items():
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float):
                    require(f"--set {name}", number)
        for name in ("label_smoothing", "soft_labels"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"--set {name}={getattr(self, name)}: at least 0 and below 1")
        for name in POSITIVE:
            require(f"--set {name}", getattr(self, name), above=0)
        for name in (*NOT_NEGATIVE, *CLIPS):
            require(f"--set {name}", getattr(self, name), least=0)
        for channels in (*self.g_channels, *self.d_channels):
            require("--set g_channels and d_channels", channels, above=0)
        if not all(0 <= share < 1 for share in (*self.betas, self.alpha)):
            raise UserError("--set betas and alpha: they are shares, at least 0 and below 1")

    def lr(self, base: float, *more_kimg: float) -> Callable[[int, int], float]:
        """The schedule of a base rate, with further milestones of its own: (images seen, updates
        made) -> learning rate.
        """
        milestones = [1000 * kimg for kimg in (*self.lr_milestones_kimg, *more_kimg)]

        def schedule(nimg: int, updates: int) -> float:
            passed = sum(nimg >= milestone for milestone in milestones)
            return base * self.lr_gamma**passed / (1 + self.lr_decay * updates)

        return schedule


# Counts of parameters, sources and reasons: docs/models.md.
VARIANTS: Mapping[str, Variant] = {
    "tutorial": Variant(
        "the network of PyTorch's DCGAN tutorial",
        {"z_dim": 100, "d_first_norm": False, "reuse_fakes": True},
    ),
    "simple": Variant("the AnimeRush report's main network"),
    "template": Variant(
        "the Oulu course template: biases, LeakyReLU 0.01, least squares",
        {"g_bias": True, "d_bias": True, "d_slope": 0.01, "loss": "lsgan"},
    ),
    "extended": Variant(
        "AnimeRush's deeper network: a six-layer D",
        {
            "g_channels": (2048, 512, 256, 128),
            "d_channels": (64, 128, 256, 512, 1024),
            "d_bias": True,
            "d_slope": 0.01,
        },
    ),
    "buffed": Variant(
        "AnimeRush's widest network",
        {"g_channels": (4092, 2048, 1024, 128), "d_channels": (256, 512, 1024, 512)},
    ),
    "wgan": Variant(
        "AnimeRush's critic: weights clipped, batch norm kept, one critic step",
        {"loss": "wgan", "d_optimizer": "rmsprop", "weight_clip": 0.01, "init": "torch"},
    ),
    "wgan-gp": Variant(
        "a critic as its authors meant it: gradient penalty, no batch norm, five critic steps",
        {
            "loss": "wgan-gp",
            "d_norm": False,
            "d_bias": True,
            "critic_steps": 5,
            "lr_d": 1e-4,
            "lr_g": 1e-4,
            "betas": (0.0, 0.9),
        },
        {"batch": 64},
    ),
    "sapienza": Variant(
        "the Sapienza report's Keras network: RMSprop, soft labels, dropout",
        {
            "network": "sapienza",
            "z_dim": 100,
            "init": "glorot",
            "soft_labels": 0.05,
            "joint_batch": True,
            "d_optimizer": "rmsprop",
            "g_optimizer": "rmsprop",
            "lr_d": 8e-4,
            "lr_g": 4e-4,
            "alpha": 0.9,
            "eps": 1e-7,
            "grad_clip": 1.0,
            "lr_decay": 1e-8,
        },
        {"batch": 16},
    ),
    "r1": Variant(
        "a modern baseline: logistic loss and R1, no batch norm in D",
        {"loss": "logistic", "d_norm": False, "d_bias": True, "r1_gamma": 1.0},
    ),
    "tiny": Variant(
        "r1 at half its width, for a CPU",
        {
            "g_channels": (256, 128, 64, 32),
            "d_channels": (32, 64, 128, 256),
            "d_norm": False,
            "d_bias": True,
            "loss": "logistic",
            "r1_gamma": 1.0,
            "lr_d": 8e-4,
            "lr_g": 8e-4,
        },
        {"batch": 16},
    ),
}


@register("dcgan", options=DCGANOptions, variants=VARIANTS)
class DCGAN(GAN):
    """Two stacks of convolutions and one adversarial loss."""

    def __init__(self, options: DCGANOptions) -> None:
        self.options = options
        self.z_dim = options.z_dim
        self.loss = LOSSES[options.loss]
        if options.network == "sapienza":
            self.G = sapienza_generator(options.z_dim, options.ops)
            self.D = sapienza_discriminator(options.ops)
        else:
            self.G = Generator(
                options.z_dim, options.g_channels, options.g_bias, options.g_slope, options.ops
            )
            self.D = Discriminator(
                options.d_channels,
                options.d_bias,
                options.d_slope,
                options.d_norm,
                options.d_first_norm,
                options.ops,
            )
        initialise(self.G, options.init)
        initialise(self.D, options.init)
        self._seen_fakes: Tensor | None = None  # between D's turn and G's, with reuse_fakes

    def sample_z(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        z = super().sample_z(count, generator)
        return z * self.options.latent_std + self.options.latent_mean

    def phases(self) -> list[Phase]:
        options = self.options
        d_optimizer = self._optimizer(self.D, options.d_optimizer, options.lr_d)
        g_optimizer = self._optimizer(self.G, options.g_optimizer, options.lr_g)
        if options.weight_clip:
            d_optimizer.register_step_post_hook(lambda *_: self._clip_weights())
        d_lr = options.lr(options.lr_d, *options.lr_d_milestones_kimg)
        phases = [Phase("D", d_optimizer, self.d_loss, d_lr)]
        if options.r1_gamma:
            phases += [Phase("R1", d_optimizer, self.r1, d_lr, options.r1_interval)]
        g_lr = options.lr(options.lr_g)
        return [*phases, Phase("G", g_optimizer, self.g_loss, g_lr, options.critic_steps)]

    def judge(self, images: Tensor) -> Tensor:
        """D's logits [N], as float32, of images [N, 3, H, W] that it may see augmented."""
        return self.D(diffaug(images) if self.options.diffaug else images).float()

    def d_loss(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """D's loss on a batch of reals [N, 3, H, W] and as many new fakes."""
        options = self.options
        with torch.set_grad_enabled(options.reuse_fakes):
            fake = self.G(self.sample_z(len(real)))
        self._seen_fakes = fake if options.reuse_fakes else None
        fake = fake.detach()
        if options.joint_batch:
            real_logits, fake_logits = self.judge(torch.cat([real, fake])).chunk(2)
        else:
            real_logits, fake_logits = self.judge(real), self.judge(fake)

        # The report's code labels fakes 1 and reals 0 and adds noise to both; seen from our side,
        # where a logit says "real", the same noise is taken off both labels.
        real_targets = 1 - options.label_smoothing - self._label_noise(real_logits)
        fake_targets = -self._label_noise(fake_logits)
        loss = options.real_weight * self.loss.real(real_logits, real_targets)
        loss = loss + self.loss.fake(fake_logits, fake_targets)
        if options.joint_batch:
            loss = loss / 2
        stats = {"loss_d": loss, "logit_real": real_logits.mean(), "logit_fake": fake_logits.mean()}
        if self.loss.has_probabilities:
            stats["d_real"] = real_logits.sigmoid().mean()
            stats["d_fake"] = fake_logits.sigmoid().mean()
        if options.loss == "wgan-gp":
            stats["gradient_penalty"] = gradient_penalty(self.judge, real, fake)
            loss = loss + options.gp_weight * stats["gradient_penalty"]
        return loss, stats

    def r1(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """gamma / 2 * E |grad D|^2, made up for the steps left out (Karras et al. 2020, app. B)."""
        penalty = r1_penalty(self.judge, real)
        weight = self.options.r1_gamma / 2 * self.options.r1_interval
        return weight * penalty, {"r1_penalty": penalty}

    def g_loss(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """G's loss on as many fakes as there are reals."""
        fake, self._seen_fakes = self._seen_fakes, None
        if fake is None:
            fake = self.G(self.sample_z(len(real)))
        with frozen(self.D):
            loss = self.loss.generator(self.judge(fake))
        return loss, {"loss_g": loss}

    def _label_noise(self, logits: Tensor) -> Tensor:
        if not self.options.soft_labels:
            return torch.zeros_like(logits)
        noise = mine(torch.rand(whole(len(logits)), device=logits.device))
        return self.options.soft_labels * noise

    def _clip_weights(self) -> None:
        with torch.no_grad():
            for parameter in self.D.parameters():
                parameter.clamp_(-self.options.weight_clip, self.options.weight_clip)

    def _optimizer(self, module: nn.Module, name: Optimizer, lr: float) -> torch.optim.Optimizer:
        options = self.options
        optimizer: torch.optim.Optimizer
        if name == "adam":
            # Fused: one pass over the weights, and a step that is skipped without leaving the GPU.
            optimizer = torch.optim.Adam(
                module.parameters(), lr, options.betas, options.eps, fused=True
            )
        else:
            optimizer = torch.optim.RMSprop(
                module.parameters(), lr, options.alpha, options.eps, foreach=True
            )
        if options.grad_clip:
            optimizer.register_step_pre_hook(
                lambda *_: nn.utils.clip_grad_value_(module.parameters(), options.grad_clip)
            )
        return optimizer
