"""The first StyleGAN: exact sizes, its layers against their definitions, growing."""

import copy
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.errors import UserError
from data.store import Store
from models.losses import r1_penalty
from models.registry import family, parameter_counts
from models.stylegan import StyleGAN, StyleGANOptions
from models.stylegan.style1 import DownConv, Growing, StyledLayer, adain, level_at
from tests.conftest import TINY_STYLEGAN, ConfigMaker, TrainerMaker
from tests.test_resume import assert_same
from training.checkpoint import load_checkpoint, save_checkpoint
from training.precision import seconds_per_image
from training.snapshot import load_snapshot, save_snapshot

GROWING = {"grow": True, "grow_kimg": 0.016}  # 16 images; 8 px fade in 16 px from the 17th on


def make_gan(**settings: Any) -> StyleGAN:
    torch.manual_seed(0)
    family_ = family("stylegan")
    gan = family_.build(family_.resolve("v1", {**TINY_STYLEGAN, **settings}))
    assert isinstance(gan, StyleGAN)
    for name, parameter in gan.G.named_parameters():  # noise and biases start at 0: let them act
        if "noise" in name or "bias" in name:
            nn.init.normal_(parameter)
    return gan


def grow_to(gan: StyleGAN, level: float) -> None:
    for network in (gan.G.synthesis, gan.D):
        assert isinstance(network, Growing)
        network.grow_to(level)


def enlarge(images: Tensor) -> Tensor:
    """To 64 px, by repeating pixels."""
    times = 64 // images.shape[3]
    return images.repeat_interleave(times, 2).repeat_interleave(times, 3)


