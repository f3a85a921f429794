"""Whole numbers as people write them: `0-3,5` is 0, 1, 2, 3 and 5."""

import re
from collections.abc import Sequence
from itertools import groupby

from data.errors import UserError

MOST = 4096


def whole_numbers(flag: str, text: str) -> list[int]:
    """The numbers in the order in which they are written.

    Raises:
        UserError: the text has another form, a range runs backwards, or there are more than 4,096
            numbers; the message begins with `flag`.
    """
    ranges = [_bounds(flag, part.strip()) for part in text.split(",")]
    if sum(last - first + 1 for first, last in ranges) > MOST:
        raise UserError(f"{flag} {text}: there are more than {MOST:,} numbers")
    return [number for first, last in ranges for number in range(first, last + 1)]


def in_ranges(numbers: Sequence[int]) -> str:
    """The inverse of `whole_numbers`, for a person: `0-3, 5`."""
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(pairs) for _, pairs in runs)]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ends)


def _bounds(flag: str, part: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", part)
    if not found:
        raise UserError(f"{flag}: {part!r} is no whole number or range; write 0-3 or 0,2,5-7")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise UserError(f"{flag}: {part} runs backwards; write {last}-{first}")
    return first, last
