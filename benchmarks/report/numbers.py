"""Numbers as people read them."""

import math
from collections.abc import Sequence

NOTHING = "-"
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")


def short(value: float | None, digits: int = 4) -> str:
    """Some significant digits, no exponent where that can be helped."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def with_prefix(value: float | None, unit: str) -> str:
    """`174 TFLOP`."""
    if value is None or not math.isfinite(value):
        return NOTHING
    power = min(int(math.log10(max(abs(value), 1)) // 3), len(PREFIXES) - 1)
    return f"{value / 1000**power:.3g} {PREFIXES[power]}{unit}"


def mean(values: Sequence[float]) -> float | None:
    """Of those that are numbers; None where there are none."""
    found = [value for value in values if math.isfinite(value)]
    return math.fsum(found) / len(found) if found else None


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None of fewer than two. Rounding of equal numbers is none."""
    found = [value for value in values if math.isfinite(value)]
    middle = mean(found)
    if middle is None or len(found) < 2:
        return None
    found_sd = math.sqrt(math.fsum((value - middle) ** 2 for value in found) / (len(found) - 1))
    return found_sd if found_sd > 1e-12 * abs(middle) else 0.0


def span(values: Sequence[float]) -> str:
    """One number where all are equal, else the least and the largest."""
    found = [value for value in values if math.isfinite(value)]
    if not found:
        return NOTHING
    low, high = short(min(found)), short(max(found))
    return low if low == high else f"{low} to {high}"
