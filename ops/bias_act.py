"""Bias and activation in one pass, forward and backward."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._prims_common import suggest_memory_format
from torch.nn import functional as F

from ops.library import ops
from ops.native import Impl, is_native


class Activation(NamedTuple):
    """An activation.

    Attributes:
        function: of the input and the negative slope.
        gain: keeps the variance of a normal input about as it was (He et al. 2015).
    """

    function: Callable[[Tensor, float], Tensor]
    gain: float = 1.0


ACTIVATIONS = {
    "linear": Activation(lambda x, alpha: x),
    "relu": Activation(lambda x, alpha: F.relu(x), math.sqrt(2)),
    "lrelu": Activation(lambda x, alpha: F.leaky_relu(x, alpha), math.sqrt(2)),
    "tanh": Activation(lambda x, alpha: torch.tanh(x)),
    "sigmoid": Activation(lambda x, alpha: torch.sigmoid(x)),
    "swish": Activation(lambda x, alpha: F.silu(x), math.sqrt(2)),
}


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    act: str = "linear",
    alpha: float = 0.2,
    gain: float | None = None,
    clamp: float | None = None,
    impl: Impl = "auto",
) -> Tensor:
    """`clamp(gain * act(x + b))`; differentiable twice by `x` and `b`.

    Args:
        x: [N, C, ...].
        b: float32 [C].
        act: linear, relu, lrelu, tanh, sigmoid or swish.
        alpha: the negative slope of lrelu.
        gain: above 0; the activation's own by default.
        clamp: the largest absolute value let through.

    Returns:
        x's shape, dtype and layout.
    """
    gain = gain_of(act, gain)
    if is_native(impl, x):
        return ops.bias_act(x, b, act, alpha, gain, clamp)
    return reference(x, b, act, alpha, gain, clamp)


def gain_of(act: str, gain: float | None) -> float:
    """The gain asked for, or the activation's own."""
    gain = ACTIVATIONS[act].gain if gain is None else gain
    assert gain > 0, f"gain {gain}: the derivative is read off the output, whose sign it keeps"
    return gain


def reference(
    x: Tensor, b: Tensor | None, act: str, alpha: float, gain: float, clamp: float | None
) -> Tensor:
    """The same in plain torch."""
    if b is not None:
        x = x + per_channel(b, x.ndim).to(x.dtype)
    x = ACTIVATIONS[act].function(x, alpha)
    if gain != 1:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def per_channel(values: Tensor, ndim: int) -> Tensor:
    """[C] as [1, C, 1, ...]."""
    return values.reshape(1, -1, *[1] * (ndim - 2))


@torch.library.register_fake("gan_versus::bias_act")
def _(x: Tensor, b: Tensor | None, *settings: Any) -> Tensor:
    return torch.empty_like(x, memory_format=suggest_memory_format(x))


@torch.library.register_fake("gan_versus::bias_act_backward")
def _(dy: Tensor, saved: Tensor, b: Tensor | None, *settings: Any) -> tuple[Tensor, Tensor]:
    dx = torch.empty_like(saved, memory_format=suggest_memory_format(saved))
    return dx, saved.new_empty(saved.shape[1], dtype=torch.float32)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """The derivative follows from the output, which the next layer keeps anyway; swish's from the
    input.
    """
    x, b, *ctx.settings = inputs
    if ctx.settings[0] == "swish":
        ctx.save_for_backward(x, b)
    else:
        ctx.save_for_backward(output, None)
    ctx.has_bias = b is not None


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    dx, db = ops.bias_act_backward(dy, *ctx.saved_tensors, *ctx.settings)
    return dx, db if ctx.has_bias else None, None, None, None, None


def _setup_context_twice(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    dy, saved, b, *ctx.settings = inputs
    ctx.save_for_backward(dy, saved, b)
    ctx.set_materialize_grads(False)


def _backward_twice(ctx: Any, ddx: Tensor | None, ddb: Tensor | None) -> tuple[Tensor | None, ...]:
    """dx = dy * h, with h the derivative, and db = sum(dx): dy's gradient is dd * h as well."""
    dy, saved, b = ctx.saved_tensors
    if ddb is not None:
        sums = per_channel(ddb, dy.ndim).to(dy.dtype)
        ddx = sums.expand_as(dy) if ddx is None else ddx + sums
    if ddx is None:
        return (None,) * 7
    d_dy, _ = ops.bias_act_backward(ddx, saved, b, *ctx.settings)
    slope = _second_derivative(saved, b, *ctx.settings)
    d_saved = None if slope is None else ddx * dy * slope
    d_b = None
    if d_saved is not None and b is not None:
        d_b = d_saved.float().sum([axis for axis in range(dy.ndim) if axis != 1])
    return d_dy, d_saved, d_b, None, None, None, None


def _second_derivative(
    saved: Tensor, b: Tensor | None, act: str, alpha: float, gain: float, clamp: float | None
) -> Tensor | None:
    """How h, the derivative, changes with what it is computed from; None for never."""
    if act == "tanh":  # h = gain - y^2 / gain
        y, slope = saved, -2 / gain * saved
    elif act == "sigmoid":  # h = y - y^2 / gain
        y, slope = saved, 1 - 2 / gain * saved
    elif act == "swish":  # h = gain * s * (1 + v * (1 - s)), with s the sigmoid of v
        v = saved if b is None else saved + per_channel(b, saved.ndim).to(saved.dtype)
        s = torch.sigmoid(v)
        y, slope = gain * v * s, gain * s * (1 - s) * (2 + v * (1 - 2 * s))
    else:
        return None
    return slope if clamp is None else torch.where(y.abs() < clamp, slope, 0)


torch.library.register_autograd("gan_versus::bias_act", _backward, setup_context=_setup_context)
torch.library.register_autograd(
    "gan_versus::bias_act_backward", _backward_twice, setup_context=_setup_context_twice
)
