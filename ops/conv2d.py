"""Convolutions in fewer products on a CPU: minimal filtering, instead of one product a tap.

Winograd (1980, "Arithmetic Complexity of Computations"); Lavin & Gray (2016, arXiv 1509.09308).
Errors are about four times those of plain convolutions in float32: a few millionths of the largest
result. A NaN or an infinity spreads over its tile.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ops.library import ops
from ops.native import Impl, is_native

# What the compiled op knows: kernel and stride, and the pixels of x that go into a tile.
TILES = {(3, 1): 4, (5, 1): 2, (4, 2): 8}
# Transforming the weights has to pay: by this many tiles a thread, and products at each point.
LEAST_TILES = 32
LEAST_PRODUCTS = 2**20
MOST_WEIGHTS = 2**22  # their gradient takes up to six times as much memory, in each thread


def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    impl: Impl = "auto",
) -> Tensor:
    """`F.conv2d`, compiled where that is faster; differentiable any number of times.

    That is on a CPU, in float32, with channels-last weights, for the kernels of `TILES`, for large
    enough maps, and for channels in multiples of 8. All else is plain torch, whatever `impl` says,
    and so is what torch.compile and torch.export see.

    Args:
        x: [N, inputs, H, W].
        w: [outputs, inputs, k, k].
        b: [outputs].

    Returns:
        [N, outputs, (H + 2 * padding - k) // stride + 1, and W likewise].
    """
    if not _pays(x, w, stride) or not is_native(impl, x):
        return F.conv2d(x, w, b, stride, padding)
    return _with_bias(ops.conv2d(x, w, stride, padding), b)


def conv_transpose2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    impl: Impl = "auto",
) -> Tensor:
    """`F.conv_transpose2d`, compiled where `conv2d` is.

    Args:
        x: [N, inputs, H, W].
        w: [inputs, outputs, k, k].
        b: [outputs].

    Returns:
        [N, outputs, (H - 1) * stride - 2 * padding + k, and W likewise].
    """
    if not _pays(x, w, stride, scale=stride) or not is_native(impl, x):
        return F.conv_transpose2d(x, w, b, stride, padding)
    size = [(n - 1) * stride - 2 * padding + w.shape[2] for n in x.shape[2:]]
    return _with_bias(ops.conv2d_input(x, w, stride, padding, size), b)


def _pays(x: Tensor, w: Tensor, stride: int, scale: int = 1) -> bool:
    """Whether the compiled op knows this convolution and is faster.

    Args:
        scale: how many times as high and wide as x that is which tiles are cut from.
    """
    if (
        x.device.type != "cpu"
        or not x.dtype == w.dtype == torch.float32
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
        or (tile := TILES.get((w.shape[2], stride))) is None
    ):
        return False
    n, _, height, width = x.shape
    tiles = n * (scale * height // tile) * (scale * width // tile)
    return (
        tiles >= LEAST_TILES * torch.get_num_threads()
        and tiles * w.shape[0] * w.shape[1] >= LEAST_PRODUCTS
        and w.numel() <= MOST_WEIGHTS
        and w.shape[0] % 8 == w.shape[1] % 8 == 0
        and w.shape[2] == w.shape[3]
        and w.is_contiguous(memory_format=torch.channels_last)
    )


def _with_bias(y: Tensor, b: Tensor | None) -> Tensor:
    return y if b is None else y + b[:, None, None]


@torch.library.register_fake("gan_versus::conv2d")
def _(x: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    size = [(n + 2 * padding - w.shape[2]) // stride + 1 for n in x.shape[2:]]
    y = x.new_empty(x.shape[0], w.shape[0], *size)
    return y.to(memory_format=torch.channels_last)


@torch.library.register_fake("gan_versus::conv2d_input")
def _(y: Tensor, w: Tensor, stride: int, padding: int, size: Sequence[int]) -> Tensor:
    x = y.new_empty(y.shape[0], w.shape[1], *size)
    return x.to(memory_format=torch.channels_last)


@torch.library.register_fake("gan_versus::conv2d_weight")
def _(x: Tensor, y: Tensor, stride: int, padding: int, kernel: int) -> Tensor:
    w = x.new_empty(y.shape[1], x.shape[1], kernel, kernel)
    return w.to(memory_format=torch.channels_last)


# Each of the three is linear in both of its tensors, and its derivatives are the other two.


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    first, second, *ctx.settings = inputs
    ctx.save_for_backward(first, second)


def _conv2d_backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, w = ctx.saved_tensors
    dx = dw = None
    if ctx.needs_input_grad[0]:
        dx = ops.conv2d_input(dy, w, *ctx.settings, x.shape[2:])
    if ctx.needs_input_grad[1]:
        dw = ops.conv2d_weight(x, dy, *ctx.settings, w.shape[2])
    return dx, dw, None, None


def _input_backward(ctx: Any, dx: Tensor) -> tuple[Tensor | None, ...]:
    y, w = ctx.saved_tensors
    stride, padding, _ = ctx.settings
    dy = dw = None
    if ctx.needs_input_grad[0]:
        dy = ops.conv2d(dx, w, stride, padding)
    if ctx.needs_input_grad[1]:
        dw = ops.conv2d_weight(dx, y, stride, padding, w.shape[2])
    return dy, dw, None, None, None


def _weight_backward(ctx: Any, dw: Tensor) -> tuple[Tensor | None, ...]:
    x, y = ctx.saved_tensors
    stride, padding, _ = ctx.settings
    dx = dy = None
    if ctx.needs_input_grad[0]:
        dx = ops.conv2d_input(y, dw, stride, padding, x.shape[2:])
    if ctx.needs_input_grad[1]:
        dy = ops.conv2d(x, dw, stride, padding)
    return dx, dy, None, None, None


torch.library.register_autograd("gan_versus::conv2d", _conv2d_backward, setup_context=_save)
torch.library.register_autograd("gan_versus::conv2d_input", _input_backward, setup_context=_save)
torch.library.register_autograd("gan_versus::conv2d_weight", _weight_backward, setup_context=_save)
