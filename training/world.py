"""The processes that train one run: those that torchrun started, or this one alone.

All hold the same weights. Each computes gradients on its part of the batch (`data.shard`), and all
take the same step with their mean. The first one, the writer, is the only one that leaves traces.
Alone, nothing here does anything.
"""

import atexit
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from data import shard
from data.errors import MissingError

P = ParamSpec("P")
T = TypeVar("T")

# The others wait while the writer measures. Who dies is missed at once, and not after this.
PATIENCE = timedelta(days=2)
CPU = torch.device("cpu")


def join() -> None:
    """Meet the other processes, if torchrun started this one; each has the GPU of its number."""
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    # What is agreed on the CPU waits for no GPU.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _together():
        dist.init_process_group(backend, timeout=PATIENCE)
    atexit.register(dist.destroy_process_group)


def local_processes() -> int:
    """How many of the processes are on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if shard.processes() > 1 else 1


def is_writer() -> bool:
    """Whether this process is the one that writes files, speaks and measures."""
    return shard.rank() == 0


def by_writer(function: Callable[P, None]) -> Callable[P, None]:
    """Make a function do nothing but in the writer."""

    @functools.wraps(function)
    def write(*args: P.args, **kwargs: P.kwargs) -> None:
        if is_writer():
            function(*args, **kwargs)

    return write


@torch.no_grad()
def average_(tensors: Iterable[Tensor], dtype: torch.dtype = torch.float32) -> None:
    """Replace tensors, as many and as large in each process, by their means over the processes.

    Args:
        dtype: of the sums. In twice the tensors' precision, what is the same everywhere stays
            exactly that.
    """
    tensors = list(tensors)
    if shard.processes() == 1 or not tensors:
        return
    flat = torch.cat([tensor.flatten().to(dtype) for tensor in tensors])
    with _together():
        dist.all_reduce(flat)
    means = (flat / shard.processes()).split([tensor.numel() for tensor in tensors])
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.copy_(mean.view_as(tensor))


def any_of(*flags: bool) -> list[bool]:
    """Each flag, true where it is in any process."""
    if shard.processes() == 1:
        return list(flags)
    raised = torch.tensor(flags, dtype=torch.uint8)
    with _together():
        dist.all_reduce(raised, dist.ReduceOp.MAX)
    return raised.bool().tolist()


def broadcast(value: T) -> T:
    """The writer's value, in every process."""
    if shard.processes() == 1:
        return value
    values = [value]
    with _together():
        dist.broadcast_object_list(values, device=CPU)
    return values[0]


def meet() -> None:
    """Wait until every process has come here."""
    any_of(False)


@contextmanager
def _together() -> Iterator[None]:
    """What all processes do at once, and none can do where one is missing."""
    try:
        yield
    except RuntimeError as error:
        raise MissingError(
            "another process of this run has ended, and this one with it: go on from the last "
            f"checkpoint with --resume RUN under the same torchrun ({str(error).splitlines()[0]})"
        ) from error
