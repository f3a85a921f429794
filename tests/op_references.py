"""The ops' mathematics in float64, written with numpy and scipy instead of our own code."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.signal import convolve2d, upfirdn
from scipy.special import expit

Array = np.ndarray


class Fir(NamedTuple):
    """A resampling: the filter's shape, and upfirdn2d's settings."""

    taps: tuple[int, ...]
    up: tuple[int, int] = (1, 1)
    down: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    flip: bool = False
    gain: float = 1.0

    def filter(self) -> Array:
        """Random: a symmetric filter would hide a flip."""
        f = np.random.default_rng(sum(self.taps)).normal(size=self.taps)
        return (f / np.abs(f).sum()).astype(np.float32)


def resample(x: Array, fir: Fir) -> Array:
    """`x` [N, C, H, W], resampled."""
    f = fir.filter().astype(np.float64)
    return resample_fully(x, f, fir) if f.ndim == 2 else resample_by_axes(x, f, fir)


def resample_by_axes(x: Array, f: Array, fir: Fir) -> Array:
    """With the separable filter `f` [k]."""
    f = f[::-1] if fir.flip else f
    for axis in (0, 1):
        before, after = fir.padding[2 * axis : 2 * axis + 2]
        x = _along(x, f, fir.up[axis], fir.down[axis], before, after, axis + 2)
    return fir.gain * x


def _along(x: Array, f: Array, up: int, down: int, before: int, after: int, axis: int) -> Array:
    """scipy gives every output of a filter that slides over the ends: take those asked for."""
    size, k = x.shape[axis], len(f)
    outputs = (size * up + before + after - k) // down + 1
    filtered = upfirdn(f, x, up, axis=axis)
    at = k - 1 - before + down * np.arange(outputs)
    inside = (at >= 0) & (at < filtered.shape[axis])
    shape = [1] * x.ndim
    shape[axis] = outputs
    return filtered.take(np.where(inside, at, 0), axis) * inside.reshape(shape)


def resample_fully(x: Array, f: Array, fir: Fir) -> Array:
    """With `f` [kh, kw]: the definition, step by step."""
    f = f[::-1, ::-1] if fir.flip else f
    n, c, h, w = x.shape
    stuffed = np.zeros((n, c, h * fir.up[0], w * fir.up[1]))
    stuffed[:, :, :: fir.up[0], :: fir.up[1]] = x
    top, bottom, left, right = fir.padding
    added = [(max(a, 0), max(b, 0)) for a, b in ((top, bottom), (left, right))]
    padded = np.pad(stuffed, [(0, 0), (0, 0), *added])
    rows = slice(max(-top, 0), padded.shape[2] - max(-bottom, 0))
    columns = slice(max(-left, 0), padded.shape[3] - max(-right, 0))
    planes = padded[:, :, rows, columns]
    size = [a - k + 1 for a, k in zip(planes.shape[2:], f.shape, strict=True)]
    filtered = np.empty((n, c, *size))
    for index in np.ndindex(n, c):
        filtered[index] = convolve2d(planes[index], f, mode="valid")
    return fir.gain * filtered[:, :, :: fir.down[0], :: fir.down[1]]


def matrix(fir: Fir, h: int, w: int) -> Array:
    """[H_out * W_out, H * W]: resampling is linear, and its transpose the gradient."""
    return resample(np.eye(h * w).reshape(h * w, 1, h, w), fir).reshape(h * w, -1).T


class Form(NamedTuple):
    """An activation and its first and second derivatives, of v and lrelu's slope."""

    function: Callable[[Array, float], Array]
    first: Callable[[Array, float], Array]
    second: Callable[[Array, float], Array]


FORMS = {
    "linear": Form(
        lambda v, a: v,
        lambda v, a: np.ones_like(v),
        lambda v, a: np.zeros_like(v),
    ),
    "relu": Form(
        lambda v, a: np.maximum(v, 0),
        lambda v, a: (v > 0) * 1.0,
        lambda v, a: np.zeros_like(v),
    ),
    "lrelu": Form(
        lambda v, a: np.where(v > 0, v, a * v),
        lambda v, a: np.where(v > 0, 1, a),
        lambda v, a: np.zeros_like(v),
    ),
    "tanh": Form(
        lambda v, a: np.tanh(v),
        lambda v, a: 1 / np.cosh(v) ** 2,
        lambda v, a: -2 * np.tanh(v) / np.cosh(v) ** 2,
    ),
    "sigmoid": Form(
        lambda v, a: expit(v),
        lambda v, a: expit(v) * expit(-v),
        lambda v, a: expit(v) * expit(-v) * (1 - 2 * expit(v)),
    ),
    "swish": Form(
        lambda v, a: v * expit(v),
        lambda v, a: expit(v) * (1 + v * expit(-v)),
        lambda v, a: expit(v) * expit(-v) * (2 + v * (1 - 2 * expit(v))),
    ),
}


class BiasAct:
    """`clamp(gain * act(v))` with v = x + b, and what follows from it by hand."""

    def __init__(
        self,
        x: Array,
        b: Array | None,
        act: str,
        alpha: float,
        gain: float,
        clamp: float | None,
    ) -> None:
        v = x if b is None else x + b.reshape(1, -1, *[1] * (x.ndim - 2))
        unclamped = gain * FORMS[act].function(v, alpha)
        limit = np.inf if clamp is None else clamp
        self.y = np.clip(unclamped, -limit, limit)
        inside = np.abs(unclamped) < limit
        self.slope = gain * FORMS[act].first(v, alpha) * inside
        self.curvature = gain * FORMS[act].second(v, alpha) * inside
        # Beside the limit and beside zero, rounding decides which derivative is taken.
        self.sure = (np.abs(np.abs(unclamped) - limit) > 0.02) & (np.abs(v) > 0.02)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        """By x and b."""
        dx = dy * self.slope
        return dx, over_channels(dx)

    def backward_twice(self, dy: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
        """Of <dx, u> + <db, w>, by dy, x and b."""
        u = u + w.reshape(1, -1, *[1] * (dy.ndim - 2))
        d_x = dy * u * self.curvature
        return u * self.slope, d_x, over_channels(d_x)


def over_channels(x: Array) -> Array:
    """[N, C, ...] summed to [C]."""
    return x.sum(axis=tuple(axis for axis in range(x.ndim) if axis != 1))
