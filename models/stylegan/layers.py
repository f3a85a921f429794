"""Layers with an equalised learning rate: weights are N(0, 1) and scaled where they are used, so
that Adam moves each by the same share (Karras et al. 2018, arXiv 1710.10196, section 4.1).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ops.bias_act import ACTIVATIONS, bias_act
from ops.conv2d import conv2d
from ops.native import Impl
from ops.upfirdn2d import binomial_filter, upfirdn2d

CLAMP = 256.0  # of activations in low precision, whose range or steps would not hold more


def clamp_for(x: Tensor) -> float | None:
    """The clamp that x's precision needs."""
    return None if x.dtype == torch.float32 else CLAMP


def full_precision(x: Tensor) -> torch.autocast:
    """Compute in float32 whatever the trainer's precision."""
    return torch.autocast(x.device.type, enabled=False)


class Linear(nn.Module):
    """A dense layer, always in float32: [N, inputs] to [N, outputs].

    Args:
        start: what biases start with.
        lr_multiplier: slows the layer's learning down.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        act: str = "linear",
        start: float = 0.0,
        lr_multiplier: float = 1.0,
        impl: Impl = "auto",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), start / lr_multiplier))
        self.scale = lr_multiplier / math.sqrt(inputs)
        self.lr_multiplier = lr_multiplier
        self.act = act
        self.impl: Impl = impl

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            x = F.linear(x.float(), self.weight * self.scale)
            return bias_act(x, self.bias * self.lr_multiplier, self.act, impl=self.impl)


class Conv2d(nn.Module):
    """A convolution with bias and activation, keeping the size or halving it behind a low-pass.

    Args:
        kernel: odd.
        gain: multiplies the activation's own.
    """

    filter: Tensor | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        act: str = "lrelu",
        bias: bool = True,
        down: bool = False,
        gain: float = 1.0,
        impl: Impl = "auto",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.register_buffer("filter", binomial_filter() if down else None, persistent=False)
        self.act = act
        self.gain = gain * ACTIVATIONS[act].gain
        self.impl: Impl = impl

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.weight.shape[2]
        weight = self.weight * self.scale
        if self.filter is None:
            x = conv2d(x, weight, padding=kernel // 2, impl=self.impl)
        elif kernel == 1:
            x = F.conv2d(upfirdn2d(x, self.filter, down=2, padding=1, impl=self.impl), weight)
        else:
            # One pixel more than the map had, so that stride 2 ends on both borders alike.
            blurred = upfirdn2d(x, self.filter, padding=kernel // 2 + 1, impl=self.impl)
            x = F.conv2d(blurred, weight, stride=2)
        return bias_act(x, self.bias, self.act, gain=self.gain, clamp=clamp_for(x), impl=self.impl)


def minibatch_std(x: Tensor, group: int = 4) -> Tensor:
    """Append a map with each group's mean standard deviation: [N, C, H, W] to [N, C + 1, H, W].

    D sees by it when the fakes vary too little (Karras et al. 2018, arXiv 1710.10196, section 3).
    Groups are as large as divides the batch, `group` at most.
    """
    n, _, height, width = x.shape
    size = next(size for size in range(group, 0, -1) if n % size == 0)
    groups = x.float().reshape(size, n // size, *x.shape[1:])
    deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # [N / size]
    deviation = deviation.repeat(size).reshape(n, 1, 1, 1).expand(-1, -1, height, width)
    return torch.cat([x, deviation.to(x.dtype)], 1)
