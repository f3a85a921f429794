"""The fused ops: values, gradients and second gradients against float64 mathematics."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from ops import native
from ops.bias_act import ACTIVATIONS, bias_act
from ops.epilogue import epilogue
from ops.upfirdn2d import binomial_filter, upfirdn2d
from tests.op_references import (
    FORMS,
    BiasAct,
    Fir,
    matrix,
    resample,
    resample_by_axes,
    resample_fully,
)

# Allowed errors of values, gradients and second gradients: relative to each number, and to the
# largest beside it or 1. Half precision derives from stored outputs, and rounds each factor.
TOLERANCES = {
    torch.float64: (1e-12, 1e-12, 1e-12),
    torch.float32: (2e-6, 4e-6, 1e-5),
    torch.float16: (1e-3, 2e-3, 3e-3),
    torch.bfloat16: (1e-2, 2e-2, 3e-2),
}
VALUE, GRADIENT, SECOND = range(3)


class Path(NamedTuple):
    """One implementation of an op, on one device, in one dtype."""

    impl: native.Impl
    device: str
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.impl}-{self.device}-{str(self.dtype).removeprefix('torch.')}"

    def tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, self.dtype)

    def constant(self, array: np.ndarray | None) -> Tensor | None:
        """A bias, a filter, noise: float32 beside half precision."""
        if array is None:
            return None
        dtype = torch.promote_types(self.dtype, torch.float32)
        return torch.from_numpy(array).to(self.device, dtype)


PATHS = [
    Path("ref", "cpu", torch.float64),
    Path("ref", "cpu", torch.float32),
    Path("ref", "cpu", torch.bfloat16),
    Path("native", "cpu", torch.float32),
    Path("native", "cpu", torch.bfloat16),
    Path("ref", "cuda", torch.float32),
    Path("native", "cuda", torch.float32),
    Path("native", "cuda", torch.float16),
    Path("native", "cuda", torch.bfloat16),
]


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Kernels share out their work even where the tests themselves run a core each."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def parameters(paths: list[Path]) -> list[Any]:
    gpu = {"cpu": (), "cuda": pytest.mark.gpu}
    return [pytest.param(path, id=str(path), marks=gpu[path.device]) for path in paths]


def available(path: Path) -> Path:
    if path.device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if path.impl == "native" and (reason := native.problem(path.device)):
        pytest.skip(reason)
    return path


@pytest.fixture(params=parameters(PATHS))
def path(request: pytest.FixtureRequest) -> Path:
    return available(request.param)


@pytest.fixture(params=parameters([path for path in PATHS if path.impl == "native"]))
def native_path(request: pytest.FixtureRequest) -> Path:
    return available(request.param)


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()


def check(got: Tensor, expected: np.ndarray, dtype: torch.dtype, order: int) -> None:
    tolerance = TOLERANCES[dtype][order]
    largest = np.abs(expected).max(initial=1)
    np.testing.assert_allclose(numpy(got), expected, rtol=tolerance, atol=tolerance * largest)


@pytest.mark.parametrize("order", [VALUE, GRADIENT, SECOND])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_comparisons_can_fail(dtype: torch.dtype, order: int) -> None:
    check(torch.tensor([1.0, -1.0]), np.array([1, -1]), dtype, order)
    with pytest.raises(AssertionError):
        check(torch.tensor([1.07, -1.0]), np.array([1, -1]), dtype, order)


# --- upfirdn2d ---

FIRS = {
    "one tap": Fir((1,)),
    "blur": Fir((4,), padding=(2, 1, 2, 1)),
    "blur, long": Fir((12,), padding=(6, 5, 6, 5)),
    "blur, odd": Fir((3,), padding=(1, 1, 1, 1), flip=True),
    "blur, full": Fir((4, 4), padding=(1, 2, 1, 2)),
    "up 2": Fir((4,), (2, 2), padding=(2, 1, 2, 1), gain=4.0),
    "up 2, full": Fir((4, 4), (2, 2), padding=(2, 1, 2, 1), gain=4.0),
    "up 3": Fir((6,), (3, 3), padding=(3, 2, 3, 2), flip=True),
    "down 2": Fir((4,), (1, 1), (2, 2), (1, 1, 1, 1)),
    "down 2, full": Fir((4, 4), (1, 1), (2, 2), (1, 1, 1, 1)),
    "down 3": Fir((5,), (1, 1), (3, 3), (4, 3, 4, 3)),
    "up and down": Fir((3, 5), (2, 1), (1, 3), (1, 2, 4, 3), True, 0.5),
    "up 3, down 2": Fir((5,), (3, 3), (2, 2), (2, 3, 1, 4)),
    "two ways": Fir((4,), (2, 3), (3, 2), (5, 0, 3, 2), gain=2.0),
    "crop": Fir((2,), (3, 2), (1, 1), (-1, -2, 2, -1)),
    "crop, full": Fir((2, 1), (2, 2), (1, 2), (-1, 2, 0, -1), flip=True),
    "wide padding": Fir((2, 3), padding=(9, 0, 0, 11)),
    "wider than tall": Fir((1, 7), padding=(0, 0, 3, 3)),
}
SHAPES = [(2, 3, 8, 8), (1, 1, 5, 2), (2, 5, 7, 9), (1, 17, 21, 34), (2, 32, 16, 16)]


def run_fir(x: Tensor, fir: Fir, path: Path) -> Tensor:
    f = path.constant(fir.filter())
    return upfirdn2d(x, f, *fir[1:], impl=path.impl)


def outputs(fir: Fir, h: int, w: int) -> int:
    rows = (h * fir.up[0] + sum(fir.padding[:2]) - fir.taps[0]) // fir.down[0] + 1
    columns = (w * fir.up[1] + sum(fir.padding[2:]) - fir.taps[-1]) // fir.down[1] + 1
    return min(rows, columns)


FITTING = [
    pytest.param(fir, shape, id=f"{name}-{shape}")
    for (name, fir), shape in itertools.product(FIRS.items(), SHAPES)
    if outputs(fir, *shape[2:]) >= 1
]


@pytest.mark.parametrize(("fir", "shape"), FITTING)
def test_resampled_values(path: Path, fir: Fir, shape: tuple[int, ...]) -> None:
    x = path.tensor(random(0, *shape))
    y = run_fir(x, fir, path)
    assert y.dtype == path.dtype
    check(y, resample(numpy(x), fir), path.dtype, VALUE)


@pytest.mark.parametrize("name", FIRS)
def test_derivatives_of_resampling(path: Path, name: str) -> None:
    """Of y = A x: the gradient is A' dy, and that one's by dy is A again."""
    fir, h, w = FIRS[name], 6, 7
    A = matrix(fir, h, w)
    x = path.tensor(random(0, 2, 3, h, w)).requires_grad_()
    y = run_fir(x, fir, path)
    dy = path.tensor(random(1, *y.shape)).requires_grad_()
    v = path.tensor(random(2, *x.shape))
    (dx,) = grad(y, x, dy, create_graph=True)
    (ddy,) = grad(dx, dy, v)
    by_rows = numpy(dy).reshape(6, -1) @ A
    check(dx, by_rows.reshape(x.shape), path.dtype, GRADIENT)
    check(ddy, (numpy(v).reshape(6, -1) @ A.T).reshape(y.shape), path.dtype, GRADIENT)


@pytest.mark.parametrize("name", FIRS)
def test_resampling_and_its_gradient_are_adjoint(path: Path, name: str) -> None:
    """<A x, dy> = <x, A' dy>, on maps too large for a matrix."""
    fir = FIRS[name]
    x = path.tensor(random(0, 3, 20, 33, 30)).requires_grad_()
    y = run_fir(x, fir, path)
    dy = path.tensor(random(1, *y.shape))
    (dx,) = grad(y, x, dy)
    forward, backward = (numpy(y) * numpy(dy)).sum(), (numpy(x) * numpy(dx)).sum()
    scale = np.linalg.norm(numpy(y)) * np.linalg.norm(numpy(dy))
    assert forward == pytest.approx(backward, abs=TOLERANCES[path.dtype][VALUE] * scale)


