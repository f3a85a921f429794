"""Compiled convolutions: values and derivatives against float64 mathematics, and when they run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torch import Tensor
from torch.autograd import grad
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from models.registry import family
from ops import native
from ops.conv2d import conv2d, conv_transpose2d
from ops.library import ops
from tests.conftest import TrainerMaker
from tests.test_resume import assert_same
from training.checkpoint import load_checkpoint, save_checkpoint

# Of the result's size; float32 has 6e-8, and points up to 2 in a polynomial of degree 5 cost more.
TOLERANCE = 2e-5
LAST = torch.channels_last


@pytest.fixture(autouse=True)
def compiled() -> Iterator[None]:
    """The compiled ops, on two threads even where tests run a core each."""
    if reason := native.problem("cpu"):
        pytest.skip(reason)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def whatever_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAST_TILES", "LEAST_PRODUCTS"):
        monkeypatch.setattr(f"ops.conv2d.{name}", 0)


class Conv(NamedTuple):
    """A convolution of [n, inputs, height, width]."""

    kernel: int
    stride: int
    padding: int
    inputs: int
    outputs: int
    size: tuple[int, int, int]

    def __str__(self) -> str:
        n, h, w = self.size
        return f"{self.kernel} by {self.stride}, {self.inputs}-{self.outputs}, {n}x{h}x{w}"

    def tensors(self) -> tuple[Tensor, Tensor]:
        """x and w, float64."""
        torch.manual_seed(0)
        n, height, width = self.size
        x = torch.randn(n, self.inputs, height, width, dtype=torch.float64)
        shape = (self.outputs, self.inputs, self.kernel, self.kernel)
        return x, torch.randn(shape, dtype=torch.float64)


CONVS = [
    Conv(3, 1, 1, 16, 16, (2, 8, 8)),
    Conv(3, 1, 1, 8, 24, (3, 9, 5)),  # tiles hang over the edge, channels fill no wide vector
    Conv(3, 1, 0, 32, 16, (1, 7, 12)),
    Conv(3, 1, 1, 16, 16, (2, 1, 3)),  # smaller than a tile
    Conv(3, 1, 1, 64, 48, (4, 32, 32)),  # many blocks
    Conv(5, 1, 2, 16, 32, (2, 9, 10)),
    Conv(5, 1, 0, 8, 8, (2, 6, 5)),
    Conv(4, 2, 1, 16, 32, (2, 16, 16)),
    Conv(4, 2, 1, 8, 16, (3, 10, 6)),
    Conv(4, 2, 0, 16, 16, (2, 15, 30)),  # the last pixels are not seen
    Conv(4, 2, 1, 32, 64, (8, 32, 32)),
]


def run(op: Callable[..., Tensor], conv: Conv, dtype: torch.dtype) -> list[Tensor]:
    """Value, gradients, and the gradients of a penalty on gradients."""
    x, w = (t.to(dtype, memory_format=LAST).requires_grad_() for t in conv.tensors())
    if op in (conv_transpose2d, F.conv_transpose2d):
        w = w.detach().transpose(0, 1).contiguous(memory_format=LAST).requires_grad_()
    y = op(x, w, None, conv.stride, conv.padding)
    dy = torch.linspace(-1, 2, y.numel(), dtype=dtype).reshape(y.shape).requires_grad_()
    first = grad((y * dy).sum(), [x, w], create_graph=True)
    penalty = sum(g.square().sum() for g in first) + first[0].pow(3).sum()
    return [y, *first, *grad(penalty, [x, w, dy])]


def check(got: list[Tensor], expected: list[Tensor]) -> None:
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.shape == theirs.shape
        if theirs.numel():
            error = (ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30)
            assert error < TOLERANCE


@pytest.mark.usefixtures("whatever_the_size")
@pytest.mark.parametrize("conv", CONVS, ids=str)
@pytest.mark.parametrize(
    ("ours", "plain"), [(conv2d, F.conv2d), (conv_transpose2d, F.conv_transpose2d)]
)
def test_values_and_two_derivatives(
    ours: Callable[..., Tensor], plain: Callable[..., Tensor], conv: Conv
) -> None:
    with Called() as called:
        got = run(ours, conv, torch.float32)
    assert called.names >= {"conv2d", "conv2d_input", "conv2d_weight"}
    check(got, run(plain, conv, torch.float64))


def test_no_images() -> None:
    x, w = torch.zeros(0, 16, 8, 8).to(memory_format=LAST), torch.randn(8, 16, 3, 3)
    y, dw = ops.conv2d(x, w, 1, 1), ops.conv2d_weight(x, torch.zeros(0, 8, 8, 8), 1, 1, 3)
    assert y.shape == (0, 8, 8, 8)
    assert ops.conv2d_input(y, w, 1, 1, (8, 8)).shape == x.shape
    assert torch.equal(dw, torch.zeros_like(w))


def test_comparisons_can_fail() -> None:
    x = torch.ones(3, dtype=torch.float64)
    check([x.float()], [x])
    with pytest.raises(AssertionError):
        check([x.float() + torch.tensor([0, 0, 1e-4])], [x])


@pytest.mark.parametrize("conv", CONVS[:1] + CONVS[6:7] + CONVS[8:9], ids=str)
def test_scipy_agrees(conv: Conv) -> None:
    x, w = conv.tensors()
    y = ops.conv2d(x.float(), w.float(), conv.stride, conv.padding)
    around = [(conv.padding, conv.padding)] * 2
    for image in range(len(x)):
        for channel in range(conv.outputs):
            padded = np.pad(x[image].numpy(), [(0, 0), *around])
            dense = correlate(padded, w[channel].numpy(), mode="valid")[0]
            expected = dense[:: conv.stride, :: conv.stride]
            np.testing.assert_allclose(y[image, channel].numpy(), expected, rtol=0, atol=2e-4)


def test_bias_is_added() -> None:
    x, w = worth_it()
    b = torch.randn(64)
    with Called() as calls:
        y = conv2d(x, w, b, 1, 1)
    assert calls.names == {"conv2d"}
    torch.testing.assert_close(y, F.conv2d(x, w, b, 1, 1), rtol=1e-3, atol=1e-3)


def test_layouts_do_not_matter() -> None:
    """To the op itself: inputs of any strides, results channels-last."""
    x, w = (t.float() for t in CONVS[1].tensors())
    expected = ops.conv2d(x, w, 1, 1)
    assert expected.is_contiguous(memory_format=LAST)
    strided = torch.stack([x, x], -1)[..., 0]
    for other in (x.contiguous(memory_format=LAST), strided, x.mT.contiguous().mT):
        for weights in (
            w,
            w.contiguous(memory_format=LAST),
            w.transpose(0, 1).clone().transpose(0, 1),
        ):
            assert torch.equal(ops.conv2d(other, weights, 1, 1), expected)


@pytest.mark.usefixtures("whatever_the_size")
def test_the_same_bits_each_time() -> None:
    """Else no resumed run were the run that was not interrupted."""
    with Called() as calls:
        first, second = (run(conv2d, CONVS[4], torch.float32) for _ in range(2))
    assert calls.names == {"conv2d", "conv2d_input", "conv2d_weight"}
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_a_nan_stays_in_its_image() -> None:
    x, w = (t.float() for t in CONVS[0].tensors())
    x[0, 3, 4, 4] = torch.nan
    y = ops.conv2d(x, w, 1, 1)
    assert y[0].isnan().any()
    assert not y[1].isnan().any()


# --- Which implementation runs ------------------------------------------------------------------


class Called(TorchDispatchMode):
    """Notes which of the compiled ops run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "gan_versus":
            self.names.add(func._schema.name.partition("::")[2])
            self.count += 1
        return func(*args, **(kwargs or {}))


