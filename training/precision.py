"""`auto`: which precision runs fastest is found by running it."""

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

PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16", "fp16")}
# On a CPU too: a tenth faster for a DCGAN in batches of 64, and of nine networks slower for none
# beyond what timings differ by.
FASTEST_FORMAT = "channels_last"
CPU_TRIAL_BATCH = 16  # a process: in fewer images, compiled convolutions do not show what they save
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
    fitting = [p for p in PRECISIONS[device] if training.precision in ("auto", p)]
    memory_format = training.memory_format.replace("auto", FASTEST_FORMAT)

    def chosen(precision: str, batch: int = training.batch) -> RunConfig:
        changes: dict[str, Any] = {
            "device": device,
            "precision": precision,
            "memory_format": memory_format,
            "batch": batch,
        }
        return dataclasses.replace(config, training=dataclasses.replace(training, **changes))

    if len(fitting) == 1:
        (only,) = fitting
        return chosen(only), f"device {device}, {only} {memory_format}"
    most = CPU_TRIAL_BATCH * processes() if device == "cpu" else training.batch
    batch = min(most, training.batch)
    times = broadcast({p: seconds_per_image(chosen(p, batch), store) for p in fitting})
    best = min(times, key=lambda precision: times[precision])
    timings = ", ".join(f"{precision} {1000 * t:.1f}" for precision, t in times.items())
    return chosen(best), f"device {device}, {best} {memory_format} (ms an image: {timings})"


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