def test_the_two_references_agree() -> None:
    x = random(0, 2, 3, 6, 7)
    for fir in FIRS.values():
        if len(fir.taps) == 1:
            f = fir.filter().astype(np.float64)
            full, by_axes = resample_fully(x, np.outer(f, f), fir), resample_by_axes(x, f, fir)
            np.testing.assert_allclose(full, by_axes, rtol=1e-9, atol=1e-12)


def test_comparisons_notice_small_defects(path: Path) -> None:
    right = Fir((4,), (2, 2), padding=(2, 1, 2, 1), gain=4.0)
    x = path.tensor(random(0, 1, 2, 6, 6))
    expected = resample(numpy(x), right)
    check(run_fir(x, right, path), expected, path.dtype, VALUE)
    defects = {"flip": True, "gain": 4.2, "padding": (1, 2, 2, 1)}
    for setting, value in defects.items():
        wrong = run_fir(x, right._replace(**{setting: value}), path)
        with pytest.raises(AssertionError):
            check(wrong, expected, path.dtype, VALUE)


def test_binomial_filters_keep_the_mean() -> None:
    assert binomial_filter().tolist() == [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    assert binomial_filter((1, 2, 1)).sum() == 1


@pytest.mark.parametrize("impl", ["ref", "native"])
def test_nothing_left_of_an_image_is_refused(impl: native.Impl) -> None:
    with pytest.raises(ValueError, match=r"\[4\].*\[1, 1, 2, 2\]"):
        upfirdn2d(torch.zeros(1, 1, 2, 2), binomial_filter(), impl=impl)
    with pytest.raises(ValueError, match=r"\[4\].*\[1, 1, 2, 2\]"):
        epilogue(torch.zeros(1, 1, 2, 2), f=binomial_filter(), impl=impl)


# --- bias_act ---


class Setting(NamedTuple):
    """Of bias_act; 0.7 is no number of half precision, which must clamp all the same."""

    bias: bool = True
    gain: float = 1.3
    clamp: float | None = None


SETTINGS = [Setting(), Setting(bias=False), Setting(clamp=0.7), Setting(False, 1.0, 0.7)]
ANY_RANK = [(4, 7), (3, 5, 11), (2, 3, 5, 7), (1, 1, 1, 1), (2, 17, 31, 33), (2, 3, 2, 3, 4)]
ALPHA = 0.2


@pytest.mark.parametrize("shape", ANY_RANK, ids=str)
@pytest.mark.parametrize("act", FORMS)
def test_activations(path: Path, act: str, shape: tuple[int, ...]) -> None:
    check_bias_act(path, act, Setting(clamp=0.7), shape)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("act", FORMS)
def test_settings_of_activations(path: Path, act: str, setting: Setting) -> None:
    check_bias_act(path, act, setting, (3, 8, 9, 16))


def check_bias_act(path: Path, act: str, setting: Setting, shape: tuple[int, ...]) -> None:
    """Value, gradient and second gradient."""
    x = path.tensor(random(0, *shape)).requires_grad_()
    b = path.constant(random(1, shape[1])).requires_grad_() if setting.bias else None
    y = bias_act(x, b, act, ALPHA, setting.gain, setting.clamp, path.impl)
    by_hand = BiasAct(
        numpy(x), None if b is None else numpy(b), act, ALPHA, setting.gain, setting.clamp
    )
    check(y, by_hand.y, path.dtype, VALUE)

    inputs = [x] if b is None else [x, b]
    dy = path.tensor(random(2, *shape) * by_hand.sure).requires_grad_()
    gradients = grad(y, inputs, dy, create_graph=True)
    for got, expected in zip(gradients, by_hand.backward(numpy(dy)), strict=False):
        check(got, expected, path.dtype, GRADIENT)

    u = path.tensor(random(3, *shape))
    w = path.constant(random(4, shape[1]) * setting.bias)
    product = sum(
        (gradient * with_).sum(dtype=torch.float64)
        for gradient, with_ in zip(gradients, (u, w), strict=False)
    )
    seconds = grad(product, [dy, *inputs], materialize_grads=True)
    d_dy, d_x, d_b = by_hand.backward_twice(numpy(dy), numpy(u), numpy(w))
    check(seconds[0] * path.tensor(by_hand.sure), d_dy * by_hand.sure, path.dtype, SECOND)
    for got, expected in zip(seconds[1:], (d_x, d_b), strict=False):
        check(got, expected, path.dtype, SECOND)


@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("act", FORMS)
def test_numbers_that_are_not_finite(path: Path, act: str, clamp: float | None) -> None:
    """Also in the vectors' midst; swish of minus infinity is infinity times zero: anything."""
    numbers = [np.nan, np.inf, 1.0, 1.0 if act == "swish" else -np.inf]
    x = path.tensor(np.array([numbers * 9]))
    y = bias_act(x, None, act, clamp=clamp, impl=path.impl)
    expected = bias_act(x.cpu().double(), None, act, clamp=clamp, impl="ref")
    assert y.isnan().sum() == 9
    tolerance = TOLERANCES[path.dtype][VALUE]
    np.testing.assert_allclose(numpy(y), numpy(expected), tolerance, 1e-30)


def test_gains_are_the_activations_own(path: Path) -> None:
    x = path.tensor(random(0, 2, 3))
    for act, activation in ACTIVATIONS.items():
        default, given = (bias_act(x, None, act, gain=g, impl=path.impl) for g in (None, 1.0))
        check(default, numpy(given) * activation.gain, path.dtype, VALUE)


# --- epilogue ---


class Layer(NamedTuple):
    """What an epilogue is made of; the noise is of "each" sample or one for "all"."""

    fir: Fir | None = None
    noise: str | None = "each"
    bias: bool = True
    act: str = "lrelu"
    clamp: float | None = None
    shape: tuple[int, ...] = (2, 3, 5, 6)

    def __str__(self) -> str:
        taps = self.fir and f"{self.fir.taps} {self.fir.padding}"
        noise, bias = f"noise {self.noise}", f"bias {self.bias}"
        return f"{self.shape}, {taps}, {noise}, {bias}, {self.act}, {self.clamp}"


BLUR = Fir((4,), padding=(2, 1, 2, 1), gain=2.0)
LAYERS = [
    *[Layer(BLUR, act=act, clamp=0.7) for act in FORMS if act != "swish"],
    Layer(BLUR, shape=(2, 17, 9, 11)),
    Layer(BLUR, shape=(3, 8, 1, 1)),
    Layer(BLUR, shape=(1, 16, 16, 16)),
    Layer(BLUR, "all"),
    Layer(BLUR, None),
    Layer(BLUR, None, False, "linear"),
    Layer(None, act="tanh", clamp=0.7),
    Layer(None, "all", False),
    Layer(None, None),
    Layer(None, None, shape=(2, 12, 8, 8)),
    Layer(Fir((4, 3), padding=(1, 1, 2, 0), gain=0.5), act="tanh"),
    Layer(Fir((7, 7), padding=(3, 3, 3, 3)), act="sigmoid"),
    Layer(Fir((2,), padding=(-1, 2, 3, -2))),
    Layer(Fir((12,), padding=(6, 5, 5, 6))),
]
GAIN = 1.3


class Inputs(NamedTuple):
    x: Tensor
    b: Tensor | None
    noise: Tensor | None
    strength: Tensor | None

    @classmethod
    def of(cls, layer: Layer, path: Path) -> "Inputs":
        x = random(0, *layer.shape)
        _, _, h, w = (x if layer.fir is None else resample(x, layer.fir)).shape
        noise = random(2, 1 if layer.noise == "all" else len(x), 1, h, w) if layer.noise else None
        return cls(
            path.tensor(x).requires_grad_(),
            path.constant(random(1, x.shape[1])).requires_grad_() if layer.bias else None,
            None if noise is None else path.constant(noise).requires_grad_(),
            None if noise is None else path.constant(np.array(0.4)).requires_grad_(),
        )

    def given(self) -> list[Tensor]:
        return [tensor for tensor in self if tensor is not None]

    def in_double(self) -> "Inputs":
        return Inputs(
            *(None if t is None else t.detach().cpu().double().requires_grad_() for t in self)
        )


def run_epilogue(inputs: Inputs, layer: Layer, path: Path) -> Tensor:
    f = None if layer.fir is None else path.constant(layer.fir.filter())
    padding, fir_gain = (layer.fir.padding, layer.fir.gain) if layer.fir else (0, 1.0)
    return epilogue(*inputs, f, padding, fir_gain, layer.act, ALPHA, GAIN, layer.clamp, path.impl)


TORCH_FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda v: v,
    "relu": lambda v: v.maximum(torch.zeros_like(v)),
    "lrelu": lambda v: v.maximum(ALPHA * v),
    "tanh": torch.tanh,
    "sigmoid": lambda v: 1 / (1 + torch.exp(-v)),
}


