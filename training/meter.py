"""Means and counts over a tick, kept on the device so that no step waits for it."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Meter:
    """Means of named scalars. Values that are not finite are left out."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], Tensor] = {}

    def add(self, stats: Mapping[str, Tensor]) -> None:
        """Add one scalar for each name."""
        names = tuple(stats)
        values = torch.stack([value.detach().float() for value in stats.values()])
        finite = values.isfinite()
        rows = torch.stack([torch.where(finite, values, 0), finite.float()])  # [2, len(names)]
        self._sums[names] = self._sums[names] + rows if names in self._sums else rows

    def means(self) -> dict[str, float]:
        """The means since the last call; waits for the device."""
        means: dict[str, float] = {}
        for names, rows in self._sums.items():
            means |= dict(zip(names, (rows[0] / rows[1]).tolist(), strict=True))
        self._sums.clear()
        return means

    def state_dict(self) -> dict[str, Any]:
        return {",".join(names): rows for names, rows in self._sums.items()}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        self._sums = {tuple(names.split(",")): rows.to(device) for names, rows in state.items()}


class FiniteGuard:
    """Counts steps with non-finite gradients, and undoes what they did to buffers: batch-norm
    statistics, running means.

    The weights need no undoing: the optimiser skips such a step (GradScaler hands it the finding).

    Attributes:
        buffers: those of floating point.
    """

    COUNTS = ("nonfinite_steps", "streak", "longest_streak", "scaler_warmups")

    def __init__(self, modules: Iterable[nn.Module], device: torch.device) -> None:
        self.buffers = [b for m in modules for b in m.buffers() if b.is_floating_point()]
        self._before = [buffer.clone() for buffer in self.buffers]
        self.counts = torch.zeros(len(self.COUNTS), dtype=torch.int64, device=device)

    def begin_step(self) -> None:
        """Remember the statistics."""
        if self.buffers:
            torch._foreach_copy_(self._before, self.buffers)

    def end_step(self, finite: Tensor, scale: Tensor) -> None:
        """Count a step, given whether all of it was finite and the loss scale it ran at.

        Above scale 1, an overflow is the fp16 scaler finding its level: it counts apart.
        """
        for buffer, before in zip(self.buffers, self._before, strict=True):
            buffer.copy_(torch.where(finite, buffer, before))
        warmup = ~finite & (scale > 1)
        bad = ~finite & ~warmup
        total, streak, longest, warmups = self.counts.unbind()
        streak = torch.where(bad, streak + 1, 0)
        self.counts = torch.stack(
            [total + bad, streak, torch.maximum(longest, streak), warmups + warmup]
        )

    def read(self) -> dict[str, int]:
        """The counts; the longest streak starts again. Waits for the device."""
        counts = dict(zip(self.COUNTS, self.counts.tolist(), strict=True))
        self.counts[2] = 0
        return counts
