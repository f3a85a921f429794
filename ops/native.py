"""Which implementation of an op runs: the compiled one or plain torch."""

import functools
import sys
from typing import Literal

import torch
from torch import Tensor

from data.errors import MissingError
from ops import build

Impl = Literal["auto", "ref", "native"]
DTYPES = {
    "cpu": (torch.float32, torch.bfloat16),
    "cuda": (torch.float32, torch.float16, torch.bfloat16),
}
_taken: set[str] = set()


def is_native(impl: Impl, x: Tensor) -> bool:
    """Whether the compiled op takes `x`. `auto` takes plain torch where it cannot, and says so.

    Raises:
        MissingError: `native` is asked for and cannot be built.
        TypeError: `native` is asked for a device or dtype without kernels.
    """
    return _decide(impl, x.device.type, x.dtype)


def paths_taken() -> str:
    """Which implementations have run in this process: "native", "ref", both, or "" for none."""
    return "+".join(sorted(_taken))


@functools.cache
def problem(device: str) -> str | None:
    """Why a device's ops cannot be had, or None; compiles them where need be."""
    try:
        build.load(device)
    except MissingError as error:
        return str(error)
    return None


@torch.compiler.assume_constant_result
def _decide(impl: Impl, device: str, dtype: torch.dtype) -> bool:
    fits = dtype in DTYPES.get(device, ())
    if impl == "native":
        if not fits:
            raise TypeError(f"there are no compiled ops for {dtype} on {device}")
        if reason := problem(device):
            raise MissingError(f"compiled ops for {device}: {reason}")
    native = impl != "ref" and fits and problem(device) is None
    if impl == "auto" and fits and not native:
        _warn(device)
    _taken.add("native" if native else "ref")
    return native


@functools.cache
def _warn(device: str) -> None:
    print(f"ops: plain torch on {device}, which is slower: {problem(device)}", file=sys.stderr)