def composite(inputs: Inputs, layer: Layer) -> Tensor:
    """The epilogue in float64, with a matrix for its filter: torch differentiates it twice."""
    x, b, noise, strength = inputs
    if layer.fir is not None:
        n, c, h, w = x.shape
        A = torch.from_numpy(matrix(layer.fir, h, w))
        size = resample(np.zeros((1, 1, h, w)), layer.fir).shape[2:]
        x = (x.reshape(n * c, -1) @ A.T).reshape(n, c, *size)
    if noise is not None:
        x = x + noise * strength
    if b is not None:
        x = x + b[:, None, None]
    y = GAIN * TORCH_FORMS[layer.act](x)
    return y if layer.clamp is None else y.clamp(-layer.clamp, layer.clamp)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_epilogues(path: Path, layer: Layer) -> None:
    inputs = Inputs.of(layer, path)
    exact = inputs.in_double()
    y, expected = run_epilogue(inputs, layer, path), composite(exact, layer)
    assert y.dtype == path.dtype
    check(y, numpy(expected), path.dtype, VALUE)
    dy = path.tensor(random(5, *y.shape) * far_from_kinks(exact, layer))
    gradients = grad(y, inputs.given(), dy)
    for got, by_torch in zip(
        gradients, grad(expected, exact.given(), dy.double().cpu()), strict=True
    ):
        check(got, numpy(by_torch), path.dtype, GRADIENT)


