"""The trainer. `train` is the loop; `Trainer.step` is what it repeats."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from data.augment import Augmentation
from data.batches import Batches
from data.errors import UserError
from data.shard import processes
from data.store import Store
from models.registry import Phase, family
from training import world
from training.average import Average
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.config import RunConfig
from training.console import Console
from training.environment import peak_memory_bytes, resolve_device
from training.meter import FiniteGuard, Meter
from training.monitor import CollapseMonitor
from training.run_dir import EVENTS, STATS, RunDir
from training.sheet import to_uint8, write_sheet
from training.snapshot import save_snapshot
from training.stop import StopRequest

SHEET_IMAGES = 64
STATISTICS = (16, 256)  # batches of latents, to estimate the average's batch-norm statistics
DIVERGED_STREAK = 10
MAX_ROLLBACKS = 3
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Measure = Callable[[RunDir, "Trainer"], None]


def train(
    run: RunDir,
    trainer: "Trainer",
    console: Console,
    stop: StopRequest,
    record: Measure,
    measure: Measure = lambda *_: None,
) -> str:
    """Train until the run's length is reached, and say how it ended.

    Args:
        run: the run's folder, locked.
        trainer: fresh, or loaded from the run's checkpoint.
        record: called after each snapshot, and before the checkpoint: what it writes is not lost.
        measure: called after the checkpoint, so that it may take its time.

    Returns:
        "finished", "stopped" (by a signal, after saving), "diverged" or "collapsed".
    """
    config = trainer.config.training
    saved_at = time.monotonic()
    if trainer.nimg == 0:
        write_sheet(run.path / "reals.png", trainer.reals)
        write_sheet(run.path / "fakes_000000000.png", trainer.sheet())
        trainer.save(run)  # a folder that cannot be written to, or a full disk, shows now

    while trainer.nimg < config.nimg:
        before = trainer.nimg
        trainer.step()
        console.advance(trainer.nimg)

        if trainer.crossed(before, config.tick_kimg):
            tick = world.broadcast(trainer.tick())
            run.append(STATS, tick)
            console.say(tick_line(tick))
            if ending := verdict(run, trainer, console, tick):
                return ending

        stopping, save_due = world.any_of(
            stop.signal is not None and trainer.nimg < config.nimg,
            time.monotonic() - saved_at > config.save_minutes * 60,
        )
        snapshot_due = trainer.crossed(before, config.snap_kimg)
        if snapshot_due:
            write_sheet(run.path / f"fakes_{trainer.nimg:09d}.png", trainer.sheet())
            save_snapshot(run.path / "snapshots", trainer)
            record(run, trainer)
        if snapshot_due or stopping or save_due:
            trainer.save(run)
            saved_at = time.monotonic()
        if snapshot_due:
            measure(run, trainer)
        if stopping:
            return "stopped"
    return "finished"


def verdict(run: RunDir, trainer: "Trainer", console: Console, tick: dict[str, Any]) -> str | None:
    """Whether a tick ends the run: returns how, or None to go on. A rollback goes on."""

    def record(event: str, **details: Any) -> None:
        where = {"nimg": trainer.nimg, "rollbacks": trainer.rollbacks}
        run.append(EVENTS, {"event": event, **where, **details})

    if tick["longest_streak"] >= DIVERGED_STREAK or not trainer.weights_are_finite():
        record("diverged")
        return "diverged"
    if not trainer.monitor.collapsed(tick):
        return None
    action = trainer.config.training.on_collapse
    record("collapse", action=action)
    console.say(f"collapse at kimg {trainer.nimg / 1000:.1f}: the samples have lost their variety")
    if action == "record":
        return None
    if action == "stop" or trainer.rollbacks == MAX_ROLLBACKS:
        return "collapsed"
    rollbacks = trainer.rollbacks + 1
    trainer.load(load_checkpoint(run.path / "checkpoints", console.say, healthy=True))
    trainer.rollbacks = rollbacks
    world.meet()  # before the writer removes what another may still be reading
    run.forget_after(trainer.nimg, rollbacks)
    record("rollback")
    trainer.save(run)
    console.say(f"rolled back to kimg {trainer.nimg / 1000:.1f}, seed {trainer.seed}")
    return None


class Trainer:
    """A GAN being trained: its whole state, one step, and a look at it.

    Randomness comes from (seed, images seen): a step reseeds torch's global generator from them,
    so that a run which was interrupted is the run which was not. Where several processes train
    (`training.world`), each has one of these, and all hold the same.

    Attributes:
        gan: G and D.
        average: of G's weights.
        nimg: real images shown to D so far.
        steps: taken so far.
        rollbacks: after collapses; each adds one to the seed.
        seconds: spent in training steps.
    """

    def __init__(self, config: RunConfig, store: Store) -> None:
        """Build everything from a configuration without `auto` in it.

        Raises:
            MissingError: the configuration asks for a GPU, and there is none.
            UserError: the processes of this run cannot have equal parts of a batch.
        """
        training = config.training
        if training.batch % processes():
            raise UserError(
                f"--batch {training.batch}: {processes()} processes share it; make it a multiple"
            )
        self.config = config
        self.device = torch.device(resolve_device(training.device))
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            # What is called float32 here is: TF32's ten bits are too few for second derivatives.
            torch.backends.cudnn.allow_tf32 = False
        self.memory_format = MEMORY_FORMATS[training.memory_format]
        self.dtype = DTYPES[training.precision]

        torch.manual_seed(training.seed)
        self.gan = family(config.model).build(config.options)
        for module in (self.gan.G, self.gan.D):
            module.to(self.device).to(memory_format=self.memory_format)
        self.phases = self.gan.phases()
        if training.compile:
            for module in self.gan.networks():
                module.compile(mode="reduce-overhead" if self.device.type == "cuda" else None)
        self.average = Average(self.gan.G, training.ema_kimg)
        # With scale 1 the scaler only finds what is not finite and has the optimiser skip it.
        self.scaler = torch.amp.GradScaler(
            self.device.type, init_scale=65536.0 if self._is_fp16 else 1.0
        )
        self.batches = Batches(
            store,
            self.device,
            mirror=training.mirror,
            augmentations=tuple(Augmentation.parse(spec) for spec in training.augment),
        )
        self.meter = Meter()
        self.guard = FiniteGuard((self.gan.G, self.gan.D), self.device)
        self.monitor = CollapseMonitor()
        self.nimg = 0
        self.steps = 0
        self.rollbacks = 0
        self.seconds = 0.0
        self.ticks = 0
        self._tick_start = (0, 0.0)  # images and seconds

        rows = store.rows("train")[:SHEET_IMAGES]
        self.reals = torch.from_numpy(store.images[rows])  # uint8 [64, 3, H, W]
        self._real_variety = max(variety(self.reals), 1.0)  # one picture alone has none
        latents = torch.Generator().manual_seed(0)
        self._sheet_z = self.gan.sample_z(SHEET_IMAGES, latents)
        batches, size = STATISTICS
        self._statistics_z = [self.gan.sample_z(size, latents) for _ in range(batches)]

    def step(self) -> None:
        """Show D one batch of reals, and give every phase that is due its turn."""
        started = time.perf_counter()
        count = self.gan.schedule(self.nimg, self.config.training.batch)
        torch.manual_seed(step_seed(self.seed, self.nimg))
        reals = self.real_batch(count)
        finite = torch.ones((), dtype=torch.bool, device=self.device)
        scale = self._scale
        self.guard.begin_step()
        self.begin_turns()
        for phase in self.phases:
            if (self.steps + 1) % phase.interval == 0:
                finite = finite & self.update(phase, reals)
        self.nimg += count
        self.steps += 1
        world.average_(self.guard.buffers, torch.float64)
        self.average.update(self.nimg, count)
        self.guard.end_step(finite, scale)
        self.seconds += time.perf_counter() - started

    def begin_turns(self) -> None:
        """Let CUDA graphs forget what they returned for the phases of the step before."""
        if self.config.training.compile:
            torch.compiler.cudagraph_mark_step_begin()

    def real_batch(self, count: int) -> Tensor:
        """This process's part of the next `count` reals, float [N, 3, H, W] in [-1, 1]."""
        return self.batches.at(self.seed, self.nimg, count).to(memory_format=self.memory_format)

    def wait(self) -> None:
        """Wait for the device, as a part of training: a GPU runs behind the steps that feed it."""
        if self.device.type == "cuda":
            started = time.perf_counter()
            torch.cuda.synchronize()
            self.seconds += time.perf_counter() - started

    def update(self, phase: Phase, reals: Tensor) -> Tensor:
        """One optimiser step of one phase, unless a gradient is not finite; returns whether."""
        lr = phase.lr(self.nimg, self.steps // phase.interval)
        parameters = []
        for group in phase.optimizer.param_groups:
            group["lr"] = lr
            parameters += group["params"]
        phase.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss, stats = phase.loss(reals)
        self.scaler.scale(loss).backward()
        gradients = [p.grad for p in parameters if p.grad is not None]
        stats = {name: value.detach() for name, value in stats.items()}
        world.average_([*gradients, *stats.values()])
        self.scaler.unscale_(phase.optimizer)
        # The scaler's own finding, so that what is counted is exactly what is skipped.
        (found_inf,) = self.scaler._found_inf_per_device(phase.optimizer).values()
        norm = torch.nn.utils.get_total_norm(gradients)
        self.scaler.step(phase.optimizer)
        self.scaler.update(None if self._is_fp16 else 1.0)
        self.meter.add({**stats, f"grad_norm_{phase.name.lower()}": norm})
        return found_inf == 0

    def updates(self, phase: str) -> int:
        """How many turns a phase has had."""
        return self.steps // next(p.interval for p in self.phases if p.name == phase)

    @property
    def seed(self) -> int:
        return self.config.training.seed + self.rollbacks

    def crossed(self, start: int, kimg: float) -> bool:
        """Whether the last step, from `start` images, passed a multiple of `kimg`, or the end."""
        interval = kimg * 1000
        passed = self.nimg // interval > start // interval
        return passed or self.nimg >= self.config.training.nimg

    def tick(self) -> dict[str, Any]:
        """The row of stats since the last tick; waits for the device."""
        self.wait()
        means = self.meter.means()
        images, seconds = self.nimg - self._tick_start[0], self.seconds - self._tick_start[1]
        self._tick_start = (self.nimg, self.seconds)
        self.ticks += 1
        rates = {
            f"lr_{phase.name.lower()}": phase.optimizer.param_groups[0]["lr"]
            for phase in self.phases
        }
        return {
            "tick": self.ticks,
            "nimg": self.nimg,
            "kimg": self.nimg / 1000,
            **means,
            **rates,
            "variety": variety(self.samples(self.gan.G)) / self._real_variety,
            **self.guard.read(),
            "seconds": self.seconds,
            "sec_per_kimg": seconds / images * 1000,
            "images_per_sec": images / seconds,
            "peak_memory_bytes": peak_memory_bytes(self.device),
        }

    def sheet(self) -> Tensor:
        """What the averaged G makes of the fixed latents, uint8 [64, 3, H, W]."""
        self.wait()
        self.average.refresh_statistics(self._statistics_z)
        return self.samples(self.average.module)

    @torch.no_grad()
    def samples(self, generator: torch.nn.Module) -> Tensor:
        """What a generator makes of the fixed latents in eval mode, uint8 [64, 3, H, W]."""
        training = generator.training
        generator.eval()
        images = generator(self._sheet_z)
        generator.train(training)
        return to_uint8(images.float())

    def save(self, run: RunDir) -> None:
        """Write a checkpoint of everything that the next step depends on.

        Weights that are not finite are not worth one: the next tick ends such a run as diverged.
        """
        self.wait()
        if not self.weights_are_finite():
            return
        streak = self.guard.counts[FiniteGuard.COUNTS.index("streak")]
        healthy = self.monitor.alarmed_ticks == 0 and not streak
        save_checkpoint(run.path / "checkpoints", self.weights(), self.state(), healthy)
        run.set_status("running", nimg=self.nimg, rollbacks=self.rollbacks)

    def weights_are_finite(self) -> bool:
        """Whether every weight of G, D and the average is; waits for the device."""
        parameters = [p for module in self._modules().values() for p in module.parameters()]
        return bool(torch.nn.utils.get_total_norm(parameters, math.inf).isfinite())

    def weights(self) -> dict[str, Tensor]:
        """All weights and buffers, by name: `G.`, `D.` and `G_ema.`."""
        return {
            f"{prefix}.{name}": tensor
            for prefix, module in self._modules().items()
            for name, tensor in module.state_dict().items()
        }

    def generator_weights(self) -> dict[str, Tensor]:
        """What a snapshot holds: `G.` and `G_ema.`."""
        return {name: tensor for name, tensor in self.weights().items() if name[0] == "G"}

    def state(self) -> dict[str, Any]:
        """Everything else, as `torch.load(weights_only=True)` can read it."""
        return {
            "nimg": self.nimg,
            "steps": self.steps,
            "rollbacks": self.rollbacks,
            "seconds": self.seconds,
            "ticks": self.ticks,
            "tick_start": self._tick_start,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers()],
            "scaler": self.scaler.state_dict(),
            "meter": self.meter.state_dict(),
            "counts": self.guard.counts,
            "monitor": self.monitor.state_dict(),
        }

    def load(self, checkpoint: Checkpoint) -> None:
        """Become what was saved."""
        for prefix, module in self._modules().items():
            start = f"{prefix}."
            module.load_state_dict(
                {
                    name.removeprefix(start): tensor
                    for name, tensor in checkpoint.weights.items()
                    if name.startswith(start)
                }
            )
        state = checkpoint.state
        for optimizer, saved in zip(self._optimizers(), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.scaler.load_state_dict(state["scaler"])
        self.meter.load_state_dict(state["meter"], self.device)
        self.guard.counts = state["counts"].to(self.device)
        self.monitor.load_state_dict(state["monitor"])
        self.nimg = state["nimg"]
        # Checkpoints without it are from when every batch was as large as the run's.
        self.steps = state.get("steps", self.nimg // self.config.training.batch)
        self.rollbacks = state["rollbacks"]
        self.seconds = state["seconds"]
        self.ticks = state["ticks"]
        self._tick_start = state["tick_start"]

    @contextmanager
    def autocast(self) -> Iterator[None]:
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32):
            yield

    @property
    def _is_fp16(self) -> bool:
        return self.dtype is torch.float16

    @property
    def _scale(self) -> Tensor:
        """The loss scale, without waiting for the device as `get_scale` does."""
        return self.scaler.scale(torch.ones((), device=self.device))

    def _modules(self) -> dict[str, torch.nn.Module]:
        return {"G": self.gan.G, "D": self.gan.D, "G_ema": self.average.module}

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        """Each once, though phases may share one."""
        return list({id(phase.optimizer): phase.optimizer for phase in self.phases}.values())


def step_seed(seed: int, nimg: int) -> int:
    """A generator's seed from (seed, images seen): unrelated for neighbouring values."""
    digest = hashlib.blake2b(f"{seed}/{nimg}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def variety(images: Tensor) -> float:
    """How much uint8 images [N, 3, H, W] differ: their pixels' mean standard deviation, 0-255."""
    return images.float().std(dim=0, correction=0).mean().item()


def tick_line(tick: dict[str, Any]) -> str:
    """A tick in one line, in the words that StyleGAN's users know."""
    minutes, seconds = divmod(round(tick["seconds"]), 60)
    hours, minutes = divmod(minutes, 60)
    elapsed = f"{hours}h {minutes:02d}m {seconds:02d}s" if hours else f"{minutes}m {seconds:02d}s"
    parts = [
        f"tick {tick['tick']:<5d}",
        f"kimg {tick['kimg']:<8.1f}",
        f"time {elapsed:<11}",
        f"sec/kimg {tick['sec_per_kimg']:<8.2f}",
        # Between two of its turns, a critic's G has no loss.
        f"loss G {tick.get('loss_g', math.nan):<6.3f} D {tick['loss_d']:<6.3f}",
    ]
    if "d_real" in tick:
        parts.append(f"D(real) {tick['d_real']:.3f} D(fake) {tick['d_fake']:.3f}")
    return "  ".join(parts)
