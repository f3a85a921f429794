"""Rivals in turn, in one process: what drifts on a machine, drifts for all of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.environment import hardware


@dataclass(frozen=True)
class Result:
    """One comparison; rates are images a second, and a ratio above 1 is in our favour."""

    what: str
    images_per_sec: float
    rival: str
    rival_images_per_sec: float | None
    ratio: float | None
    goal: str
    hardware: str


def interleaved(works: Sequence[Callable[[], Any]], rounds: int) -> list[list[float]]:
    """Each work's seconds, round by round, after one round to warm up."""
    for work in works:
        work()
    times = [[seconds(work) for work in works] for _ in range(rounds)]
    return [list(of_one) for of_one in zip(*times, strict=True)]


def seconds(work: Callable[[], Any]) -> float:
    """The time of a work, until a GPU is done with it as well."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(
    what: str, ours: list[float], rival: str, theirs: list[float], images: int, goal: str
) -> Result:
    """Medians over the rounds; the ratio is the median of each round's."""
    return Result(
        what,
        images / statistics.median(ours),
        rival,
        images / statistics.median(theirs),
        statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        goal,
        this_hardware(),
    )


def this_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def this_hardware() -> str:
    return hardware(this_device())
