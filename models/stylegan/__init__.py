"""The StyleGAN family: `compact` (StyleGAN2, made for 64 px), `tiny` for a CPU, and `v1`."""

import math
from collections.abc import Mapping as Names
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from data.errors import UserError, require
from data.shard import mine, whole
from models.diffaug import diffaug
from models.losses import LOSSES, differentiable_twice, frozen, r1_penalty
from models.registry import GAN, Phase, Variant, option, register
from models.stylegan import style1, style2
from models.stylegan.generator import Generator, Mapping
from models.stylegan.layers import full_precision
from ops.native import Impl

PATH_SHRINK = 2  # path lengths are measured on half a batch: their second derivatives are dear
PATH_DECAY = 0.01


@dataclass(frozen=True)
class StyleGANOptions:
    """Everything of a StyleGAN that can be set with `bench run --set NAME=VALUE`."""

    network: Literal["style2", "style1"] = option(
        "style2", "layers: StyleGAN2's, or the first's", network=True
    )
    z_dim: int = option(512, "numbers in a latent", network=True)
    w_dim: int = option(512, "numbers in a style", network=True)
    mapping_layers: int = option(8, "dense layers from z to w", network=True)
    mapping_lr: float = option(0.01, "multiplies the mapping's learning rate")
    channel_base: int = option(
        8192, "maps are this / resolution, channel_max at most", network=True
    )
    channel_max: int = option(256, "see channel_base", network=True)
    grow: bool = option(False, "start at 8 px and grow to 64; of style1", network=True)
    grow_kimg: float = option(600.0, "at each resolution, and again fading to the next")

    lr: float = option(2.5e-3, "learning rate of both networks")
    betas: tuple[float, float] = option((0.0, 0.99), "Adam's betas")
    eps: float = option(1e-8, "Adam's epsilon")
    r1_gamma: float = option(0.3, "R1's gamma; 0 is off")
    r1_interval: int = option(
        16, "R1 acts every so many steps, as many times as strongly; 1 has it in D's own loss"
    )
    path_weight: float = option(0.0, "weight of path-length regularisation; 2 is usual, 0 is off")
    path_interval: int = option(4, "it acts every so many steps, as many times as strongly")
    mixing: float = option(0.9, "the share of samples whose layers take their styles from two z")
    w_avg_beta: float = option(0.998, "of the running mean of w, a batch")
    diffaug: bool = option(True, "D sees reals and fakes augmented alike (DiffAugment)")
    ops: Impl = option("auto", "native: compiled, ref: plain torch, auto: compiled if possible")

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the option and the remedy."""
        for name in ("z_dim", "w_dim", "mapping_layers", "channel_max", "r1_interval"):
            require(f"--set {name}", getattr(self, name), above=0)
        for name in ("lr", "eps", "mapping_lr", "path_interval", "grow_kimg"):
            require(f"--set {name}", getattr(self, name), above=0)
        for name in ("r1_gamma", "path_weight"):
            require(f"--set {name}", getattr(self, name), least=0)
        require("--set channel_base", self.channel_base, least=64)
        for name, share in (("mixing", self.mixing), ("w_avg_beta", self.w_avg_beta)):
            if not 0 <= share <= 1:
                raise UserError(f"--set {name}={share}: it is a share, from 0 to 1")
        if not all(0 <= share < 1 for share in self.betas):
            raise UserError("--set betas: they are shares, at least 0 and below 1")
        if self.grow and self.network != "style1":
            raise UserError("--set grow=true: only the first StyleGAN grows; use --variant v1")

    @property
    def d_loss_has_r1(self) -> bool:
        """R1 at every step takes no phase of its own."""
        return self.r1_gamma > 0 and self.r1_interval == 1


VARIANTS: Names[str, Variant] = {
    "compact": Variant(
        "StyleGAN2 made for 64 px, with DiffAugment",
        {},
        {"batch": 64, "ema_kimg": 20.0, "mirror": True},
    ),
    "compact-plain": Variant(
        "compact without DiffAugment",
        {"diffaug": False},
        {"batch": 64, "ema_kimg": 20.0, "mirror": True},
    ),
    "tiny": Variant(
        "compact, small enough for a CPU",
        {
            "z_dim": 128,
            "w_dim": 128,
            "mapping_layers": 2,
            "channel_base": 1536,
            "channel_max": 96,
        },
        {"batch": 16, "ema_kimg": 5.0, "mirror": True},
    ),
    "v1": Variant(
        "the first StyleGAN, as the versus report has it",
        {
            "network": "style1",
            "channel_base": 16384,
            "channel_max": 512,
            "lr": 1e-3,
            "r1_gamma": 10.0,
            "r1_interval": 1,
            "w_avg_beta": 0.995,
            "diffaug": False,
        },
        {"batch": 32, "ema_kimg": 10.0, "mirror": True},
    ),
}


@register("stylegan", options=StyleGANOptions, variants=VARIANTS)
class StyleGAN(GAN):
    """A style-based generator against a residual discriminator: non-saturating logistic loss, and
    R1 and path lengths by lazy regularisation (Karras et al. 2020, arXiv 1912.04958, section 3.1).
    """

    G: Generator

    def __init__(self, options: StyleGANOptions) -> None:
        self.options = options
        self.z_dim = options.z_dim
        impl = options.ops
        mapping = Mapping(
            options.z_dim, options.w_dim, options.mapping_layers, options.mapping_lr, impl
        )
        networks = style1 if options.network == "style1" else style2
        sizes = (options.channel_base, options.channel_max, impl)
        self.G = Generator(mapping, networks.Synthesis(options.w_dim, *sizes), options.w_dim)
        self.D = networks.Discriminator(*sizes)
        self.loss = LOSSES["logistic"]
        self.schedule(0, 0)

    def networks(self) -> list[nn.Module]:
        return [self.G.mapping, self.G.synthesis, self.D]

    def schedule(self, nimg: int, batch: int) -> int:
        """Grow, if these networks do; the smaller the images, the larger the batch."""
        if not self.options.grow:
            return batch
        level = style1.level_at(nimg, self.options.grow_kimg)
        for network in (self.G.synthesis, self.D):
            assert isinstance(network, style1.Growing)
            network.grow_to(level)
        return batch * style1.BATCHES[math.ceil(level)]

    def phases(self) -> list[Phase]:
        options = self.options
        lazy_r1 = options.r1_gamma and not options.d_loss_has_r1
        d_interval = options.r1_interval if lazy_r1 else None
        g_interval = options.path_interval if options.path_weight else None
        d_optimizer, d_lr = self._optimizer(self.D, d_interval)
        g_optimizer, g_lr = self._optimizer(self.G, g_interval)
        phases = [Phase("D", d_optimizer, self.d_loss, lambda *_: d_lr)]
        if d_interval:
            phases += [Phase("R1", d_optimizer, self.r1, lambda *_: d_lr, d_interval)]
        phases += [Phase("G", g_optimizer, self.g_loss, lambda *_: g_lr)]
        if g_interval:
            phases += [Phase("path", g_optimizer, self.path_length, lambda *_: g_lr, g_interval)]
        return phases

    def judge(self, images: Tensor) -> Tensor:
        """D's logits [N], as float32, of images [N, 3, H, W] that it may see augmented."""
        return self.D(diffaug(images) if self.options.diffaug else images).float()

    def fade(self, real: Tensor) -> Tensor:
        """Reals [N, 3, H, W] as detailed as fakes are at this time."""
        return self.D.fade(real) if isinstance(self.D, style1.Growing) else real

    def styles(self, count: int) -> Tensor:
        """ws [count, num_ws, w_dim] of new latents; most take their last layers from a second one,
        so that no layer relies on its neighbours' style (1812.04948, section 3.1).
        """
        ws = self.G.map(self.sample_z(count))
        layers = ws.shape[1]
        synthesis = self.G.synthesis
        active = synthesis.active if isinstance(synthesis, style1.Synthesis) else layers
        each = (whole(count), 1, 1)
        crossover = mine(torch.randint(1, active, each, device=ws.device))
        mixed = mine(torch.rand(each, device=ws.device)) < self.options.mixing
        second = torch.arange(layers, device=ws.device)[None, :, None] >= crossover
        return torch.where(mixed & second, self.G.map(self.sample_z(count)), ws)

    def d_loss(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """D's loss on a batch of reals [N, 3, H, W] and as many new fakes."""
        with torch.no_grad():
            fake = self.G.synthesize(self.styles(len(real)), "random")
        real_logits, fake_logits = self.judge(self.fade(real)), self.judge(fake)
        labels = torch.ones_like(real_logits)
        loss = self.loss.real(real_logits, labels) + self.loss.fake(fake_logits, 1 - labels)
        stats = {
            "loss_d": loss,
            "logit_real": real_logits.mean(),
            "logit_fake": fake_logits.mean(),
            "d_real": real_logits.sigmoid().mean(),
            "d_fake": fake_logits.sigmoid().mean(),
        }
        if self.options.d_loss_has_r1:
            penalty, r1_stats = self.r1(real)
            return loss + penalty, stats | r1_stats
        return loss, stats

    def r1(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """gamma / 2 * E |grad D|^2, made up for the steps left out."""
        penalty = r1_penalty(self.judge, self.fade(real))
        weight = self.options.r1_gamma / 2 * self.options.r1_interval
        return weight * penalty, {"r1_penalty": penalty}

    def g_loss(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """G's loss on as many fakes as there are reals; the mean of w follows."""
        ws = self.styles(len(real))
        self.G.w_avg.lerp_(ws[:, 0].detach().mean(0), 1 - self.options.w_avg_beta)
        with frozen(self.D):
            loss = self.loss.generator(self.judge(self.G.synthesize(ws, "random")))
        return loss, {"loss_g": loss}

    def path_length(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """E (|J^T y| - a)^2, with J = d image / d w, y normal noise and a the running mean of
        |J^T y| (1912.04958 eq. 4); made up for the steps left out.
        """
        with full_precision(real), differentiable_twice():
            ws = self.styles(max(len(real) // PATH_SHRINK, 1))
            images = self.G.synthesize(ws, "random")
            noise = mine(torch.randn(whole(len(images)), *images.shape[1:], device=images.device))
            noise = noise / math.sqrt(images[0, 0].numel())
            (slopes,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
            lengths = slopes.square().sum(2).mean(1).sqrt()  # [N / 2]
            mean = self.G.path_mean.lerp(lengths.detach().mean(), PATH_DECAY)
            self.G.path_mean.copy_(mean)
            penalty = (lengths - mean).square().mean()
        weight = self.options.path_weight * self.options.path_interval
        return weight * penalty, {"path_penalty": penalty, "path_length": lengths.mean()}

    def _optimizer(
        self, module: nn.Module, interval: int | None
    ) -> tuple[torch.optim.Optimizer, float]:
        """Adam and its learning rate. Regularised every `interval` steps, it makes interval + 1
        steps where it would have made `interval`: rate and betas make up for it (1912.04958,
        appendix B).
        """
        options = self.options
        share = interval / (interval + 1) if interval else 1.0
        lr = options.lr * share
        betas = (options.betas[0] ** share, options.betas[1] ** share)
        return torch.optim.Adam(module.parameters(), lr, betas, options.eps, fused=True), lr
