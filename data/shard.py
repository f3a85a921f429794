"""Which images of a batch are this process's, where several train one run.

Each process draws for the whole batch and keeps its own part, so that N of them see what one would.
The part is every N-th image and not a block: then batches that are joined, such as D's reals and
fakes, are shared out as each of them is, and images a stride apart, as the groups of
`models.stylegan.layers.minibatch_std` are, stay together.
"""

from torch import Tensor
from torch import distributed as dist


def processes() -> int:
    """How many processes train this run."""
    return dist.get_world_size() if _are_several() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if _are_several() else 0


def whole(count: int) -> int:
    """The images of the whole batch where this process has `count` of them."""
    return count * processes()


def mine(batch: Tensor) -> Tensor:
    """This process's part of what was drawn for the whole batch, [N * processes, ...] to [N, ...].

    All of them must have drawn the same: from torch's global generator, as a step seeds it.
    """
    return batch[rank() :: processes()] if processes() > 1 else batch


def _are_several() -> bool:
    return dist.is_available() and dist.is_initialized()
