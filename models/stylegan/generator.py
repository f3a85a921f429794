"""StyleGAN's generator: a mapping to styles and a synthesis from them (Karras et al. 2019, 2020).

What is in common to all its versions: latents, truncation, mixing. `style2.py` and `style1.py`
have the networks.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

from data.shard import mine, whole
from models.stylegan.layers import Linear, full_precision
from models.stylegan.selectors import select
from ops.native import Impl

# "random" draws from torch's global generator, a generator from itself, wherever it lives.
Noise = Literal["random", "const", "none"] | torch.Generator


def draw_noise(noise_map: Tensor, count: int, noise: Noise) -> Tensor | None:
    """A layer's noise: drawn, [count, 1, H, W], or the fixed map, [1, 1, H, W], or None."""
    if isinstance(noise, torch.Generator):
        drawn = torch.randn(count, *noise_map.shape[1:], generator=noise, device=noise.device)
        return drawn.to(noise_map.device)
    if noise == "random":
        return mine(torch.randn(whole(count), *noise_map.shape[1:], device=noise_map.device))
    return noise_map if noise == "const" else None


class Mapping(nn.Module):
    """z [N, z_dim] to w [N, w_dim]: dense layers, in float32."""

    def __init__(
        self, z_dim: int, w_dim: int, layers: int, lr_multiplier: float, impl: Impl
    ) -> None:
        super().__init__()
        widths = [z_dim, *[w_dim] * layers]
        self.layers = nn.Sequential(
            *(
                Linear(inputs, outputs, "lrelu", lr_multiplier=lr_multiplier, impl=impl)
                for inputs, outputs in pairwise(widths)
            )
        )

    def forward(self, z: Tensor) -> Tensor:
        with full_precision(z):
            return self.layers(normalise(z.float()))


def normalise(x: Tensor) -> Tensor:
    """Scale each row of [N, C] to a mean square of 1 ("pixel norm", 1710.10196 section 4.2)."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Generator(nn.Module):
    """z to images through w, one copy of which each layer of the synthesis takes its style from.

    Attributes:
        resolutions: the pixels along a side at which each of `ws` acts first, [num_ws].
        w_avg: the running mean of w, where truncation pulls to.
        path_mean: the running mean of path lengths, for their regularisation.
    """

    w_avg: Tensor
    path_mean: Tensor

    def __init__(self, mapping: nn.Module, synthesis: nn.Module, w_dim: int) -> None:
        super().__init__()
        self.mapping = mapping
        self.synthesis = synthesis
        self.resolutions = cast(tuple[int, ...], synthesis.resolutions)
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.register_buffer("path_mean", torch.zeros(()))

    def forward(self, z: Tensor) -> Tensor:
        """z [N, z_dim] to images [N, 3, H, W]; noise is random in training and fixed else."""
        return self.synthesize(self.map(z), "random" if self.training else "const")

    def map(self, z: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """z [N, z_dim] to ws [N, num_ws, w_dim].

        Args:
            psi: truncation: 1 leaves w as it is, 0 makes it the mean (1812.04948, appendix B).
            cutoff: truncate the first so many of ws; all by default.
        """
        ws = self.mapping(z)[:, None].repeat(1, len(self.resolutions), 1)
        if psi != 1:
            ws[:, :cutoff] = self.w_avg.lerp(ws[:, :cutoff], psi)
        return ws

    def synthesize(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """ws [N, num_ws, w_dim] to images [N, 3, H, W], float32."""
        return self.synthesis(ws, noise)

    def mix(self, ws_a: Tensor, ws_b: Tensor, layers: Sequence[int]) -> Tensor:
        """ws_a with the given layers taken from ws_b; both [N, num_ws, w_dim]."""
        mixed = ws_a.clone()
        mixed[:, list(layers)] = ws_b[:, list(layers)]
        return mixed

    def select(self, selector: str) -> list[int]:
        """The layers that a selector names: see `models.stylegan.selectors`."""
        return select(selector, self.resolutions)