def called(x: Tensor, w: Tensor, *arguments: Any) -> set[str]:
    with Called() as calls:
        conv2d(x, w, None, *arguments)
    return calls.names


def worth_it() -> tuple[Tensor, Tensor]:
    x, w = torch.randn(8, 64, 32, 32), torch.randn(64, 64, 3, 3)
    return x.to(memory_format=LAST), w.to(memory_format=LAST)


def repeated(w: Tensor, outputs: int, inputs: int) -> Tensor:
    return w.repeat(outputs, inputs, 1, 1).contiguous(memory_format=LAST)


def test_compiled_where_it_pays() -> None:
    x, w = worth_it()
    assert called(x, repeated(w, 4, 1), 1, 1) == {"conv2d"}
    assert called(x, w, 1, 1) == called(x, w, 1, 1, "native") == {"conv2d"}
    assert called(x.contiguous(), w, 1, 1) == {"conv2d"}
    with Called() as calls:
        conv_transpose2d(x, torch.randn(64, 64, 4, 4).to(memory_format=LAST), None, 2, 1)
    assert calls.names == {"conv2d_input"}


@pytest.mark.parametrize(
    "other",
    [
        lambda x, w: (x, w, 1, 1, "ref"),
        lambda x, w: (x, w.contiguous(), 1, 1),
        lambda x, w: (x.bfloat16(), w.bfloat16(), 1, 1),
        lambda x, w: (x.double(), w.double(), 1, 1),
        lambda x, w: (x, w, 2, 1),
        lambda x, w: (x, w[:, :, :1, :1], 1, 0),
        lambda x, w: (x, w[..., :1], 1, 1),
        lambda x, w: (x, w[:60], 1, 1),
        lambda x, w: (x[:, :3], w[:, :3], 1, 1),
        lambda x, w: (x[:1, :, :16, :16], repeated(w, 64, 1), 1, 1),  # few tiles
        lambda x, w: (x[:, :8], w[:8, :8], 1, 1),  # few products
        lambda x, w: (x.repeat(1, 16, 1, 1), repeated(w, 16, 16), 1, 1),  # too many weights
    ],
)
def test_plain_torch_where_not(other: Callable[..., tuple[Any, ...]]) -> None:
    x, w, stride, padding, *impl = other(*worth_it())
    if not w.is_contiguous():
        w = w.contiguous(memory_format=LAST)
    with Called() as calls:
        y = conv2d(x, w, None, stride, padding, *impl)
    assert calls.names == set()
    assert torch.equal(y, F.conv2d(x, w, None, stride, padding))