def far_from_kinks(exact: Inputs, layer: Layer) -> np.ndarray:
    """Where rounding does not decide which derivative is taken."""
    size = np.abs(numpy(composite(exact, layer._replace(clamp=None))))
    beside_zero = (size <= 0.02) & (layer.act in ("relu", "lrelu"))
    return ~beside_zero & (np.abs(size - (layer.clamp or np.inf)) > 0.02)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_penalties_on_gradients_of_epilogues(
    path: Path, layout: torch.memory_format, layer: Layer
) -> None:
    """|dS/dx|^2, as in R1, by everything that it depends on."""
    if path.dtype.itemsize < 4:
        pytest.skip("a penalty on gradients is taken in full precision")
    inputs = Inputs.of(layer, path)
    exact = inputs.in_double()
    arranged = inputs._replace(x=inputs.x.contiguous(memory_format=layout))
    penalties = []
    for given, y in (
        (arranged, run_epilogue(arranged, layer, path)),
        (exact, composite(exact, layer)),
    ):
        (dx,) = grad(y.square().sum(), given.x, create_graph=True)
        penalties.append(grad(dx.square().sum(), given.given()))
    for got, expected in zip(*penalties, strict=True):
        check(got, numpy(expected), path.dtype, SECOND)


# --- whatever the op ---


