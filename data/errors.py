"""Mistakes and gaps that a user can mend. Anything else that raises is a defect of ours."""

import math


class UserError(Exception):
    """The user's mistake. The message names the flag or the file and says what to do."""

    exit_code = 2


class MissingError(UserError):
    """Something that is not there: weights, data, a GPU that was asked for, room on the disk."""

    exit_code = 3


def require(
    flag: str, value: float, *, above: float | None = None, least: float = -math.inf
) -> None:
    """Refuse a number that is not finite, not `above` a bound, or below the `least` that can be.

    Raises:
        UserError: with the flag and the bound.
    """
    if not math.isfinite(value):
        raise UserError(f"{flag} {value:g}: a finite number is needed")
    if above is not None and value <= above:
        raise UserError(f"{flag} {value:g}: it must be above {above:g}")
    if value < least:
        raise UserError(f"{flag} {value:g}: it must be at least {least:g}")