def test_what_torch_refuses_is_refused() -> None:
    x, w = torch.randn(64, 64, 4, 4), torch.randn(64, 64, 5, 5).to(memory_format=LAST)
    with pytest.raises(RuntimeError, match="kernel's size"):
        conv2d(x, w)


def test_plain_torch_in_low_precision_and_graphs() -> None:
    x, w = worth_it()
    with torch.autocast("cpu", torch.bfloat16):
        assert called(x, w, 1, 1) == set()

    class Layer(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return conv2d(x, w, None, 1, 1)

    batch = {"x": {0: torch.export.Dim("batch", min=2)}}
    program = torch.export.export(Layer(), (x,), dynamic_shapes=batch)
    assert not any("gan_versus" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x[:3]), F.conv2d(x[:3], w, None, 1, 1))


@pytest.mark.parametrize(("variant", "compiled"), [("tutorial", 3), ("sapienza", 4)])
def test_networks_take_the_option(variant: str, compiled: int) -> None:
    """`--set ops=ref` is plain torch, and the default the same images to within rounding."""
    images, counts = {}, {}
    for impl in ("ref", "auto"):
        torch.manual_seed(0)
        gan = family("dcgan").build(family("dcgan").resolve(variant, {"ops": impl}))
        gan.G.to(memory_format=LAST)
        with torch.no_grad(), Called() as calls:
            images[impl] = gan.G(gan.sample_z(64))
        counts[impl] = calls.count
    assert counts == {"ref": 0, "auto": compiled}
    torch.testing.assert_close(images["ref"], images["auto"], rtol=0, atol=1e-4)


@pytest.mark.usefixtures("whatever_the_size")
def test_a_resumed_run_is_the_uninterrupted_one(make_trainer: TrainerMaker, tmp_path: Path) -> None:
    settings = {"ops": "native", "r1_interval": 2}
    straight, resumed = (make_trainer("tiny", settings) for _ in range(2))
    with Called() as calls:
        straight.step()
    assert calls.names >= {"conv2d", "conv2d_input", "conv2d_weight"}
    save_checkpoint(tmp_path, straight.weights(), straight.state(), True)
    resumed.load(load_checkpoint(tmp_path, pytest.fail))
    for trainer in (straight, resumed):
        trainer.step()
        trainer.step()
    assert_same(resumed, straight)


# --- The ops themselves -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck's own copies
@pytest.mark.parametrize("conv", [CONVS[1], CONVS[9]], ids=str)
def test_opcheck(conv: Conv) -> None:
    x, w = (t.float().requires_grad_() for t in conv.tensors())
    y = F.conv2d(x, w, None, conv.stride, conv.padding).detach().requires_grad_()
    settings = (conv.stride, conv.padding)
    torch.library.opcheck(ops.conv2d.default, (x, w, *settings))
    torch.library.opcheck(ops.conv2d_input.default, (y, w, *settings, x.shape[2:]))
    torch.library.opcheck(ops.conv2d_weight.default, (x, y, *settings, conv.kernel))


def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


X, W = zeros(1, 8, 6, 6), zeros(16, 8, 3, 3)


@pytest.mark.parametrize(
    ("op", "arguments", "message"),
    [
        ("conv2d", (X[0], W, 1, 1), r"x: .*\[8, 6, 6\]"),
        ("conv2d", (X.bfloat16(), W, 1, 1), "x: .*BFloat16"),
        ("conv2d", (X[:, :, :1], W, 1, 0), r"x: .*kernel's size.*\[1, 8, 1, 6\]"),
        ("conv2d", (zeros(1, 16, 6, 6), W, 1, 1), r"x: .*8 channels.*\[1, 16"),
        ("conv2d", (X, W.double(), 1, 1), "w: .*Double"),
        ("conv2d", (X, W[..., :2], 1, 1), r"w: .*\[16, 8, 3, 2\]"),
        ("conv2d", (X, W[:15], 1, 1), r"w: .*multiples of 8.*\[15"),
        ("conv2d", (X[:, :0], W[:, :0], 1, 1), r"w: .*\[16, 0"),
        ("conv2d", (X, W, 2, 1), r"stride: .* and 2"),
        ("conv2d", (X, W, 0, 1), "stride, .* 0 and 1"),
        ("conv2d", (X, W, 1, -1), "padding: .* 1 and -1"),
        ("conv2d_input", (zeros(1, 16, 5, 6), W, 1, 1, (6, 6)), r"y: .*\[1, 16, 6, 6\]"),
        ("conv2d_input", (zeros(1, 16, 6, 6), W, 1, 1, (6, 6, 6)), "size: "),
        ("conv2d_weight", (X, zeros(2, 16, 6, 6), 1, 1, 3), r"y: .*\[1, 16, 6, 6\]"),
        ("conv2d_weight", (X, zeros(1, 16, 6, 6).double(), 1, 1, 3), "y: .*Double"),
    ],
)
def test_wrong_arguments_are_named(op: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        getattr(ops, op)(*arguments)
