"""How a factor is drawn at random: a few small distributions that can say what they are.

Each has `sample(rng, known)`: `known` holds the factors drawn before this one, so that a factor
can lean on another. Each prints as a phrase for the documentation, and either `low` and `high`
bound its values or `values` lists them.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np

Known = dict[str, Any]


def pick(rng: np.random.Generator, chances: Mapping[str, float]) -> str:
    """One of the names, by its chance; the chances sum to 1."""
    names, point = list(chances), float(rng.random())
    place = bisect_right(list(accumulate(chances.values())), point)
    return names[min(place, len(names) - 1)]  # the chances may sum to a hair less than 1


class Distribution(Protocol):
    """What every distribution here can do."""

    def sample(self, rng: np.random.Generator, known: Known) -> Any:
        """Draw one value, given the factors drawn so far."""


@dataclass(frozen=True)
class Uniform:
    """Flat between two ends."""

    low: float
    high: float

    def sample(self, rng: np.random.Generator, known: Known) -> float:
        return self.low + (self.high - self.low) * rng.random()

    def __str__(self) -> str:
        return f"uniform {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Skewed:
    """Between two ends, crowded towards the low one: low + (high - low) * u ** power."""

    low: float
    high: float
    power: float

    def sample(self, rng: np.random.Generator, known: Known) -> float:
        return self.low + (self.high - self.low) * float(rng.random()) ** self.power

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, uniform to the power {self.power:g}"


@dataclass(frozen=True)
class Bell:
    """A normal distribution, clipped at two ends."""

    mean: float
    std: float
    low: float
    high: float

    def sample(self, rng: np.random.Generator, known: Known) -> float:
        return float(min(max(rng.normal(self.mean, self.std), self.low), self.high))

    def __str__(self) -> str:
        return f"normal {self.mean:g} ± {self.std:g}, clipped to {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Leaning:
    """Between 0 and 1: a weighted mean of a uniform draw and of femininity.

    A negative weight leans towards masculinity, which is 1 - femininity.
    """

    weight: float
    low: float = 0.0
    high: float = 1.0

    def sample(self, rng: np.random.Generator, known: Known) -> float:
        femininity = known["femininity"]
        towards = femininity if self.weight > 0 else 1.0 - femininity
        own = abs(self.weight)
        return (1.0 - own) * float(rng.random()) + own * towards

    def __str__(self) -> str:
        towards = "femininity" if self.weight > 0 else "(1 - femininity)"
        own = abs(self.weight)
        return f"0 to 1: {1 - own:g} uniform + {own:g} {towards}"


@dataclass(frozen=True)
class Sometimes:
    """One value with a probability, or else a draw from elsewhere."""

    probability: float
    value: float
    otherwise: Uniform | Bell

    @property
    def low(self) -> float:
        return min(self.value, self.otherwise.low)

    @property
    def high(self) -> float:
        return max(self.value, self.otherwise.high)

    def sample(self, rng: np.random.Generator, known: Known) -> float:
        if rng.random() < self.probability:
            return float(self.value)
        return self.otherwise.sample(rng, known)

    def __str__(self) -> str:
        return f"{self.value:g} for {self.probability:.0%}; else {self.otherwise}"


@dataclass(frozen=True)
class Same:
    """Equal to another factor with a probability, or else a draw of its own."""

    other: str
    probability: float
    otherwise: "Uniform | Bell | Sometimes"

    @property
    def low(self) -> float:
        return self.otherwise.low

    @property
    def high(self) -> float:
        return self.otherwise.high

    def sample(self, rng: np.random.Generator, known: Known) -> float:
        if rng.random() < self.probability:
            return float(known[self.other])
        return self.otherwise.sample(rng, known)

    def __str__(self) -> str:
        return f"equal to `{self.other}` for {self.probability:.0%}; else {self.otherwise}"


@dataclass(frozen=True)
class Choice:
    """One of several names. The weights may glide from masculine to feminine ones."""

    weights: Mapping[str, float]
    masculine: Mapping[str, float] | None = None

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def chances(self, femininity: float) -> Mapping[str, float]:
        """The probability of each value."""
        if self.masculine is None:
            return self.weights
        return {
            name: femininity * weight + (1.0 - femininity) * self.masculine.get(name, 0.0)
            for name, weight in self.weights.items()
        }

    def sample(self, rng: np.random.Generator, known: Known) -> str:
        return pick(rng, self.chances(known["femininity"]))

    def __str__(self) -> str:
        if self.masculine is None:
            return ", ".join(f"{name} {chance:.0%}" for name, chance in self.weights.items())
        return "feminine / masculine: " + ", ".join(
            f"{name} {chance:.0%} / {self.masculine.get(name, 0):.0%}"
            for name, chance in self.weights.items()
        )


@dataclass(frozen=True)
class Seed:
    """A whole number that stands for a pattern."""

    low: int
    high: int

    def sample(self, rng: np.random.Generator, known: Known) -> int:
        return int(rng.integers(self.low, self.high, endpoint=True))

    def __str__(self) -> str:
        return f"whole number {self.low:,} to {self.high:,}"


class Swatch(NamedTuple):
    """A family of colours: hue in degrees (mean, std), saturation and lightness (low, high)."""

    chance: float
    hue: tuple[float, float]
    saturation: tuple[float, float]
    lightness: tuple[float, float]


@dataclass(frozen=True)
class FromSwatch:
    """One coordinate of a colour; all coordinates of a face come from one swatch."""

    swatches: Mapping[str, Swatch]
    coordinate: str
    low: float
    high: float

    def sample(self, rng: np.random.Generator, known: Known) -> float:
        swatch = known.get("swatch") or known.setdefault("swatch", self._pick(rng))
        if self.coordinate == "hue":
            return float(rng.normal(*swatch.hue)) % 360.0
        return float(rng.uniform(*getattr(swatch, self.coordinate)))

    def _pick(self, rng: np.random.Generator) -> Swatch:
        chances = {name: swatch.chance for name, swatch in self.swatches.items()}
        return self.swatches[pick(rng, chances)]

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, from a mixture of {len(self.swatches)} colours"
