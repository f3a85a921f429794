"""Upsample, filter, downsample: the resampling of StyleGAN's feature maps and images.

Mathematics: a multirate filter bank's elementary step (Vaidyanathan 1993, ch. 4); in GANs Zhang
(2019, arXiv 1904.11486) and Karras et al. (2019, arXiv 1812.04948, section 2).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._prims_common import suggest_memory_format

from ops.library import ops
from ops.native import Impl, is_native


def binomial_filter(taps: Sequence[float] = (1, 3, 3, 1)) -> Tensor:
    """A separable low-pass filter [k], float32, with a sum of 1."""
    f = torch.tensor(taps, dtype=torch.float32)
    return f / f.sum()


def upfirdn2d(
    x: Tensor,
    f: Tensor,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    flip: bool = False,
    gain: float = 1.0,
    impl: Impl = "auto",
) -> Tensor:
    """Resample each channel with a filter; differentiable any number of times by `x`.

    1. Put `up - 1` zeros after each pixel, along both axes.
    2. Pad with zeros; negative padding crops.
    3. Convolve with `f`, keeping only where it fits entirely.
    4. Keep each `down`-th pixel, from the first on.
    5. Multiply by `gain`.

    Args:
        x: [N, C, H, W].
        f: float32, [k] for the separable filter outer(f, f), or [kh, kw]. A constant.
        up: one number, or (vertical, horizontal); `down` likewise.
        padding: one number, or (top, bottom, left, right).
        flip: correlate with `f` instead of convolving.

    Returns:
        [N, C, (H * up + top + bottom - kh) // down + 1, and W likewise], x's dtype and layout.

    Raises:
        ValueError: nothing would be left of the image.
    """
    assert not f.requires_grad, "filters are constants: nothing is known of their gradients"
    up, down = _pair(up), _pair(down)
    padding = [padding] * 4 if isinstance(padding, int) else list(padding)
    require_output(x, f, up, down, padding)
    if is_native(impl, x):
        return ops.upfirdn2d(x, f.float(), up, down, padding, flip, gain)
    return _reference(x, f, up, down, padding, flip, gain)


def output_size(
    x: Tensor, f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int]
) -> list[int]:
    """[N, C, H_out, W_out]."""
    n, c, h, w = x.shape
    top, bottom, left, right = padding
    kh, kw = _taps(f)
    rows = (h * up[0] + top + bottom - kh) // down[0] + 1
    columns = (w * up[1] + left + right - kw) // down[1] + 1
    return [n, c, rows, columns]


def require_output(
    x: Tensor, f: Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int]
) -> None:
    """Refuse, with a ValueError, what would leave nothing of the image."""
    size = output_size(x, f, up, down, padding)
    if min(size[2:]) < 1:
        raise ValueError(f"a filter of {list(f.shape)} leaves nothing of {list(x.shape)}: {size}")


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _taps(f: Tensor) -> tuple[int, int]:
    return f.shape[0], f.shape[-1]


def _reference(
    x: Tensor,
    f: Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    gain: float,
) -> Tensor:
    """Matrix products: at these sizes several times as fast as depthwise convolutions."""
    f = f if flip else f.flip(tuple(range(f.ndim)))
    # A full filter is the sum of its rows, each of them separable.
    pairs = [(f, f)] if f.ndim == 1 else zip(torch.eye(len(f)).to(f), f, strict=True)
    terms = []
    with torch.autocast(x.device.type, enabled=False):
        for vertical, horizontal in pairs:
            rows = gain * _matrix(vertical, x.shape[2], up[0], down[0], padding[:2])
            columns = _matrix(horizontal, x.shape[3], up[1], down[1], padding[2:])
            terms.append(rows.to(x.dtype) @ x @ columns.to(x.dtype).mT)
    return sum(terms[1:], terms[0]).contiguous(memory_format=suggest_memory_format(x))


def _matrix(f: Tensor, size: int, up: int, down: int, padding: Sequence[int]) -> Tensor:
    """[outputs, size]: correlation with `f` [k] along one axis; each row holds an output's taps."""
    before, after = padding
    outputs = (size * up + before + after - len(f)) // down + 1
    inputs = torch.arange(size, device=f.device) * up + before
    taps = inputs - torch.arange(outputs, device=f.device)[:, None] * down
    return torch.where((taps >= 0) & (taps < len(f)), f[taps.clamp(0, len(f) - 1)], 0)


@torch.library.register_fake("gan_versus::upfirdn2d")
def _(
    x: Tensor,
    f: Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    gain: float,
) -> Tensor:
    size = output_size(x, f, up, down, padding)
    return x.new_empty(size).to(memory_format=suggest_memory_format(x))


def adjoint(
    dy: Tensor,
    f: Tensor,
    size: Sequence[int],
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip: bool,
    gain: float,
) -> Tensor:
    """The compiled op's transpose, to an input of `size`: an upfirdn2d again.

    An output j takes input i with the tap j * down - i * up + k - 1 - padding: exchange i with j,
    up with down, and the filter's ends.
    """
    kernel = _taps(f)
    swapped = []
    for axis in range(2):
        before = kernel[axis] - 1 - padding[2 * axis]
        # Just long enough for size[axis] outputs.
        length = (size[axis] - 1) * up[axis] + kernel[axis]
        swapped += [before, length - before - dy.shape[2 + axis] * down[axis]]
    return ops.upfirdn2d(dy, f, down, up, swapped, not flip, gain)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, f, *ctx.settings = inputs
    ctx.size = x.shape[2:]
    ctx.save_for_backward(f)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    (f,) = ctx.saved_tensors
    return adjoint(dy, f, ctx.size, *ctx.settings), None, None, None, None, None, None


torch.library.register_autograd("gan_versus::upfirdn2d", _backward, setup_context=_setup_context)
