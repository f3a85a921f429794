"""StyleGAN's first networks (Karras et al. 2019, arXiv 1812.04948), which can grow (1710.10196).

G: convolutions, each followed by noise, bias, activation and AdaIN. D: plain convolutions. Each
has a layer from or to RGB at every resolution, of which one or two are in use.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.stylegan.generator import Noise, draw_noise
from models.stylegan.layers import Conv2d, Linear, clamp_for, full_precision, minibatch_std
from models.stylegan.style2 import RESOLUTIONS, channels_at
from ops.bias_act import bias_act
from ops.conv2d import conv2d, conv_transpose2d
from ops.native import Impl
from ops.upfirdn2d import binomial_filter, upfirdn2d

FULL = len(RESOLUTIONS) - 1
START = 1  # growing starts at 8 px
BATCHES = (4, 4, 4, 2, 1)  # at each resolution, times the run's: small images leave room for more


def level_at(nimg: int, grow_kimg: float) -> float:
    """The level after `nimg` images: `grow_kimg` at a resolution, then as many fading to the next.

    A level counts resolutions from 4 px on: 2 is 16 px, 2.3 has three tenths of 32 px faded in.
    """
    stage, within = divmod(nimg / (1000 * grow_kimg), 2)
    return min(START + stage + max(within - 1, 0), FULL)


class Growing(nn.Module):
    """A network in use up to a level.

    The level is a buffer, so that weights are saved with it and the average of G takes it over;
    but forward has it as a number, which a GPU need not be asked for. The number is right after
    `grow_to`, and is read anew when weights are loaded and when the mode changes.
    """

    level: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("level", torch.tensor(float(FULL), dtype=torch.float64))
        self._level = float(FULL)
        self.register_load_state_dict_post_hook(lambda module, _: module.read_level())

    def grow_to(self, level: float) -> None:
        self.level.fill_(level)
        self._level = level

    def read_level(self) -> None:
        self._level = self.level.item()

    def train(self, mode: bool = True) -> "Growing":
        self.read_level()
        return super().train(mode)

    @property
    def top(self) -> int:
        """The largest resolution in use, as an index."""
        return math.ceil(self._level)

    @property
    def alpha(self) -> float:
        """How much of it has been faded in: above 0, and 1 unless it is fading."""
        return 1 - (self.top - self._level)

    def fade(self, images: Tensor) -> Tensor:
        """Reals [N, 3, 64, 64] as G would show them: their finest details as far as faded in."""
        if self.alpha == 1:
            return images
        coarse = enlarge(shrink(images, RESOLUTIONS[self.top - 1]))
        return coarse.lerp(images, self.alpha)


def shrink(images: Tensor, resolution: int) -> Tensor:
    """Means over squares: [N, 3, 64, 64] to [N, 3, resolution, resolution]."""
    return F.avg_pool2d(images, images.shape[3] // resolution)


def enlarge(images: Tensor) -> Tensor:
    """Repeat pixels: [N, 3, H, W] to [N, 3, 64, 64]."""
    return F.interpolate(images, RESOLUTIONS[-1])


class StyledLayer(nn.Module):
    """[Double the size,] convolve [and blur]; noise, bias, activation; AdaIN.

    Args:
        inputs: channels; None has no convolution.
    """

    noise_map: Tensor
    filter: Tensor | None

    def __init__(
        self, inputs: int | None, outputs: int, resolution: int, w_dim: int, up: bool, impl: Impl
    ) -> None:
        super().__init__()
        self.style = Linear(w_dim, 2 * outputs, impl=impl)
        self.weight: nn.Parameter | None = None
        if inputs is not None:
            # Where the size doubles the convolution is a transposed one, and so is its weight.
            shape = (inputs, outputs, 3, 3) if up else (outputs, inputs, 3, 3)
            self.weight = nn.Parameter(torch.randn(shape))
            self.scale = math.sqrt(2 / (inputs * 9))  # He et al. 2015: made up for no gain below
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_map", torch.randn(1, 1, resolution, resolution))
        self.register_buffer("filter", binomial_filter((1, 2, 1)) if up else None, persistent=False)
        self.impl: Impl = impl

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        """x [N, C, H, W] and w [N, w_dim] to [N, C', H', W']."""
        x = self.convolve(x)
        drawn = draw_noise(self.noise_map, x.shape[0], noise)
        if drawn is not None:
            x = x + (drawn * per_map(self.noise_strength)).to(x.dtype)
        x = bias_act(x, self.bias, "lrelu", gain=1, clamp=clamp_for(x), impl=self.impl)
        return adain(x, *self.style(w).chunk(2, dim=1))

    def convolve(self, x: Tensor) -> Tensor:
        if self.weight is None:
            return x
        weight = self.weight * self.scale
        if self.filter is None:
            return conv2d(x, weight, padding=1, impl=self.impl)
        x = conv_transpose2d(x, 4 * over_squares(weight), None, 2, 1, impl=self.impl)
        return upfirdn2d(x, self.filter, padding=1, impl=self.impl)


def over_squares(weight: Tensor) -> Tensor:
    """3x3 kernels convolved with the mean of 2x2: 4x4 ones.

    One of these with stride 2 is a 3x3 convolution before means over squares or, transposed and
    times 4, after pixels were repeated, in fewer than half the products.
    """
    return F.avg_pool2d(weight, 2, stride=1, padding=1)


def per_map(values: Tensor) -> Tensor:
    """[C] or [N, C] as [..., C, 1, 1]."""
    return values[..., None, None]


def adain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Normalise each map of x [N, C, H, W], then `x * (scale + 1) + shift`, both [N, C]."""
    with full_precision(x):
        variance, mean = torch.var_mean(x.float(), (2, 3), correction=0)  # [N, C]
        factor = (scale + 1) * (variance + 1e-8).rsqrt()
        shift = shift - mean * factor
    return torch.addcmul(per_map(shift).to(x.dtype), x, per_map(factor).to(x.dtype))


class Synthesis(Growing):
    """ws [N, num_ws, w_dim] to images [N, 3, 64, 64]; two styles act at each resolution."""

    def __init__(self, w_dim: int, base: int, most: int, impl: Impl) -> None:
        super().__init__()
        widths = [channels_at(resolution, base, most) for resolution in RESOLUTIONS]
        self.const = nn.Parameter(torch.ones(widths[0], 4, 4))
        self.layers = nn.ModuleList()
        self.to_rgb = nn.ModuleList()
        inputs = None
        for resolution, width in zip(RESOLUTIONS, widths, strict=True):
            up = inputs is not None
            self.layers.append(StyledLayer(inputs, width, resolution, w_dim, up, impl))
            self.layers.append(StyledLayer(width, width, resolution, w_dim, False, impl))
            self.to_rgb.append(Conv2d(width, 3, 1, act="linear", impl=impl))
            inputs = width
        self.resolutions = tuple(size for size in RESOLUTIONS for _ in range(2))

    def forward(self, ws: Tensor, noise: Noise) -> Tensor:
        x = below = self.const.expand(len(ws), -1, -1, -1)
        for index, style in enumerate(ws.unbind(1)[: self.active]):
            if index % 2 == 0:
                below = x
            x = self.layers[index](x, style, noise)
        images = enlarge(self.to_rgb[self.top](x).float())
        if self.alpha == 1:
            return images
        return enlarge(self.to_rgb[self.top - 1](below).float()).lerp(images, self.alpha)

    @property
    def active(self) -> int:
        """How many styles act."""
        return 2 * (self.top + 1)


class DownConv(Conv2d):
    """Blur, convolve and halve: [N, C, H, W] to [N, C', H/2, W/2]."""

    blur: Tensor

    def __init__(self, inputs: int, outputs: int, impl: Impl) -> None:
        super().__init__(inputs, outputs, 3, impl=impl)
        self.register_buffer("blur", binomial_filter((1, 2, 1)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = upfirdn2d(x, self.blur, padding=1, impl=self.impl)
        x = conv2d(x, over_squares(self.weight * self.scale), None, 2, 1, impl=self.impl)
        return bias_act(x, self.bias, self.act, gain=self.gain, clamp=clamp_for(x), impl=self.impl)


class Discriminator(Growing):
    """Images [N, 3, 64, 64] to logits [N]."""

    def __init__(self, base: int, most: int, impl: Impl) -> None:
        super().__init__()
        widths = [channels_at(resolution, base, most) for resolution in RESOLUTIONS]
        self.from_rgb = nn.ModuleList([Conv2d(3, width, 1, impl=impl) for width in widths])
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(Conv2d(fine, fine, 3, impl=impl), DownConv(fine, coarse, impl))
                for coarse, fine in pairwise(widths)
            ]
        )
        last = widths[0]
        self.conv = Conv2d(last + 1, last, 3, impl=impl)
        self.dense = Linear(last * 4 * 4, last, "lrelu", impl=impl)
        self.logit = Linear(last, 1, impl=impl)

    def forward(self, images: Tensor) -> Tensor:
        top = self.top
        x = self.from_rgb[top](shrink(images, RESOLUTIONS[top]))
        for index in reversed(range(top)):
            x = self.blocks[index](x)  # to RESOLUTIONS[index]
            if index == top - 1 and self.alpha < 1:
                x = self.from_rgb[index](shrink(images, RESOLUTIONS[index])).lerp(x, self.alpha)
        with full_precision(x):
            x = self.conv(minibatch_std(x.float()))
            return self.logit(self.dense(x.flatten(1))).flatten()
