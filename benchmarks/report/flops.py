"""What a training step costs in floating-point operations, counted and not timed."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from models.registry import GAN, family
from models.stylegan.style1 import level_at

BATCH = 4  # a whole group of the minibatch's standard deviation
PARTS = 200  # of training, in each of which a network that grows is of one size
MEANING = (
    "FLOPs of training: those of matrix products and convolutions, a multiply-add as two, forward "
    "and backward, in every phase of a step as often as it has its turn, times the images seen. "
    "Optimisers, activations and noise are left out; blurs count as the convolutions that they "
    "are in plain torch. Counted from shapes by PyTorch's own formulas, not timed."
)


class FlopCounter(TorchDispatchMode):
    """Adds up what PyTorch's `FlopCounterMode` would, which cannot follow second derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


@functools.cache
def flops_per_image(model: str, options: Any, nimg: int) -> float:
    """FLOPs of training for each real image shown to D, on average over the first `nimg`.

    Nothing is computed but shapes.
    """
    if hasattr(options, "ops"):  # the same count on a machine without a compiler
        options = type(options)(**{**vars(options), "ops": "ref"})
    with FakeTensorMode():
        gan = family(model).build(options)
        if not getattr(options, "grow", False):
            return _at(gan, 0)
        middles = [round(nimg * (part + 0.5) / PARTS) for part in range(PARTS)]
        sizes = {middle: _size(middle, options.grow_kimg) for middle in middles}
        firsts = {size: middle for middle, size in reversed(sizes.items())}
        costs = {size: _at(gan, middle) for size, middle in firsts.items()}
        return sum(costs[size] for size in sizes.values()) / len(sizes)


def _size(nimg: int, grow_kimg: float) -> tuple[int, bool]:
    """What a growing network's cost depends on: its largest resolution, and whether it fades."""
    level = level_at(nimg, grow_kimg)
    return math.ceil(level), level % 1 > 0


def _at(gan: GAN, nimg: int) -> float:
    gan.schedule(nimg, BATCH)
    reals = torch.zeros(BATCH, 3, 64, 64)
    total = 0.0
    for phase in gan.phases():
        with FlopCounter() as counter:
            loss, _ = phase.loss(reals)
            loss.backward()
        total += counter.total / phase.interval
    return total / BATCH