class Call(NamedTuple):
    """An op as a function of one image and the path: for what every op has to get right."""

    name: str
    run: Callable[[Tensor, Path], Tensor]


def call_of_fir(name: str) -> Call:
    return Call(name, lambda x, path: run_fir(x, FIRS[name], path))


def call_bias_act(x: Tensor, path: Path) -> Tensor:
    b = path.constant(random(1, x.shape[1]))
    return bias_act(x, b, "swish", impl=path.impl)


def call_epilogue(x: Tensor, path: Path) -> Tensor:
    b, noise = (path.constant(random(1, *size)) for size in ([x.shape[1]], [1, 1, *x.shape[2:]]))
    strength, f = path.constant(np.array(0.4)), path.constant(FIRS["blur"].filter())
    return epilogue(x, b, noise, strength, f, (2, 1, 2, 1), act="tanh", impl=path.impl)


CALLS = [
    *map(call_of_fir, ["blur", "blur, full", "up 2", "down 2", "two ways"]),
    Call("bias_act", call_bias_act),
    Call("epilogue", call_epilogue),
]
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "rows and columns exchanged": lambda x: x.mT.contiguous().mT,
    "samples and channels exchanged": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "every other row": lambda x: x.repeat_interleave(2, 2)[:, :, ::2],
    "every other column": lambda x: x.repeat_interleave(2, 3)[..., ::2],
    "half of the channels": lambda x: torch.cat([x, x], 1)[:, : x.shape[1]],
    "half of the last channels": lambda x: torch.cat([x, x], 1).contiguous(
        memory_format=torch.channels_last
    )[:, : x.shape[1]],
    "not aligned": lambda x: torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape),
    "one sample expanded": lambda x: x[:1].expand_as(x),
    "one number expanded": lambda x: x[:1, :1, :1, :1].expand_as(x),
}


