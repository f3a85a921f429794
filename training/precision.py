"""`auto`: what runs fastest is found by running it."""

import dataclasses
import time
from typing import Any

from data.errors import UserError
from data.shard import processes
from data.store import Store
from models.registry import Phase
from training.config import RunConfig
from training.environment import resolve_device
from training.loop import Trainer
from training.world import broadcast

CHOICES = {
    "cpu": [("fp32", "contiguous"), ("fp32", "channels_last"), ("bf16", "channels_last")],
    "cuda": [("fp32", "channels_last"), ("bf16", "channels_last"), ("fp16", "channels_last")],
}
CPU_TRIAL_BATCH = 8  # a process
TRIAL_ROUNDS = {"cpu": 3, "cuda": 20}


def without_auto(config: RunConfig, store: Store) -> tuple[RunConfig, str]:
    """Decide every `auto` of a configuration, and say in a line how it was decided.

    Raises:
        UserError: the precision does not exist on the device.
        MissingError: a GPU was asked for, and there is none.
    """
    training = config.training
    device = resolve_device(training.device)
    if (device, training.precision) == ("cpu", "fp16"):
        raise UserError("--precision fp16 needs a GPU; use bf16 or auto")
    fitting = dict.fromkeys(
        (precision, fast if training.memory_format == "auto" else training.memory_format)
        for precision, fast in CHOICES[device]
        if training.precision in ("auto", precision)
    )

    def chosen(precision: str, memory_format: str, batch: int = training.batch) -> RunConfig:
        changes: dict[str, Any] = {
            "device": device,
            "precision": precision,
            "memory_format": memory_format,
            "batch": batch,
        }
        return dataclasses.replace(config, training=dataclasses.replace(training, **changes))

    if len(fitting) == 1:
        (only,) = fitting
        return chosen(*only), f"device {device}, {' '.join(only)}"
    most = CPU_TRIAL_BATCH * processes() if device == "cpu" else training.batch
    batch = min(most, training.batch)
    times = broadcast({c: seconds_per_image(chosen(*c, batch=batch), store) for c in fitting})
    best = min(times, key=lambda choice: times[choice])
    timings = ", ".join(f"{' '.join(c)} {1000 * t:.1f}" for c, t in times.items())
    return chosen(*best), f"device {device}, {' '.join(best)} (ms an image: {timings})"


def seconds_per_image(config: RunConfig, store: Store) -> float:
    """The time of a step of a throw-away trainer, each phase at its share of the steps.

    A few rounds are timed after one to warm up, and the fastest counts. A network that grows is
    timed as it will be in the end.
    """
    trainer = Trainer(config, store)
    count = trainer.gan.schedule(config.training.nimg, config.training.batch)
    rounds = []
    for _ in range(TRIAL_ROUNDS[trainer.device.type]):
        trainer.begin_turns()
        turns = [_seconds(trainer, phase, count) / phase.interval for phase in trainer.phases]
        rounds.append(sum(turns))
    return min(rounds[1:]) / count


def _seconds(trainer: Trainer, phase: Phase, count: int) -> float:
    start = time.perf_counter()
    trainer.update(phase, trainer.real_batch(count))
    trainer.wait()
    return time.perf_counter() - start