def shrink(images: Tensor, times: int) -> Tensor:
    n, c, height, width = images.shape
    return images.reshape(n, c, height // times, times, width // times, times).mean((3, 5))


def blur(x: Tensor) -> Tensor:
    taps = torch.tensor([1.0, 2, 1]) / 4
    channels = x.shape[1]
    return F.conv2d(x, taps.outer(taps).expand(channels, 1, 3, 3), padding=1, groups=channels)


def test_parameters_are_exactly_the_published_ones() -> None:
    options = family("stylegan").resolve("v1", {})
    assert parameter_counts("stylegan", options) == (25_137_935, 22_498_049)


def test_the_variant_is_as_documented() -> None:
    options = family("stylegan").resolve("v1", {})
    assert (options.lr, options.betas) == (1e-3, (0.0, 0.99))
    assert (options.r1_gamma, options.r1_interval) == (10, 1)
    assert (options.mixing, options.w_avg_beta) == (0.9, 0.995)
    assert (options.grow, options.diffaug, options.path_weight) == (False, False, 0)
    preset = family("stylegan").variants["v1"].training
    assert preset == {"batch": 32, "ema_kimg": 10.0, "mirror": True}


def test_two_styles_act_at_each_resolution() -> None:
    gan = make_gan()
    assert gan.G.resolutions == (4, 4, 8, 8, 16, 16, 32, 32, 64, 64)
    ws = gan.G.map(gan.sample_z(2))
    assert ws.shape == (2, 10, 8)
    images = gan.G.synthesize(ws)
    assert images.shape == (2, 3, 64, 64)
    assert gan.D(images).shape == (2,)
    for layer in range(10):
        other = gan.G.mix(ws, ws.flip(0), [layer])
        assert not torch.allclose(gan.G.synthesize(other), images), layer


def test_adain_gives_each_map_the_styles_mean_and_deviation() -> None:
    torch.manual_seed(0)
    layer = StyledLayer(4, 6, 16, 8, up=True, impl="ref")
    for parameter in (layer.noise_strength, layer.bias, layer.style.bias):
        nn.init.normal_(parameter)
    w = torch.randn(3, 8)
    maps = layer(torch.randn(3, 4, 8, 8), w, "random")
    scale, shift = layer.style(w).chunk(2, dim=1)
    torch.testing.assert_close(maps.mean((2, 3)), shift, rtol=1e-4, atol=1e-5)
    deviation = maps.std((2, 3), correction=0)
    torch.testing.assert_close(deviation, (scale + 1).abs(), rtol=1e-4, atol=1e-5)


def test_adain_is_instance_norm_scaled_and_shifted() -> None:
    torch.manual_seed(0)
    x, scale, shift = torch.randn(3, 4, 8, 8) + 5, torch.randn(3, 4), torch.randn(3, 4)
    expected = F.instance_norm(x, eps=1e-8) * (scale + 1)[:, :, None, None]
    expected = expected + shift[:, :, None, None]
    torch.testing.assert_close(adain(x, scale, shift), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("up", [False, True])
def test_a_layer_is_what_the_paper_draws(up: bool) -> None:
    """[Repeated pixels,] convolution [, blur], noise, bias, leaky ReLU."""
    torch.manual_seed(0)
    layer = StyledLayer(4, 6, 16, 8, up, impl="ref")
    nn.init.normal_(layer.noise_strength)
    nn.init.normal_(layer.bias)
    x, w = torch.randn(3, 4, 8 if up else 16, 8 if up else 16), torch.randn(3, 8)
    assert layer.weight is not None
    weight = layer.weight * math.sqrt(2 / (4 * 9))
    if up:
        maps = F.conv2d(F.interpolate(x, 16), weight.transpose(0, 1).flip(2, 3), padding=1)
        maps = blur(maps)
    else:
        maps = F.conv2d(x, weight, padding=1)
    maps = maps + layer.noise_strength[:, None, None] * layer.noise_map
    maps = F.leaky_relu(maps + layer.bias[:, None, None], 0.2)
    expected = adain(maps, *layer.style(w).chunk(2, dim=1))
    torch.testing.assert_close(layer(x, w, "const"), expected, rtol=1e-4, atol=1e-4)


def test_a_halving_convolution_blurs_and_averages() -> None:
    torch.manual_seed(0)
    layer = DownConv(4, 6, "ref")
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, 16, 16)
    expected = shrink(F.conv2d(blur(x), layer.weight / 6, padding=1), 2)
    expected = F.leaky_relu(expected + layer.bias[:, None, None], 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_noise_and_styles_start_off() -> None:
    torch.manual_seed(0)
    layer = StyledLayer(4, 6, 8, 8, up=False, impl="ref")
    x, w = torch.randn(2, 4, 8, 8), torch.zeros(2, 8)
    assert torch.equal(layer(x, w, "random"), layer(x, w, "none"))
    deviation = layer(x, w, "none").std((2, 3), correction=0)
    torch.testing.assert_close(deviation, torch.ones(2, 6), rtol=1e-3, atol=1e-3)


# kimg: (the level: 1 is 8 px, 4 is 64 px; the batch of the step)
TABLE = {
    0: (1, 128),
    599: (1, 128),
    900: (1.5, 128),
    1200: (2, 128),
    1799: (2, 128),
    1800.5: (2 + 0.5 / 600, 64),
    2100: (2.5, 64),
    2400: (3, 64),
    3000: (3, 64),
    3000.5: (3 + 0.5 / 600, 32),
    3500: (3 + 5 / 6, 32),  # the run of 3,500 kimg ended with 64 px faded in by 83%
    3600: (4, 32),
    10_000: (4, 32),
}


@pytest.mark.parametrize("kimg", TABLE)
def test_networks_grow_by_the_sources_schedule(kimg: float) -> None:
    level, batch = TABLE[kimg]
    nimg = round(kimg * 1000)
    assert level_at(nimg, 600) == pytest.approx(level)
    gan = make_gan(grow=True)
    assert gan.schedule(nimg, 32) == batch
    assert gan.D.level.item() == gan.G.synthesis.level.item() == pytest.approx(level)


def test_networks_that_do_not_grow_are_whole_from_the_start() -> None:
    gan = make_gan()
    assert gan.schedule(0, 32) == 32
    assert gan.D.level.item() == 4
    with pytest.raises(UserError, match="--variant v1"):
        StyleGANOptions(grow=True)
    with pytest.raises(UserError, match="--set grow_kimg"):
        StyleGANOptions(network="style1", grow_kimg=0)


@pytest.mark.parametrize("top", [2, 3, 4])
def test_a_fade_begins_at_the_last_level_and_ends_at_the_next(top: int) -> None:
    gan = make_gan()
    ws = gan.G.map(gan.sample_z(4)).detach()
    real = torch.randn(4, 3, 64, 64)

    def at(level: float) -> tuple[Tensor, Tensor, Tensor]:
        grow_to(gan, level)
        return gan.G.synthesize(ws), gan.D(real), gan.fade(real)

    before, after = at(top - 1), at(top)
    times = 64 // (4 << top)
    assert torch.equal(before[0], enlarge(before[0][:, :, :: 2 * times, :: 2 * times]))
    assert torch.equal(after[0], enlarge(after[0][:, :, ::times, ::times]))
    coarse = enlarge(shrink(real, 2 * times))
    for level, expected in (
        (top - 1 + 1e-7, (*before[:2], coarse)),
        (top - 1e-7, after),
    ):
        torch.testing.assert_close(at(level), expected, rtol=1e-4, atol=1e-5)
    image, _, faded = at(top - 0.7)
    torch.testing.assert_close(image, 0.7 * before[0] + 0.3 * after[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(faded, 0.7 * coarse + 0.3 * real, rtol=1e-4, atol=1e-5)


def test_d_sees_no_more_than_its_resolution() -> None:
    gan = make_gan()
    real = torch.randn(4, 3, 64, 64)
    grow_to(gan, 2)
    torch.testing.assert_close(gan.D(real), gan.D(enlarge(shrink(real, 4))))
    assert not torch.allclose(gan.D(real), gan.D(enlarge(shrink(real, 8))))


def test_styles_are_mixed_among_those_that_act() -> None:
    gan = make_gan(mixing=1.0, grow=True)  # at 8 px
    ws = gan.styles(64)
    assert ((ws[:, 1:4] != ws[:, :3]).any(2).sum(1) == 1).all()


def test_r1_at_every_step_is_a_part_of_ds_loss() -> None:
    gan = make_gan()
    d, g = gan.phases()
    assert (d.name, g.name) == ("D", "G")
    assert (d.interval, d.lr(0, 0), d.optimizer.defaults["betas"]) == (1, 1e-3, (0.0, 0.99))
    real = torch.randn(4, 3, 64, 64)
    loss, stats = d.loss(real)
    torch.testing.assert_close(stats["r1_penalty"], r1_penalty(gan.D, real))
    torch.testing.assert_close(loss, stats["loss_d"] + 5 * stats["r1_penalty"])
    assert [phase.name for phase in make_gan(r1_interval=2).phases()] == ["D", "R1", "G"]
    assert "r1_penalty" not in make_gan(r1_gamma=0.0).d_loss(real)[1]


def test_r1_is_on_the_reals_that_d_sees() -> None:
    gan = make_gan(grow=True)
    gan.schedule(900_000, 32)
    real = torch.randn(4, 3, 64, 64)
    torch.testing.assert_close(gan.r1(real)[1]["r1_penalty"], r1_penalty(gan.D, gan.fade(real)))
    assert not torch.allclose(gan.r1(real)[0], 5 * r1_penalty(gan.D, real))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_moves_everything_and_stays_finite(
    precision: str, make_trainer: TrainerMaker
) -> None:
    trainer = make_trainer("v1", precision=precision)
    before = {name: tensor.clone() for name, tensor in trainer.weights().items()}
    for _ in range(4):
        trainer.step()
        assert all(len(p.optimizer.state) > 0 for p in trainer.phases)
    assert trainer.weights_are_finite()
    for name, tensor in trainer.weights().items():
        last = any(f"_rgb.{index}." in name for index in range(4))  # in use while growing alone
        fixed = name.endswith(("noise_map", "level", "path_mean")) or last
        assert torch.equal(before[name], tensor) == fixed, name


def test_a_growing_run_resumes_exactly(make_trainer: TrainerMaker, tmp_path: Path) -> None:
    training = {"batch": 2, "kimg": 0.12}
    uninterrupted = make_trainer("v1", GROWING, **training)
    seen = []  # (images, steps, level) after each step
    while uninterrupted.nimg < 120:
        uninterrupted.step()
        level = uninterrupted.gan.D.level.item()
        seen.append((uninterrupted.nimg, uninterrupted.steps, level))
        folder = tmp_path / str(uninterrupted.steps)
        save_checkpoint(folder, uninterrupted.weights(), uninterrupted.state(), True)
    batches = {after - before for before, after in pairwise([0, *(nimg for nimg, *_ in seen)])}
    assert batches == {2, 4, 8}
    assert {math.ceil(level) for _, _, level in seen} == {1, 2, 3, 4}
    assert seen[-1] == (120, len(seen), 4)
    for cut in (2, len(seen) // 2, len(seen) - 1):
        resumed = make_trainer("v1", GROWING, **training)
        resumed.load(load_checkpoint(tmp_path / str(cut), pytest.fail))
        assert (resumed.nimg, resumed.steps) == seen[cut - 1][:2]
        while resumed.nimg < uninterrupted.nimg:
            resumed.step()
        assert_same(resumed, uninterrupted)


def test_averages_and_snapshots_know_their_level(
    make_trainer: TrainerMaker, tmp_path: Path
) -> None:
    trainer = make_trainer("v1", GROWING, batch=2)
    z = trainer.gan.sample_z(2)
    sheet = trainer.sheet()
    assert torch.equal(sheet, enlarge(sheet[:, :, ::8, ::8]))  # 8 px
    while trainer.nimg < 32:
        trainer.step()
    trainer.sheet()
    assert trainer.average.module.synthesis.top == 2
    save_snapshot(tmp_path, trainer)
    loaded = load_snapshot(tmp_path / f"{trainer.nimg:09d}.safetensors")
    assert torch.equal(loaded.G(z), trainer.average.module(z))
    clone = copy.deepcopy(trainer.gan.G).eval()
    assert torch.equal(clone(z), trainer.gan.G.eval()(z))


def test_a_growing_network_is_timed_as_it_ends(
    make_config: ConfigMaker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watch(self: StyleGAN, real: Tensor) -> Any:
        seen.append((len(real), self.D.level.item()))
        return d_loss(self, real)

    d_loss = StyleGAN.d_loss
    monkeypatch.setattr(StyleGAN, "d_loss", watch)
    assert seconds_per_image(make_config("v1", GROWING, kimg=0.2), store) > 0
    assert set(seen) == {(4, 4.0)}


def test_synthesis_exports_at_its_level() -> None:
    gan = make_gan()
    grow_to(gan, 2.5)
    gan.G.eval()
    ws = gan.G.map(gan.sample_z(2)).detach()
    program = torch.export.export(gan.G.synthesis, (ws, "const"))
    torch.testing.assert_close(
        program.module()(ws, "const"), gan.G.synthesize(ws), rtol=1e-4, atol=1e-4
    )
