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

    A tick does when G's sheet lacks variety and, where the loss gives D probabilities, when these
    are pinned at 0 or 1. A critic's scores have no bounds: there, variety alone decides, once the
    run has had it; no network has it from the start.

    Attributes:
        alarmed_ticks: such ticks in a row; at 0, the run is healthy.
        was_varied: whether a sheet has had variety so far.
    """

    def __init__(self) -> None:
        self.alarmed_ticks = 0
        self.was_varied = False

    def collapsed(self, tick: Mapping[str, Any]) -> bool:
        """Take a tick's row; true once, when the last of PATIENCE_TICKS such ticks comes."""
        varied = tick["variety"] >= LOST_VARIETY
        self.was_varied |= varied
        scores = [tick[name] for name in ("d_real", "d_fake") if name in tick]
        pinned = all(max(score, 1 - score) > PINNED for score in scores)
        alarmed = not varied and pinned and (bool(scores) or self.was_varied)
        self.alarmed_ticks = self.alarmed_ticks + 1 if alarmed else 0
        return self.alarmed_ticks == PATIENCE_TICKS

    def state_dict(self) -> dict[str, Any]:
        return {"alarmed_ticks": self.alarmed_ticks, "was_varied": self.was_varied}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.alarmed_ticks = state["alarmed_ticks"]
        self.was_varied = state["was_varied"]
