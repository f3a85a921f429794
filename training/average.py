"""The exponential moving average of G's weights."""

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

# Half-lives no longer than this part of the run so far: early on, a long average is mostly the
# initial noise (Karras et al. 2020, arXiv 2006.06676, EMA ramp-up).
RAMPUP = 0.05


class Average:
    """A copy of a module whose weights trail it; its buffers are the module's own.

    With a half-life of 0 they are the module's own, too.

    Attributes:
        module: the copy, in eval mode.
    """

    def __init__(self, module: nn.Module, half_life_kimg: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._source = module
        self._half_life_nimg = half_life_kimg * 1000

    @torch.no_grad()
    def update(self, nimg: int, batch: int) -> None:
        """Move towards the module, after `batch` images that bring the count to `nimg`."""
        half_life = min(self._half_life_nimg, nimg * RAMPUP)
        towards = 1 - 0.5 ** (batch / half_life) if half_life else 1.0
        torch._foreach_lerp_(
            list(self.module.parameters()), list(self._source.parameters()), towards
        )
        if buffers := list(self.module.buffers()):
            torch._foreach_copy_(buffers, list(self._source.buffers()))

    def refresh_statistics(self, latents: list[Tensor]) -> None:
        """Estimate batch-norm statistics anew: those of the raw weights do not fit the average.

        The result follows from the weights and the latents alone.
        """
        update_bn(latents, self.module)
        self.module.eval()
