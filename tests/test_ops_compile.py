"""The fused ops inside PyTorch: its checks, its compiler, export, autocast and CUDA graphs; and
which implementation of an op runs.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad, gradcheck, gradgradcheck

from data.errors import MissingError
from ops import build, native
from ops.bias_act import ACTIVATIONS, bias_act
from ops.epilogue import epilogue
from ops.library import ops
from ops.upfirdn2d import binomial_filter, upfirdn2d

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """One with compiled ops."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if reason := native.problem(request.param):
        pytest.skip(reason)
    return request.param


class Layer(nn.Module):
    """A convolution, and each op once."""

    def __init__(self, impl: native.Impl = "auto") -> None:
        super().__init__()
        self.impl = impl
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        self.bias = nn.Parameter(torch.randn(4))
        self.strength = nn.Parameter(torch.tensor(0.3))
        self.register_buffer("filter", binomial_filter())

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        impl, f = self.impl, self.filter
        x = self.convolution(x)
        x = upfirdn2d(x, f, up=2, padding=(2, 1, 2, 1), gain=4, impl=impl)
        x = epilogue(x, self.bias, noise, self.strength, f, (2, 1, 2, 1), impl=impl)
        x = upfirdn2d(x, f, down=2, padding=1, impl=impl)
        return bias_act(x, self.bias, "swish", clamp=2.0, impl=impl)


def layer_and_inputs(
    impl: native.Impl, device: str = "cpu", batch: int = 2
) -> tuple[Layer, Tensor, Tensor]:
    torch.manual_seed(0)
    layer = Layer(impl).to(device)
    x = torch.randn(batch, 3, 8, 8, device=device, requires_grad=True)
    return layer, x, torch.randn(batch, 1, 16, 16, device=device)


# --- PyTorch's own checks ---


def variables(device: str, *shapes: tuple[int, ...]) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape, device=device, requires_grad=True) for shape in shapes]


def upfirdn2d_arguments(device: str) -> list[tuple[Any, ...]]:
    (x,) = variables(device, (2, 3, 7, 8))
    f, full = torch.randn(4, device=device), torch.randn(3, 2, device=device)
    last = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    return [
        (x, f, (2, 2), (1, 1), (2, 1, 2, 1), False, 4.0),
        (x, f, (1, 1), (2, 2), (1, 1, 1, 1), True, 1.0),
        (x, full, (2, 1), (1, 3), (-1, 3, 0, 2), False, 1.0),
        (last, f, (1, 1), (1, 1), (2, 1, 2, 1), False, 1.0),
    ]


def bias_act_arguments(device: str) -> list[tuple[Any, ...]]:
    x, b, flat = variables(device, (2, 3, 4, 5), (3,), (4, 3))
    common = (0.2, 1.3, 0.9)
    return [
        *[(x, b, act, *common) for act in ACTIVATIONS],
        (x.detach().mT.requires_grad_(), None, "lrelu", 0.2, 1.0, None),
        (flat, b, "tanh", *common),
    ]


def bias_act_backward_arguments(device: str) -> list[tuple[Any, ...]]:
    dy, saved, b = variables(device, (2, 3, 4, 5), (2, 3, 4, 5), (3,))
    return [
        (dy, saved, b, "swish", 0.2, 1.3, 0.9),
        (dy, saved, None, "swish", 0.2, 1.3, None),
        (dy, saved, None, "tanh", 0.2, 1.3, 0.9),
        (dy, saved, None, "lrelu", 0.2, 1.3, None),
    ]


def epilogue_arguments(device: str) -> list[tuple[Any, ...]]:
    x, noise, strength, b = variables(device, (2, 3, 7, 8), (2, 1, 7, 8), (), (3,))
    f = torch.randn(4, device=device)
    padding, settings = (2, 1, 2, 1), ("lrelu", 0.2, 1.3, 0.9)
    return [
        (x, f, padding, 1.0, noise, strength, b, *settings),
        (x, None, (0, 0, 0, 0), 1.0, None, None, None, *settings),
        (x, f, padding, 0.5, noise[:1].detach(), strength, None, "tanh", 0.2, 1.0, None),
    ]


ARGUMENTS = {
    "upfirdn2d": upfirdn2d_arguments,
    "bias_act": bias_act_arguments,
    "bias_act_backward": bias_act_backward_arguments,
    "epilogue": epilogue_arguments,
}


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck's own copies
@pytest.mark.parametrize("name", ARGUMENTS)
def test_opcheck(device: str, name: str) -> None:
    """Schema, registrations, shapes and layouts of fake tensors, and tracing with any sizes."""
    op = getattr(ops, name).default
    for arguments in ARGUMENTS[name](device):
        torch.library.opcheck(op, arguments)


def test_plain_torch_is_differentiable_twice() -> None:
    torch.manual_seed(0)
    x, b = torch.randn(1, 2, 3, 4).double(), torch.randn(2).double()
    noise, strength = torch.randn(1, 1, 3, 4).double(), torch.tensor(0.3).double()
    inputs = [tensor.requires_grad_() for tensor in (x, b, noise, strength)]
    f = binomial_filter((1, 2, 4))

    def layer(x: Tensor, b: Tensor, noise: Tensor, strength: Tensor) -> Tensor:
        x = epilogue(x, b, noise, strength, f, 1, act="tanh", clamp=0.7, impl="ref")
        return bias_act(upfirdn2d(x, f, 2, padding=2, impl="ref"), b, "swish", impl="ref")

    assert gradcheck(layer, inputs)
    assert gradgradcheck(layer, inputs)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: bias_act(x, torch.zeros(4), impl="native"), r"\[3\].*\[4\]"),
        (lambda x: bias_act(x, torch.zeros(3).double(), impl="native"), "Float.*Double"),
        (lambda x: epilogue(x, noise=x, strength=torch.ones(()), impl="native"), r"noise: .*\["),
        (lambda x: upfirdn2d(x, torch.ones(1, 1, 1), impl="native"), r"f: .*\[1, 1, 1\]"),
        (lambda x: ops.bias_act(x, None, "gelu", 0.2, 1.0, None), "swish.*gelu"),
        (lambda x: ops.bias_act(x[0, 0, 0], None, "relu", 0.2, 1.0, None), r"\[N, C.*\[5\]"),
    ],
)
def test_wrong_arguments_are_named(wrong: Callable[[Tensor], Tensor], message: str) -> None:
    if reason := native.problem("cpu"):
        pytest.skip(reason)
    with pytest.raises(RuntimeError, match=message):
        wrong(torch.zeros(2, 3, 4, 5))


