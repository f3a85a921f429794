"""What follows a StyleGAN layer's convolution: FIR, noise, bias and activation in one pass."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._prims_common import suggest_memory_format

from ops import bias_act as ba
from ops import upfirdn2d as fir
from ops.library import ops
from ops.native import Impl, is_native


def epilogue(
    x: Tensor,
    b: Tensor | None = None,
    noise: Tensor | None = None,
    strength: Tensor | None = None,
    f: Tensor | None = None,
    padding: int | Sequence[int] = 0,
    fir_gain: float = 1.0,
    act: str = "lrelu",
    alpha: float = 0.2,
    gain: float | None = None,
    clamp: float | None = None,
    impl: Impl = "auto",
) -> Tensor:
    """`clamp(gain * act(fir(x) + strength * noise + b))`; differentiable twice.

    Args:
        x: [N, C, H, W].
        b: float32 [C].
        noise: float32 [N or 1, 1, H_out, W_out], with its `strength`, a float32 scalar.
        f: a filter, as in `upfirdn2d`; without one, fir(x) is x.
        padding: of the filter: one number, or (top, bottom, left, right).
        fir_gain: multiplies the filter.
        act: as in `bias_act`, with its `alpha`, `gain` and `clamp`; not swish, whose derivative
            does not follow from its output.

    Returns:
        [N, C, H_out, W_out], x's dtype and layout.
    """
    assert (noise is None) == (strength is None), "noise comes with its strength"
    assert act != "swish", "swish needs its input kept: use upfirdn2d, then bias_act"
    gain = ba.gain_of(act, gain)
    padding = [padding] * 4 if isinstance(padding, int) else list(padding)
    if f is not None:
        fir.require_output(x, f, (1, 1), (1, 1), padding)
    if is_native(impl, x):
        noise = None if noise is None else noise.contiguous()
        return ops.epilogue(x, f, padding, fir_gain, noise, strength, b, act, alpha, gain, clamp)
    if f is not None:
        x = fir.upfirdn2d(x, f, padding=padding, gain=fir_gain, impl="ref")
    if noise is not None and strength is not None:
        x = x + (noise * strength).to(x.dtype)
    return ba.reference(x, b, act, alpha, gain, clamp)


@torch.library.register_fake("gan_versus::epilogue")
def _(x: Tensor, f: Tensor | None, padding: Sequence[int], *settings: Any) -> Tensor:
    layout = suggest_memory_format(x)
    if f is None:
        return torch.empty_like(x, memory_format=layout)
    size = fir.output_size(x, f, (1, 1), (1, 1), padding)
    return x.new_empty(size).to(memory_format=layout)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, f, ctx.padding, ctx.fir_gain, noise, strength, b, *ctx.settings = inputs
    ctx.size = x.shape[2:]
    ctx.has_bias = b is not None
    ctx.save_for_backward(f, noise, strength, output)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    f, noise, strength, y = ctx.saved_tensors
    dx, db = ops.bias_act_backward(dy, y, None, *ctx.settings)
    d_noise = d_strength = None
    if noise is not None:
        summed = dx.sum(1, keepdim=True, dtype=torch.float32)  # [N, 1, H_out, W_out]
        d_strength = (summed * noise).sum()
        if ctx.needs_input_grad[4]:
            d_noise = (summed * strength).sum_to_size(noise.shape)
    if f is not None:
        dx = fir.adjoint(dx, f, ctx.size, (1, 1), (1, 1), ctx.padding, False, ctx.fir_gain)
    return dx, None, None, None, d_noise, d_strength, db if ctx.has_bias else None, *[None] * 4


torch.library.register_autograd("gan_versus::epilogue", _backward, setup_context=_setup_context)
