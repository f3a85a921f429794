"""The StyleGAN family: layers against the papers' equations, losses against closed forms."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.errors import UserError
from models.losses import r1_penalty
from models.registry import family
from models.stylegan import StyleGAN, StyleGANOptions
from models.stylegan.layers import Conv2d, Linear, minibatch_std
from models.stylegan.style2 import ResidualBlock, StyledConv, ToRGB
from ops.native import problem
from tests.conftest import TINY_STYLEGAN, TrainerMaker


def make_gan(**settings: Any) -> StyleGAN:
    torch.manual_seed(0)
    gan = family("stylegan").build(StyleGANOptions(**{**TINY_STYLEGAN, **settings}))
    assert isinstance(gan, StyleGAN)
    for name, parameter in gan.G.named_parameters():  # noise and biases start at 0: let them act
        if "noise" in name or "bias" in name:
            nn.init.normal_(parameter)
    return gan


@pytest.mark.parametrize("variant", ["compact", "compact-plain", "tiny"])
def test_maps_are_as_many_as_the_formula_says(variant: str) -> None:
    options = family("stylegan").resolve(variant, {})
    with torch.device("meta"):
        gan = family("stylegan").build(options)
    base, most = (1536, 96) if variant == "tiny" else (8192, 256)
    made = {conv.noise_map.shape[-1]: len(conv.bias) for conv in gan.G.synthesis.convs}
    assert made == {size: min(base // size, most) for size in (4, 8, 16, 32, 64)}
    assert gan.G.resolutions == (4, 8, 8, 16, 16, 32, 32, 64, 64, 64)


def test_variants_are_as_documented() -> None:
    resolve = family("stylegan").resolve
    compact, plain = resolve("compact", {}), resolve("compact-plain", {})
    assert next(iter(family("stylegan").variants)) == "compact"
    assert compact.diffaug
    assert not plain.diffaug
    assert (compact.z_dim, compact.w_dim, compact.mapping_layers) == (512, 512, 8)
    assert (compact.lr, compact.betas, compact.r1_interval) == (0.0025, (0.0, 0.99), 16)
    preset = family("stylegan").variants["compact"].training
    assert preset == {"batch": 64, "ema_kimg": 20.0, "mirror": True}


@pytest.mark.parametrize("up", [False, True])
def test_styled_convolution_is_the_papers(up: bool) -> None:
    """1912.04958 eq. 1 and 3: weights are scaled by the style and normalised, for each sample."""
    torch.manual_seed(0)
    layer = StyledConv(5, 7, 8, 6, up, "ref").double()
    x, style = torch.randn(3, 5, 4, 4).double(), torch.randn(3, 5).double()
    weight = layer.weight.transpose(0, 1) if up else layer.weight  # [7, 5, 3, 3]
    outputs = []
    for sample, scale in zip(x, style, strict=True):
        modulated = weight * scale[None, :, None, None]
        sums = modulated.square().sum((1, 2, 3), keepdim=True)
        modulated = modulated / sums.sqrt()
        if up:
            outputs.append(F.conv_transpose2d(sample[None], modulated.transpose(0, 1), stride=2))
        else:
            outputs.append(F.conv2d(sample[None], modulated, padding=1))
    torch.testing.assert_close(layer.convolve(x, style), torch.cat(outputs), rtol=1e-6, atol=1e-6)


def test_styled_convolution_keeps_unit_variance() -> None:
    torch.manual_seed(0)
    layer = StyledConv(64, 64, 32, 6, up=True, impl="ref")
    images = layer(torch.randn(4, 64, 16, 16), torch.randn(4, 6), "none")
    assert images.shape == (4, 64, 32, 32)
    # The low-pass removes part of the power of white noise, and the activation's gain makes up
    # for a normal input's loss: about 1, and far from the 9 * 64 of plain weights.
    assert 0.3 < images.square().mean() < 1.5


def test_noise_is_added_with_its_strength() -> None:
    torch.manual_seed(0)
    layer = StyledConv(4, 4, 8, 6, up=False, impl="ref")
    x, w = torch.randn(2, 4, 8, 8), torch.randn(2, 6)
    silent = layer(x, w, "none")
    assert torch.equal(layer(x, w, "const"), silent)  # the strength starts at 0
    nn.init.constant_(layer.noise_strength, 0.7)
    before_activation = layer.convolve(x, layer.affine(w)) + 0.7 * layer.noise_map
    expected = F.leaky_relu(before_activation, 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, "const"), expected)
    assert not torch.equal(layer(x, w, "random"), layer(x, w, "random"))


def test_to_rgb_is_a_modulated_convolution_without_normalisation() -> None:
    torch.manual_seed(0)
    layer = ToRGB(5, 6, "ref")
    x, w = torch.randn(2, 5, 8, 8), torch.randn(2, 6)
    style = layer.affine(w)
    expected = F.conv2d(x * style[:, :, None, None] / math.sqrt(5), layer.weight[:, :, None, None])
    torch.testing.assert_close(layer(x, w), expected, rtol=1e-5, atol=1e-5)


def test_weights_learn_at_an_equal_rate() -> None:
    """Whatever the width, the same weights give the same scale, and lr_multiplier slows down."""
    torch.manual_seed(0)
    for inputs in (16, 1024):
        outputs = Linear(inputs, 512, impl="ref")(torch.randn(64, inputs))
        assert outputs.std().item() == pytest.approx(1, rel=0.1)
    layers = [Linear(8, 8, lr_multiplier=m, impl="ref") for m in (1.0, 0.01)]
    with torch.no_grad():
        layers[1].weight.copy_(layers[0].weight / 0.01)
    moved = []
    for layer in layers:
        x = torch.ones(1, 8)
        before = layer(x)
        optimizer = torch.optim.Adam(layer.parameters(), 0.1, (0.0, 0.99))
        before.sum().backward()
        optimizer.step()
        moved.append((layer(x) - before).abs().mean().item())
    assert moved[1] == pytest.approx(0.01 * moved[0], rel=1e-3)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_halving_convolution_does_not_shift(kernel: int) -> None:
    """Mirrored images give mirrored maps, with mirrored weights."""
    torch.manual_seed(0)
    layer = Conv2d(3, 4, kernel, down=True, impl="ref")
    x = torch.randn(2, 3, 16, 16)
    expected = layer(x)
    assert expected.shape == (2, 4, 8, 8)
    layer.weight.data = layer.weight.flip(2, 3)
    torch.testing.assert_close(layer(x.flip(2, 3)).flip(2, 3), expected, rtol=1e-4, atol=1e-5)


def test_a_residual_block_keeps_the_variance() -> None:
    """Of a smooth input, which the low-pass lets through: one half from each path."""
    torch.manual_seed(0)
    block = ResidualBlock(32, 512, "ref")
    x = torch.randn(64, 32, 1, 1).expand(-1, -1, 16, 16)
    inside = (slice(None), slice(None), slice(2, 6), slice(2, 6))  # borders are padded with zeros
    assert block.skip(x)[inside].square().mean().item() == pytest.approx(0.5, rel=0.15)
    assert block(x)[inside].square().mean().item() == pytest.approx(1, rel=0.25)


def test_the_mapping_is_its_layers() -> None:
    gan = make_gan()
    z = gan.sample_z(5)
    x = z / z.square().mean(1, keepdim=True).sqrt()
    for layer in gan.G.mapping.layers:
        x = F.linear(x, layer.weight * 0.01 / math.sqrt(8), layer.bias * 0.01)
        x = math.sqrt(2) * torch.where(x > 0, x, 0.2 * x)
    torch.testing.assert_close(gan.G.mapping(z), x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("index", range(10))
def test_each_w_acts_where_it_should(index: int) -> None:
    """On the convolution of its number, and on the image of the resolution before it."""
    gan = make_gan()
    styled: list[tuple[nn.Module, Tensor]] = []
    synthesis = gan.G.synthesis
    for layer in (*synthesis.convs, *synthesis.to_rgb):
        layer.affine.register_forward_hook(
            lambda _, inputs, __, layer=layer: styled.append((layer, inputs[0]))
        )
    ws = gan.G.map(gan.sample_z(1)).detach()
    ws[:, index] += 1
    gan.G.synthesize(ws)
    moved = {layer for layer, w in styled if torch.equal(w, ws[:, index])}
    image = {1: 0, 3: 1, 5: 2, 7: 3, 9: 4}.get(index)
    expected = {synthesis.convs[index]} if index < 9 else set()
    assert moved == expected | ({synthesis.to_rgb[image]} if image is not None else set())


def test_images_are_summed_as_they_are() -> None:
    """A flat image of the first resolution, alone, comes out as flat and as bright."""
    gan = make_gan()
    with torch.no_grad():
        for to_rgb in gan.G.synthesis.to_rgb:
            to_rgb.weight.zero_()
            to_rgb.bias.zero_()
        gan.G.synthesis.to_rgb[0].bias.fill_(0.25)
    image = gan.G.synthesize(gan.G.map(gan.sample_z(1)))
    inside = image[:, :, 24:40, 24:40]  # borders are padded with zeros
    torch.testing.assert_close(inside, torch.full_like(inside, 0.25), rtol=1e-3, atol=1e-3)


def test_minibatch_deviation() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 3, 4, 4)
    appended = minibatch_std(x)
    assert appended.shape == (8, 4, 4, 4)
    assert torch.equal(appended[:, :3], x)
    for first in range(2):  # samples first, first + 2, ... are one group of four
        group = x[first::2]
        mean = group.mean(0)
        deviation = ((group - mean).square().mean(0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(
            appended[first::2, 3], deviation.expand(4, 4, 4), rtol=1e-5, atol=1e-6
        )
    assert minibatch_std(x[:1].repeat(4, 1, 1, 1))[:, 3].max() < 1e-3  # all alike
    assert minibatch_std(x[:6]).shape == (6, 4, 4, 4)  # groups of three


def test_truncation_and_latents() -> None:
    gan = make_gan()
    gan.G.w_avg.normal_()
    z = gan.sample_z(4)
    ws = gan.G.map(z)
    assert ws.shape == (4, len(gan.G.resolutions), 8)
    assert (ws == ws[:, :1]).all()
    torch.testing.assert_close(gan.G.map(z, 0.0), gan.G.w_avg.expand_as(ws))
    half = gan.G.map(z, 0.5, cutoff=3)
    torch.testing.assert_close(half[:, :3], (ws[:, :3] + gan.G.w_avg) / 2)
    assert torch.equal(half[:, 3:], ws[:, 3:])
    scaled = gan.G.map(7 * z)  # z counts by its direction alone
    torch.testing.assert_close(scaled, ws)


def test_styles_are_mixed_at_one_crossover() -> None:
    none = make_gan(mixing=0.0).styles(64)
    assert (none == none[:, :1]).all()
    ws = make_gan(mixing=1.0).styles(64)
    changes = (ws[:, 1:] != ws[:, :-1]).any(2).sum(1)
    assert (changes == 1).all()
    some = make_gan(mixing=0.9).styles(2000)
    share = (some != some[:, :1]).any(2).any(1).float().mean()
    assert share == pytest.approx(0.9, abs=0.03)


def test_mean_of_w_follows() -> None:
    gan = make_gan(mixing=0.0, w_avg_beta=0.9)
    torch.manual_seed(5)
    gan.g_loss(torch.zeros(4, 3, 64, 64))
    torch.manual_seed(5)
    mean = gan.G.mapping(gan.sample_z(4)).mean(0)
    torch.testing.assert_close(gan.G.w_avg, 0.1 * mean)


def test_losses_are_the_logistic_ones() -> None:
    gan = make_gan(diffaug=False)
    real = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        torch.manual_seed(1)
        loss, stats = gan.d_loss(real)
        torch.manual_seed(1)
        fake = gan.G.synthesize(gan.styles(4), "random")
        d_real, d_fake = gan.D(real).sigmoid(), gan.D(fake).sigmoid()
        torch.testing.assert_close(loss, -d_real.log().mean() - (1 - d_fake).log().mean())
        torch.testing.assert_close(stats["d_fake"], d_fake.mean())
        torch.manual_seed(1)
        loss, _ = gan.g_loss(real)
        torch.testing.assert_close(loss, -d_fake.log().mean())


def test_each_phase_moves_its_own_network() -> None:
    gan = make_gan(path_weight=2.0)
    owners = {"D": gan.D, "R1": gan.D, "G": gan.G, "path": gan.G}
    phases = gan.phases()
    assert [phase.name for phase in phases] == list(owners)
    for phase in phases:
        for module in (gan.G, gan.D):
            module.zero_grad()
        phase.loss(torch.randn(4, 3, 64, 64))[0].backward()
        moved = {
            module
            for module in (gan.G, gan.D)
            if any(p.grad is not None for p in module.parameters())
        }
        assert moved == {owners[phase.name]}, phase.name


def test_lazy_regularisation_makes_up_for_the_steps_left_out() -> None:
    gan = make_gan(r1_gamma=0.3, r1_interval=16, diffaug=False, path_weight=2.0)
    real = torch.randn(4, 3, 64, 64)
    torch.testing.assert_close(gan.r1(real)[0], 0.15 * 16 * r1_penalty(gan.D, real))
    d, r1, g, path = gan.phases()
    assert d.optimizer is r1.optimizer
    assert g.optimizer is path.optimizer
    assert (r1.interval, path.interval) == (16, 4)
    assert d.lr(0, 0) == r1.lr(0, 0) == pytest.approx(0.0025 * 16 / 17)
    assert d.optimizer.defaults["betas"] == pytest.approx((0, 0.99 ** (16 / 17)))
    assert g.lr(0, 0) == pytest.approx(0.0025 * 4 / 5)
    (_, unregularised) = make_gan(r1_gamma=0.0).phases()
    assert unregularised.lr(0, 0) == 0.0025
    assert unregularised.optimizer.defaults["betas"] == pytest.approx((0, 0.99))


def test_path_length_of_a_linear_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """With images = scale * w, each of w's 8 numbers on pixels of its own, |J^T y|^2 is a sum of
    squares of normal numbers: its mean over the layers is known.
    """
    gan = make_gan(path_weight=2.0)
    scale = 3.0

    def linear(ws: Tensor, noise: str) -> Tensor:
        pixels = ws.sum(1).repeat_interleave(3 * 64 * 64 // 8, dim=1)
        return scale * pixels.reshape(len(ws), 3, 64, 64)

    monkeypatch.setattr(gan.G, "synthesize", linear)
    loss, stats = gan.path_length(torch.zeros(512, 3, 64, 64))
    # y / 64 sums to N(0, 1536 / 4096) on each number's pixels; 8 of them, times scale squared.
    expected = math.sqrt(scale**2 * 8 * 1536 / 4096)
    assert stats["path_length"].item() == pytest.approx(expected, rel=0.1)
    assert gan.G.path_mean.item() == pytest.approx(0.01 * expected, rel=0.1)
    torch.testing.assert_close(loss, 2 * 4 * stats["path_penalty"])


def test_channels_last_changes_nothing() -> None:
    gan = make_gan()
    ws = gan.G.map(gan.sample_z(2))
    images = gan.G.synthesize(ws)
    logits = gan.D(images)
    for network in (gan.G, gan.D):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(gan.G.synthesize(ws), images, rtol=1e-4, atol=1e-4)
    moved = images.to(memory_format=torch.channels_last)
    torch.testing.assert_close(gan.D(moved), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", ["compact", "v1"])
def test_compiled_ops_change_nothing(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := problem("cpu"):
        pytest.skip(reason)
    for name in ("LEAST_TILES", "LEAST_PRODUCTS"):  # even convolutions as small as these
        monkeypatch.setattr(f"ops.conv2d.{name}", 0)
    settings = {name: TINY_STYLEGAN[name] for name in TINY_STYLEGAN if name != "ops"}
    gradients = []
    for ops in ("native", "ref"):
        torch.manual_seed(0)
        gan = family("stylegan").build(
            family("stylegan").resolve(variant, {**settings, "ops": ops, "path_weight": 2.0})
        )
        modules = [module.to(memory_format=torch.channels_last) for module in (gan.G, gan.D)]
        for name, parameter in gan.G.named_parameters():
            if "noise" in name or name.endswith("const"):  # v1 starts flat, and divides by its 0
                nn.init.normal_(parameter)
        real = torch.randn(4, 3, 64, 64)
        for phase in gan.phases():
            phase.loss(real)[0].backward()
        gradients.append({n: p.grad for m in modules for n, p in m.named_parameters()})
    native, ref = gradients
    for name in ref:
        torch.testing.assert_close(native[name], ref[name], rtol=1e-3, atol=1e-4, msg=name)


def test_low_precision_keeps_its_islands() -> None:
    gan = make_gan()
    seen: dict[str, Tensor] = {}

    def watch(name: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda _, __, output: seen.update({name: output}))

    watch("mapping", gan.G.mapping)
    watch("style", gan.G.synthesis.convs[3].affine)
    watch("maps", gan.G.synthesis.convs[3])
    watch("block", gan.D.blocks[0])
    watch("last", gan.D.conv)
    with torch.autocast("cpu", torch.bfloat16):
        images = gan.G(gan.sample_z(4))
        logits = gan.D(images)
        layer = StyledConv(4, 4, 8, 6, up=False, impl="ref")
        normalised = layer.convolve(torch.ones(1, 4, 8, 8), torch.full((1, 4), 1e6))
        low = gan.G.synthesis.convs[3](torch.full((1, 8, 8, 8), 1e4), torch.ones(1, 8), "none")
    assert {name: tensor.dtype for name, tensor in seen.items() if name != "maps"} == {
        "mapping": torch.float32,
        "style": torch.float32,
        "block": torch.bfloat16,
        "last": torch.float32,
    }
    # The size of a style has no effect, as long as its square is not lost in low precision.
    expected = layer.convolve(torch.ones(1, 4, 8, 8), torch.ones(1, 4))
    torch.testing.assert_close(normalised.float(), expected, rtol=0.02, atol=0.02)
    assert low.dtype == torch.bfloat16
    assert low.abs().max() == 256
    assert images.dtype == torch.float32
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("variant", ["compact", "tiny"])
def test_training_moves_everything_and_stays_finite(
    variant: str, precision: str, make_trainer: TrainerMaker
) -> None:
    settings = {"path_weight": 2.0, "path_interval": 2, "r1_interval": 2}
    trainer = make_trainer(variant, settings, precision=precision)
    before = {name: tensor.clone() for name, tensor in trainer.weights().items()}
    for _ in range(4):
        trainer.step()
    assert trainer.weights_are_finite()
    fixed = {name for name in before if name.endswith("noise_map")}
    for name, tensor in trainer.weights().items():
        assert torch.equal(before[name], tensor) == (name in fixed), name


def test_the_average_follows_the_buffers(make_trainer: TrainerMaker) -> None:
    trainer = make_trainer("compact")
    trainer.step()
    assert trainer.gan.G.w_avg.any()
    assert torch.equal(trainer.average.module.w_avg, trainer.gan.G.w_avg)


def test_synthesis_exports_with_any_number_of_images() -> None:
    gan = make_gan()
    gan.G.eval()
    ws = gan.G.map(gan.sample_z(3)).detach()
    count = torch.export.Dim("count", min=2)
    program = torch.export.export(
        gan.G.synthesis, (ws, "const"), dynamic_shapes={"ws": {0: count}, "noise": None}
    )
    more = gan.G.map(gan.sample_z(5)).detach()
    torch.testing.assert_close(
        program.module()(more, "const"), gan.G.synthesize(more), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "setting",
    [
        {"z_dim": 0},
        {"channel_base": 32},
        {"mixing": 1.5},
        {"betas": (0.0, 1.0)},
        {"lr": math.nan},
        {"r1_gamma": -1.0},
    ],
)
def test_options_that_cannot_work_are_refused_by_name(setting: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"--set {next(iter(setting))}"):
        StyleGANOptions(**setting)