# --- Compiler, export, autocast, CUDA graphs ---


def value_and_gradients(
    network: Callable[..., Tensor], layer: Layer, x: Tensor, noise: Tensor
) -> list[Tensor]:
    y = network(x, noise)
    return [y, *grad(y.square().sum(), [x, *layer.parameters()])]


def check_compiled(layer: Layer, inputs: list[Tensor], **options: Any) -> None:
    compiled = torch.compile(layer, fullgraph=True, **options)
    expected = value_and_gradients(layer, layer, *inputs)
    for got, one in zip(value_and_gradients(compiled, layer, *inputs), expected, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("impl", "dynamic"), [("ref", False), ("native", False), ("native", True)])
def test_compiled(device: str, impl: native.Impl, dynamic: bool) -> None:
    layer, *inputs = layer_and_inputs(impl, device)
    check_compiled(layer, inputs, backend="aot_eager", dynamic=dynamic)


@pytest.mark.slow
def test_compiled_to_machine_code(device: str) -> None:
    layer, *inputs = layer_and_inputs("native", device)
    check_compiled(layer, inputs)


@pytest.mark.parametrize("impl", ["ref", "native"])
def test_exported(device: str, impl: native.Impl) -> None:
    """With a batch of any size."""
    layer, *inputs = layer_and_inputs(impl, device)
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(layer, tuple(inputs), dynamic_shapes=(batch, batch))
    more = layer_and_inputs(impl, device, batch=5)[1:]
    torch.testing.assert_close(program.module()(*more), layer(*more))


@pytest.mark.parametrize("impl", ["ref", "native"])
def test_autocast(device: str, impl: native.Impl) -> None:
    """Ops take the convolution's dtype; parameters' gradients stay float32."""
    layer, *inputs = layer_and_inputs(impl, device)
    expected = value_and_gradients(layer, layer, *inputs)
    with torch.autocast(device, torch.bfloat16):
        y = layer(*inputs)
    assert y.dtype == torch.bfloat16
    got = grad(y.square().sum(dtype=torch.float32), [inputs[0], *layer.parameters()])
    for one, other in zip(got, expected[1:], strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() <= 0.05 * other.norm()


@pytest.mark.parametrize("impl", ["ref", "native"])
def test_autocast_leaves_float32_alone(device: str, impl: native.Impl) -> None:
    x, f = torch.randn(1, 3, 8, 8, device=device), binomial_filter().to(device)
    outside = upfirdn2d(x, f, impl=impl)
    with torch.autocast(device, torch.bfloat16):
        assert torch.equal(upfirdn2d(x, f, impl=impl), outside)


@pytest.mark.gpu
def test_cuda_graph() -> None:
    """A step with its gradients, captured once and replayed on other numbers."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if reason := native.problem("cuda"):
        pytest.skip(reason)
    layer, x, noise = layer_and_inputs("native", "cuda")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            value_and_gradients(layer, layer, x, noise)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        captured = value_and_gradients(layer, layer, x, noise)
    with torch.no_grad():
        x.copy_(torch.randn_like(x))
        noise.copy_(torch.randn_like(noise))
    graph.replay()
    for got, one in zip(captured, value_and_gradients(layer, layer, x, noise), strict=True):
        torch.testing.assert_close(got, one, rtol=1e-4, atol=1e-4)


# --- Which implementation runs ---


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which no op has run yet."""
    monkeypatch.setattr(native, "_taken", set())


@pytest.fixture
def no_compiler(taken: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def load(device: str) -> None:
        raise MissingError("no compiler: install one")

    monkeypatch.setattr(build, "load", load)
    native.problem.cache_clear()
    native._warn.cache_clear()
    yield
    native.problem.cache_clear()
    native._warn.cache_clear()


@pytest.mark.usefixtures("taken")
def test_what_ran_is_known(device: str) -> None:
    x = torch.zeros(1, 1, device=device)
    assert native.paths_taken() == ""
    bias_act(x)
    assert native.paths_taken() == "native"
    bias_act(x, impl="ref")
    assert native.paths_taken() == "native+ref"


@pytest.mark.usefixtures("taken")
def test_double_precision_is_plain_torch(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.zeros(1, 1).double()
    with pytest.raises(TypeError, match="float64 on cpu"):
        bias_act(x, impl="native")
    assert bias_act(x).dtype == torch.float64
    assert native.paths_taken() == "ref"
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_auto_is_plain_torch(capsys: pytest.CaptureFixture[str]) -> None:
    """And says so once."""
    for _ in range(3):
        bias_act(torch.zeros(1, 1))
    assert native.paths_taken() == "ref"
    (line,) = capsys.readouterr().err.splitlines()
    assert "no compiler: install one" in line
    with pytest.raises(MissingError, match="no compiler: install one"):
        bias_act(torch.zeros(1, 1), impl="native")