def forward_and_backward(
    call: Call, x: Tensor, dy: Callable[[Tensor], Tensor], path: Path
) -> tuple[Tensor, Tensor]:
    """The output, and the gradient with `dy` in a layout."""
    x = x.detach().requires_grad_()
    y = call.run(x, path)
    gradient = path.tensor(random(7, *y.shape))
    return y.detach(), grad(y, x, dy(gradient))[0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_layouts_do_not_matter(path: Path, call: Call, layout: str) -> None:
    """Neither those of inputs nor those of gradients; channels-last stays channels-last."""
    arrange = LAYOUTS[layout]
    x = arrange(path.tensor(random(0, 3, 10, 7, 9)))
    y, dx = forward_and_backward(call, x, arrange, path)
    same_y, same_dx = forward_and_backward(
        call, x.contiguous(), lambda dy: arrange(dy).contiguous(), path
    )
    check(y, numpy(same_y), path.dtype, VALUE)
    check(dx, numpy(same_dx), path.dtype, GRADIENT)
    if layout == "channels last":
        assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(0, 3, 6, 7), (2, 0, 6, 7)], ids=str)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_empty_tensors(path: Path, call: Call, shape: tuple[int, ...]) -> None:
    """A batch of no samples, or of no channels."""
    x = path.tensor(np.zeros(shape)).requires_grad_()
    y = call.run(x, path)
    assert y.shape[:2] == shape[:2]
    assert y.shape[2:] == call.run(path.tensor(np.zeros((1, 1, 6, 7))), path).shape[2:]
    (dx,) = grad(y.square().sum(), x, create_graph=True)
    assert dx.shape == x.shape
    assert grad(dx.sum(), x, materialize_grads=True)[0].shape == x.shape


def test_sums_over_no_samples_are_zero(path: Path) -> None:
    b = path.constant(np.ones(3)).requires_grad_()
    y = bias_act(path.tensor(np.zeros((0, 3))), b, impl=path.impl)
    assert grad(y.sum(), b)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_inputs_stay_and_results_repeat(path: Path, call: Call) -> None:
    """Bit for bit, also where threads share the work."""
    x = path.tensor(random(0, 4, 32, 40, 40))
    before = x.clone()
    first, again = (forward_and_backward(call, x, torch.clone, path) for _ in range(2))
    assert torch.equal(x, before)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)


def test_half_precision_is_rounded_once(native_path: Path) -> None:
    """Compiled ops calculate in float32, with parameters in float32."""
    if native_path.dtype == torch.float32:
        pytest.skip("nothing is rounded")
    for call in CALLS:
        x = native_path.tensor(random(0, 2, 5, 9, 8))
        exact = call.run(x.double().cpu(), Path("ref", "cpu", torch.float64))
        got = call.run(x, native_path)
        half_a_unit = torch.finfo(got.dtype).eps / 2
        np.testing.assert_allclose(
            numpy(got), numpy(exact), 1.01 * half_a_unit, 1e-5, err_msg=call.name
        )
