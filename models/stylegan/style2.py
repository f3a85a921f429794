"""StyleGAN2's networks, made compact (Karras et al. 2020, arXiv 1912.04958).

G: modulated convolutions, each followed by noise, bias and activation; images are summed over the
resolutions. D: residual blocks. Channels are min(base / resolution, most).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.stylegan.generator import Noise, draw_noise
from models.stylegan.layers import Conv2d, Linear, clamp_for, full_precision, minibatch_std
from ops.conv2d import conv2d
from ops.epilogue import epilogue
from ops.native import Impl
from ops.upfirdn2d import binomial_filter, upfirdn2d

RESOLUTIONS = (4, 8, 16, 32, 64)


def channels_at(resolution: int, base: int, most: int) -> int:
    return min(base // resolution, most)


class StyledConv(nn.Module):
    """A modulated 3x3 convolution with noise, bias and activation, that may double the size."""

    noise_map: Tensor
    filter: Tensor | None

    def __init__(
        self, inputs: int, outputs: int, resolution: int, w_dim: int, up: bool, impl: Impl
    ) -> None:
        super().__init__()
        self.affine = Linear(w_dim, inputs, start=1.0, impl=impl)
        # Where the size doubles the convolution is a transposed one, and so is its weight.
        shape = (inputs, outputs, 3, 3) if up else (outputs, inputs, 3, 3)
        self.weight = nn.Parameter(torch.randn(shape))
        self.scale = 1 / math.sqrt(inputs * 9)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_map", torch.randn(1, 1, resolution, resolution))
        self.register_buffer("filter", binomial_filter() if up else None, persistent=False)
        self.up = up
        self.impl: Impl = impl

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        """x [N, C, H, W] and w [N, w_dim] to [N, C', H', W']."""
        x = self.convolve(x, self.affine(w))
        # len() would fix the batch of an export.
        drawn = draw_noise(self.noise_map, x.shape[0], noise)
        return epilogue(
            x,
            self.bias,
            drawn,
            None if drawn is None else self.noise_strength,
            f=self.filter,
            padding=1 if self.up else 0,  # of a map of 2 H + 1
            fir_gain=4,  # three quarters of what is filtered are zeros between the pixels
            clamp=clamp_for(x),
            impl=self.impl,
        )

    def convolve(self, x: Tensor, style: Tensor) -> Tensor:
        """Scale the input maps by the style, convolve, and scale the output maps to unit variance:
        the same as a convolution with scaled and normalised weights (1912.04958 eq. 1 and 3).
        """
        with full_precision(x):
            # Of no effect behind the normalisation, but low precision cannot hold any size.
            style = style * (style.square().mean(1, keepdim=True) + 1e-8).rsqrt()
            weight = self.weight * self.scale
            power = weight.square().sum((2, 3))
            power = style.square() @ (power if self.up else power.T)
            demodulation = (power + 1e-8).rsqrt()  # [N, C']
        x = x * style[:, :, None, None].to(x.dtype)
        if self.up:
            x = F.conv_transpose2d(x, weight, stride=2)
        else:
            x = conv2d(x, weight, padding=1, impl=self.impl)
        return x * demodulation[:, :, None, None].to(x.dtype)


class ToRGB(nn.Module):
    """A modulated 1x1 convolution, without normalisation, to an image in float32."""

    def __init__(self, inputs: int, w_dim: int, impl: Impl) -> None:
        super().__init__()
        self.affine = Linear(w_dim, inputs, start=1.0, impl=impl)
        self.weight = nn.Parameter(torch.randn(3, inputs))
        self.bias = nn.Parameter(torch.zeros(3))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, H, W] and w [N, w_dim] to [N, 3, H, W]."""
        style = self.affine(w) * self.scale
        weight = self.weight * style[:, None]  # [N, 3, C]: small, where the maps are large
        image = torch.bmm(weight.to(x.dtype), x.flatten(2)).unflatten(2, x.shape[2:])
        return image.float() + self.bias[:, None, None]


class Synthesis(nn.Module):
    """ws [N, num_ws, w_dim] to images [N, 3, 64, 64].

    A w belongs to the convolution that takes it first. An image at each resolution takes the w
    after its convolutions', which is the next resolution's first.
    """

    filter: Tensor

    def __init__(self, w_dim: int, base: int, most: int, impl: Impl) -> None:
        super().__init__()
        first = channels_at(4, base, most)
        self.const = nn.Parameter(torch.randn(first, 4, 4))
        self.register_buffer("filter", binomial_filter(), persistent=False)
        convs = [StyledConv(first, first, 4, w_dim, False, impl)]
        to_rgb = [ToRGB(first, w_dim, impl)]
        for resolution in RESOLUTIONS[1:]:
            inputs = channels_at(resolution // 2, base, most)
            outputs = channels_at(resolution, base, most)
            convs.append(StyledConv(inputs, outputs, resolution, w_dim, True, impl))
            convs.append(StyledConv(outputs, outputs, resolution, w_dim, False, impl))
            to_rgb.append(ToRGB(outputs, w_dim, impl))
        self.convs = nn.ModuleList(convs)
        self.to_rgb = nn.ModuleList(to_rgb)
        self.resolutions = (*(conv.noise_map.shape[-1] for conv in convs), RESOLUTIONS[-1])
        self.impl: Impl = impl

    def forward(self, ws: Tensor, noise: Noise) -> Tensor:
        styles = ws.unbind(1)
        x = self.const.expand(ws.shape[0], -1, -1, -1)
        x = self.convs[0](x, styles[0], noise)
        image = self.to_rgb[0](x, styles[1])
        for block, to_rgb in enumerate(self.to_rgb[1:]):
            index = 1 + 2 * block
            x = self.convs[index](x, styles[index], noise)
            x = self.convs[index + 1](x, styles[index + 1], noise)
            image = upfirdn2d(image, self.filter, 2, padding=(2, 1, 2, 1), gain=4, impl=self.impl)
            image = image + to_rgb(x, styles[index + 2])
        return image


class Discriminator(nn.Module):
    """Images [N, 3, 64, 64] to logits [N]."""

    def __init__(self, base: int, most: int, impl: Impl) -> None:
        super().__init__()
        sizes = RESOLUTIONS[::-1]
        widths = [channels_at(size, base, most) for size in sizes]
        self.from_rgb = Conv2d(3, widths[0], 1, impl=impl)
        self.blocks = nn.Sequential(
            *(ResidualBlock(inputs, outputs, impl) for inputs, outputs in pairwise(widths))
        )
        last = widths[-1]
        self.conv = Conv2d(last + 1, last, 3, impl=impl)
        self.dense = Linear(last * 4 * 4, last, "lrelu", impl=impl)
        self.logit = Linear(last, 1, impl=impl)

    def forward(self, images: Tensor) -> Tensor:
        x = self.blocks(self.from_rgb(images))
        with full_precision(x):
            x = self.conv(minibatch_std(x.float()))
            return self.logit(self.dense(x.flatten(1))).flatten()


class ResidualBlock(nn.Module):
    """Two convolutions beside a 1x1 one, halving the size: [N, C, H, W] to [N, C', H/2, W/2]."""

    def __init__(self, inputs: int, outputs: int, impl: Impl) -> None:
        super().__init__()
        gain = math.sqrt(0.5)  # a sum of two keeps its variance
        self.conv = Conv2d(inputs, inputs, 3, impl=impl)
        self.down = Conv2d(inputs, outputs, 3, down=True, gain=gain, impl=impl)
        self.skip = Conv2d(
            inputs, outputs, 1, act="linear", bias=False, down=True, gain=gain, impl=impl
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.conv(x)) + self.skip(x)
