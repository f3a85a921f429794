"""The trainer's guards: averages, numbers that are not finite, collapse, precision."""

import copy
import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data.errors import MissingError, UserError
from data.store import Store
from models.losses import r1_penalty
from tests.conftest import ConfigMaker, TrainerMaker
from training import loop, precision
from training.average import Average
from training.checkpoint import load_checkpoint
from training.config import parse_settings
from training.console import Console
from training.loop import Trainer, step_seed, train
from training.meter import FiniteGuard, Meter
from training.monitor import PATIENCE_TICKS, CollapseMonitor
from training.run_dir import EVENTS, STATS, RunDir
from training.sheet import to_uint8
from training.stop import StopRequest


def run_to_end(trainer: Trainer, folder: Path) -> tuple[str, RunDir]:
    run = RunDir.create(folder, trainer.config)
    with run.locked(), Console(run.path / "log.txt", trainer.config.training.nimg) as console:
        return train(run, trainer, console, StopRequest(), lambda *_: None), run


def poison(trainer: Trainer, name: str, at_steps: Callable[[int], bool]) -> None:
    """Make a phase's loss infinite at some steps."""
    index = [phase.name for phase in trainer.phases].index(name)
    healthy = trainer.phases[index]

    def loss(reals: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        value, stats = healthy.loss(reals)
        return (value * math.inf if at_steps(trainer.steps) else value), stats

    trainer.phases[index] = dataclasses.replace(healthy, loss=loss)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_a_step_that_is_not_finite_is_skipped_and_counted(
    make_trainer: TrainerMaker, optimizer: str
) -> None:
    trainer = make_trainer("simple", {"d_optimizer": optimizer, "g_optimizer": optimizer})
    poison(trainer, "D", lambda step: step == 1)
    trainer.step()
    before = copy.deepcopy(trainer.gan.D.state_dict())
    optimizer_before = copy.deepcopy(trainer.phases[0].optimizer.state_dict()["state"])
    trainer.step()
    assert trainer.guard.read()["nonfinite_steps"] == 1
    for name, tensor in trainer.gan.D.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(tensor, before[name]), name
    for index, state in trainer.phases[0].optimizer.state_dict()["state"].items():
        assert all(torch.equal(state[key], optimizer_before[index][key]) for key in state)
    trainer.step()
    assert not torch.equal(trainer.gan.D.state_dict()["layers.0.weight"], before["layers.0.weight"])
    assert trainer.guard.read()["streak"] == 0
    assert all(tensor.isfinite().all() for tensor in trainer.weights().values())


@pytest.mark.parametrize(("bad_steps", "ending"), [(9, "finished"), (10, "diverged")])
def test_ten_in_a_row_end_the_run_and_the_checkpoint_is_good(
    make_trainer: TrainerMaker, tmp_path: Path, bad_steps: int, ending: str
) -> None:
    trainer = make_trainer(kimg=0.064)
    poison(trainer, "G", lambda step: 5 <= step < 5 + bad_steps)
    result, run = run_to_end(trainer, tmp_path)
    assert result == ending
    saved = load_checkpoint(run.path / "checkpoints", pytest.fail)
    assert all(tensor.isfinite().all() for tensor in saved.weights.values())
    assert [row["event"] for row in run.rows(EVENTS)] == (["diverged"] if bad_steps == 10 else [])
    assert sum(row["nonfinite_steps"] == 0 for row in run.rows(STATS)) > 0
    assert run.rows(STATS)[-1]["nonfinite_steps"] == bad_steps


def test_weights_that_are_not_finite_are_never_saved(
    make_trainer: TrainerMaker, tmp_path: Path
) -> None:
    trainer = make_trainer(settings={"lr_d": 3e38}, kimg=0.064, save_minutes=0.0)
    result, run = run_to_end(trainer, tmp_path)
    assert result == "diverged"
    assert not trainer.weights_are_finite()
    saved = load_checkpoint(run.path / "checkpoints", pytest.fail)
    assert all(tensor.isfinite().all() for tensor in saved.weights.values())


def test_large_finite_gradients_are_no_fault(make_trainer: TrainerMaker) -> None:
    trainer = make_trainer()
    healthy = trainer.phases[0]

    def huge(reals: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        value, stats = healthy.loss(reals)
        return value * 1e25, stats  # their norm overflows float32, they do not

    trainer.phases[0] = dataclasses.replace(healthy, loss=huge)
    trainer.step()
    assert trainer.guard.read()["nonfinite_steps"] == 0
    assert trainer.phases[0].optimizer.state_dict()["state"][0]["step"] == 1, "it was taken"


def test_the_guard_counts_a_scalers_warmup_apart_and_restores_statistics() -> None:
    norm = nn.BatchNorm2d(1)
    guard = FiniteGuard([norm], torch.device("cpu"))
    for finite, scale in ((True, 1.0), (False, 65536.0), (False, 1.0), (False, 1.0), (True, 1.0)):
        guard.begin_step()
        assert norm.running_mean is not None
        before = norm.running_mean.clone()
        norm(torch.full((2, 1, 1, 1), 1.0 if finite else math.nan))
        guard.end_step(torch.tensor(finite), torch.tensor(scale))
        assert torch.equal(norm.running_mean, before) != finite
    assert guard.read() == {
        "nonfinite_steps": 2,
        "streak": 0,
        "longest_streak": 2,
        "scaler_warmups": 1,
    }
    assert guard.read()["longest_streak"] == 0


def test_means_leave_out_what_is_not_finite_and_start_again() -> None:
    meter = Meter()
    for value in (1.0, math.nan, 3.0, math.inf):
        meter.add({"a": torch.tensor(value), "b": torch.tensor(2.0)})
    assert meter.means() == {"a": 2.0, "b": 2.0}
    meter.add({"a": torch.tensor(5.0)})
    assert meter.means() == {"a": 5.0}


def test_the_average_moves_half_way_in_a_half_life() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    average = Average(module, half_life_kimg=1)
    nn.init.ones_(module.weight)
    late = 10_000_000  # the ramp-up is over
    for step in range(10):
        average.update(late + step * 100, 100)
    assert average.module.weight.item() == pytest.approx(0.5, rel=1e-5)


def test_the_average_of_a_young_run_is_shorter() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    average = Average(module, half_life_kimg=1000)
    nn.init.ones_(module.weight)
    average.update(2000, 100)  # a half-life of 5% of 2000 images is 100 images
    assert average.module.weight.item() == pytest.approx(0.5, rel=1e-5)


def test_without_a_half_life_the_average_is_the_module() -> None:
    module = nn.Linear(3, 3)
    average = Average(module, half_life_kimg=0)
    nn.init.normal_(module.weight)
    average.update(2000, 100)
    assert torch.equal(average.module.weight, module.weight)


def test_statistics_of_the_average_are_those_of_its_own_maps(make_trainer: TrainerMaker) -> None:
    trainer = make_trainer()
    for _ in range(4):
        trainer.step()
    before = [p.clone() for p in trainer.average.module.parameters()]
    trainer.sheet()
    projection, norm = trainer.average.module.layers[0], trainer.average.module.layers[1]
    maps = projection(torch.cat(trainer._statistics_z))
    torch.testing.assert_close(norm.running_mean, maps.mean(dim=(0, 2, 3)))
    assert all(
        torch.equal(a, b) for a, b in zip(before, trainer.average.module.parameters(), strict=True)
    )
    assert not trainer.average.module.training


def tick(real: float | None, fake: float | None, variety: float) -> dict[str, Any]:
    scores = {"d_real": real, "d_fake": fake}
    return {"variety": variety, **{k: v for k, v in scores.items() if v is not None}}


@pytest.mark.parametrize(
    ("row", "collapsed"),
    [
        (tick(0.999, 0.001, 0.1), True),
        (tick(0.001, 0.999, 0.1), True),  # the other side has won
        (tick(0.999, 0.001, 0.9), False),  # certain, but the samples are varied
        (tick(0.7, 0.3, 0.1), False),  # a dull sheet alone, while D still doubts
        (tick(None, None, 0.1), True),  # a critic: variety alone
        (tick(None, None, 0.9), False),
    ],
)
def test_what_looks_collapsed(row: dict[str, Any], collapsed: bool) -> None:
    monitor = CollapseMonitor()
    monitor.collapsed(tick(0.7, 0.3, 0.9))  # there was variety once
    verdicts = [monitor.collapsed(row) for _ in range(PATIENCE_TICKS + 2)]
    expected = [n == PATIENCE_TICKS for n in range(1, PATIENCE_TICKS + 3)]
    assert verdicts == (expected if collapsed else [False] * len(expected))


def test_a_critic_that_has_not_had_variety_yet_has_not_lost_it() -> None:
    monitor = CollapseMonitor()
    assert not any(monitor.collapsed(tick(None, None, 0.2)) for _ in range(3 * PATIENCE_TICKS))
    certain = CollapseMonitor()  # but a D that is certain from the start has won
    assert any(certain.collapsed(tick(1.0, 0.0, 0.2)) for _ in range(PATIENCE_TICKS))


def test_one_good_tick_starts_the_count_again() -> None:
    monitor = CollapseMonitor()
    bad, good = tick(1.0, 0.0, 0.0), tick(1.0, 0.0, 1.0)
    rows = [bad] * (PATIENCE_TICKS - 1) + [good] + [bad] * (PATIENCE_TICKS - 1)
    assert not any(monitor.collapsed(row) for row in rows)
    assert monitor.collapsed(bad)


class AlwaysCollapsed(CollapseMonitor):
    """Alarmed at every tick from the second checkpoint on."""

    def __init__(self, trainer: Trainer, from_nimg: int) -> None:
        super().__init__()
        self.trainer, self.from_nimg = trainer, from_nimg

    def collapsed(self, tick: Any) -> bool:
        self.alarmed_ticks = int(tick["nimg"] > self.from_nimg)
        return self.alarmed_ticks > 0


@pytest.mark.parametrize(
    ("action", "ending", "events"),
    [
        ("record", "finished", ["collapse"] * 3),
        ("stop", "collapsed", ["collapse"]),
        ("rollback", "collapsed", ["collapse", "rollback"] * 3 + ["collapse"]),
    ],
)
def test_on_collapse(
    make_trainer: TrainerMaker, tmp_path: Path, action: str, ending: str, events: list[str]
) -> None:
    trainer = make_trainer(on_collapse=action, tick_kimg=0.008, snap_kimg=0.008, kimg=0.04)
    trainer.monitor = AlwaysCollapsed(trainer, from_nimg=16)
    result, run = run_to_end(trainer, tmp_path)
    assert result == ending
    assert [row["event"] for row in run.rows(EVENTS)] == events
    if action == "rollback":
        assert trainer.seed == 3
        assert {row["nimg"] for row in run.rows(EVENTS) if row["event"] == "rollback"} == {16}


def test_a_rollback_trains_on_with_another_seed(make_trainer: TrainerMaker, tmp_path: Path) -> None:
    trainer = make_trainer(on_collapse="rollback", tick_kimg=0.008, snap_kimg=0.008)

    class Once(AlwaysCollapsed):
        def collapsed(self, tick: Any) -> bool:
            return self.trainer.rollbacks == 0 and super().collapsed(tick)

    trainer.monitor = Once(trainer, from_nimg=16)
    result, run = run_to_end(trainer, tmp_path)
    assert (result, trainer.rollbacks, trainer.seed) == ("finished", 1, 1)
    assert [row["nimg"] for row in run.rows(STATS)] == [8, 16, 24, 28]
    straight = make_trainer()
    while straight.nimg < 28:
        straight.step()
    weights = (next(t.gan.G.parameters()) for t in (trainer, straight))
    assert not torch.equal(*weights)
    resumed = make_trainer(on_collapse="rollback")
    resumed.load(load_checkpoint(run.path / "checkpoints", pytest.fail))
    assert (resumed.nimg, resumed.rollbacks) == (28, 1)
    assert_same_events(run, resumed)


def assert_same_events(run: RunDir, resumed: Trainer) -> None:
    """Going on forgets no rollback, and going on from before it forgets that there was one."""
    events = run.rows(EVENTS)
    run.forget_after(resumed.nimg, resumed.rollbacks)
    assert run.rows(EVENTS) == events
    run.forget_after(16, 0)
    assert run.rows(EVENTS) == []


def test_seeds_of_neighbouring_steps_are_unrelated() -> None:
    seeds = [step_seed(seed, nimg) for seed in range(20) for nimg in range(0, 6400, 64)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    ones = sum(bin(a ^ b).count("1") for a, b in pairwise(seeds))
    assert ones / len(seeds) / 63 == pytest.approx(0.5, abs=0.02)


def test_images_round_to_the_nearest_byte() -> None:
    images = torch.tensor([-2.0, -1.0, 0.0, 0.003, 1.0, 2.0]).view(1, 1, 1, 6)
    assert to_uint8(images).flatten().tolist() == [0, 0, 128, 128, 255, 255]
    every = torch.arange(256.0).view(1, 1, 16, 16)
    assert torch.equal(to_uint8(every / 127.5 - 1), every.to(torch.uint8))


def test_auto_takes_the_fastest_and_says_so(
    make_config: ConfigMaker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {"fp32": 1.0, "bf16": 2.0}
    monkeypatch.setattr(
        precision, "seconds_per_image", lambda config, _: times[config.training.precision]
    )
    config = make_config(precision="auto", memory_format="auto", device="cpu")
    chosen, line = precision.without_auto(config, store)
    assert (chosen.training.precision, chosen.training.memory_format) == ("fp32", "channels_last")
    assert chosen.training.batch == config.training.batch
    assert "bf16 2000.0" in line
    times["fp32"] = 4.0
    assert precision.without_auto(config, store)[0].training.precision == "bf16"
    own, _ = precision.without_auto(make_config(memory_format="contiguous"), store)
    assert own.training.memory_format == "contiguous"


def test_what_the_device_cannot_do_is_refused(make_config: ConfigMaker, store: Store) -> None:
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        precision.without_auto(make_config(precision="fp16"), store)
    if not torch.cuda.is_available():
        with pytest.raises(MissingError, match="--device cuda"):
            precision.without_auto(make_config(device="cuda"), store)


def test_bfloat16_keeps_weights_and_penalties_in_float32(make_trainer: TrainerMaker) -> None:
    trainer = make_trainer("r1", {"r1_interval": 1}, precision="bf16")
    seen: list[torch.dtype] = []
    trainer.gan.D.layers[0].register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    trainer.step()
    assert torch.bfloat16 in seen
    assert all(
        p.dtype == torch.float32 for p in trainer.weights().values() if p.is_floating_point()
    )
    reals = trainer.batches.at(0, 0, 4)
    with trainer.autocast():
        low = r1_penalty(trainer.gan.D, reals)
    assert low.item() == pytest.approx(r1_penalty(trainer.gan.D, reals).item(), rel=1e-6)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("lr_g=3e-4", 3e-4),
        ("z_dim=64", 64),
        ("g_bias=true", True),
        ("g_bias=false", False),
        ("betas=0,0.9", (0.0, 0.9)),
        ("g_channels=8,8,4,4", (8, 8, 4, 4)),
        ("lr_milestones_kimg=", ()),
        ("d_optimizer=rmsprop", "rmsprop"),
    ],
)
def test_settings_are_typed(assignment: str, value: Any) -> None:
    from models.dcgan import DCGANOptions

    parsed = parse_settings(DCGANOptions, [assignment])
    assert parsed == {assignment.partition("=")[0]: value}
    assert type(next(iter(parsed.values()))) is type(value)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("lr_gg=1", "did you mean lr_g"),
        ("z_dim=many", "a whole number is needed"),
        ("g_bias=yes", "true or false"),
        ("betas=0.5", "a list such as"),
        ("d_optimizer=sgd", "one of adam, rmsprop"),
        ("z_dim", "NAME=VALUE"),
    ],
)
def test_bad_settings_say_what_is_needed(assignment: str, words: str) -> None:
    from models.dcgan import DCGANOptions

    with pytest.raises(UserError, match=words):
        parse_settings(DCGANOptions, [assignment])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch.compile's, of its own workings
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("variant", ["r1", "tiny"])
@pytest.mark.parametrize("kind", ["fp32", "bf16", "fp16"])
def test_on_a_gpu(
    make_trainer: TrainerMaker,
    store: Store,
    tmp_path: Path,
    kind: str,
    variant: str,
    compiled: bool,
) -> None:
    settings: dict[str, Any] = {"r1_interval": 2}
    if variant == "tiny":
        settings |= {"path_weight": 2.0, "path_interval": 3, "ops": "auto"}
    chosen = {"device": "cuda", "precision": kind, "compile": compiled}
    trainer = make_trainer(variant, settings, **chosen, kimg=0.064)
    assert precision.seconds_per_image(trainer.config, store) > 0
    poison(trainer, "D", lambda step: step == 4)
    result, run = run_to_end(trainer, tmp_path)
    assert result == "finished"
    assert run.rows(STATS)[-1]["nonfinite_steps"] + run.rows(STATS)[-1]["scaler_warmups"] >= 1
    assert all(tensor.isfinite().all() for tensor in trainer.weights().values())
    resumed = make_trainer(variant, settings, **chosen, kimg=1)
    resumed.load(load_checkpoint(run.path / "checkpoints", pytest.fail))
    for _ in range(4):
        resumed.step()
    assert resumed.nimg == 80
    assert resumed.weights_are_finite()
    assert loop.peak_memory_bytes(resumed.device)
