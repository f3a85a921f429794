"""`auto`: what runs fastest is found by running it."""

import dataclasses
import time
from typing import Any

import torch

from data.errors import MissingError, UserError
from data.store import Store
from training.config import RunConfig
from training.loop import Trainer

CHOICES = {
    "cpu": [("fp32", "contiguous"), ("fp32", "channels_last"), ("bf16", "channels_last")],
    "cuda": [("fp32", "channels_last"), ("bf16", "channels_last"), ("fp16", "channels_last")],
}
TRIAL_BATCH = 16
TRIAL_STEPS = 3


def without_auto(config: RunConfig, store: Store) -> tuple[RunConfig, str]:
    """Decide every `auto` of a configuration, and say in a line how it was decided.

    Raises:
        UserError: the precision does not exist on the device.
        MissingError: a GPU was asked for, and there is none.
    """
    training = config.training
    device = training.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise MissingError("--device cuda: no CUDA device is visible; use --device cpu")
    if (device, training.precision) == ("cpu", "fp16"):
        raise UserError("--precision fp16 needs a GPU; use bf16 or auto")
    fitting = [
        (precision, memory_format)
        for precision, memory_format in CHOICES[device]
        if training.precision in ("auto", precision)
        and training.memory_format in ("auto", memory_format)
    ] or [(training.precision, training.memory_format)]

    def chosen(precision: str, memory_format: str, batch: int = training.batch) -> RunConfig:
        changes: dict[str, Any] = {
            "device": device,
            "precision": precision,
            "memory_format": memory_format,
            "batch": batch,
        }
        return dataclasses.replace(config, training=dataclasses.replace(training, **changes))

    if len(fitting) == 1:
        return chosen(*fitting[0]), f"device {device}, {' '.join(fitting[0])}"
    batch = min(TRIAL_BATCH, training.batch)
    times = {choice: seconds_per_image(chosen(*choice, batch=batch), store) for choice in fitting}
    best = min(times, key=lambda choice: times[choice])
    timings = ", ".join(f"{' '.join(c)} {1000 * t:.1f}" for c, t in times.items())
    return chosen(*best), f"device {device}, {' '.join(best)} (ms an image: {timings})"


def seconds_per_image(config: RunConfig, store: Store) -> float:
    """The fastest of a few steps of a throw-away trainer, after one to warm up."""
    trainer = Trainer(config, store)
    times = []
    for _ in range(TRIAL_STEPS):
        start = time.perf_counter()
        trainer.step()
        if trainer.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:]) / config.training.batch
