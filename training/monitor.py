"""The collapse monitor: watches the ticks for a game that one side has won."""

from collections.abc import Mapping
from typing import Any

PATIENCE_TICKS = 5
# D is as good as certain of both kinds, whichever way round.
PINNED = 0.99
# Of the real images' variety. Healthy samples keep most of it; one repeated picture keeps none.
LOST_VARIETY = 0.25


class CollapseMonitor:
    """Counts ticks in a row that look collapsed.

    A tick does when G's sheet has lost its variety and, where the loss gives D probabilities, when
    these are pinned at 0 or 1. A critic's scores have no bounds: there, variety alone decides.

    Attributes:
        alarmed_ticks: such ticks in a row; at 0, the run is healthy.
    """

    def __init__(self) -> None:
        self.alarmed_ticks = 0

    def collapsed(self, tick: Mapping[str, Any]) -> bool:
        """Take a tick's row; true once, when the last of PATIENCE_TICKS such ticks comes."""
        scores = [tick[name] for name in ("d_real", "d_fake") if name in tick]
        pinned = all(max(score, 1 - score) > PINNED for score in scores)
        alarmed = pinned and tick["variety"] < LOST_VARIETY
        self.alarmed_ticks = self.alarmed_ticks + 1 if alarmed else 0
        return self.alarmed_ticks == PATIENCE_TICKS
