"""The compiled ops against the usual depthwise convolutions, against our own plain torch, against
what torch.compile makes of that, and against a copy; convolutions on a CPU against torch's own.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.timing import Result, compare, interleaved, this_device
from ops.bias_act import bias_act
from ops.conv2d import conv2d
from ops.epilogue import epilogue
from ops.native import DTYPES, Impl, problem
from ops.upfirdn2d import binomial_filter, upfirdn2d

SHAPE = (16, 128, 64, 64)
ROUNDS = 9
CALLS = {"cpu": 1, "cuda": 50}  # a round: a GPU is done sooner than a clock can tell
Work = Callable[[], Any]


class Case(NamedTuple):
    """One use of an op, and how many times as fast as `usual`, or our plain torch, it is to be."""

    name: str
    run: Callable[[Tensor, Impl], Tensor]
    goal: str
    usual: Callable[[Tensor], Tensor] | None = None
    backward: bool = True
    layout: torch.memory_format = torch.contiguous_format

    @property
    def passes(self) -> str:
        return "forward + backward" if self.backward else "forward"


def ops() -> list[Result]:
    """Every op at one shape, forward and backward; on a GPU in each dtype that it has."""
    device = this_device()
    if reason := problem(device.type):
        print(f"ops are not measured: {reason}", file=sys.stderr)
        return []
    dtypes = DTYPES[device.type] if device.type == "cuda" else (torch.float32,)
    return [
        result
        for dtype in dtypes
        for case in [*_cases(device), *(_convolutions() if device.type == "cpu" else [])]
        for result in _results(
            case, torch.randn(SHAPE, device=device).to(dtype, memory_format=case.layout)
        )
    ]


def _cases(device: torch.device) -> list[Case]:
    n, c, h, w = SHAPE
    f = binomial_filter().to(device)
    b = torch.randn(c, device=device, requires_grad=True)
    noise, strength = torch.randn(n, 1, h, w, device=device), torch.tensor(0.1, device=device)
    around = (2, 1, 2, 1)

    def usual_epilogue(x: Tensor) -> Tensor:
        return bias_act(depthwise(x, f) + strength * noise, b, "lrelu", clamp=256, impl="ref")

    return [
        Case(
            "up 2",
            lambda x, i: upfirdn2d(x, f, 2, 1, around, gain=4, impl=i),
            "6",
            lambda x: depthwise(x, 2 * f, up=2),
        ),
        Case(
            "down 2",
            lambda x, i: upfirdn2d(x, f, 1, 2, 1, impl=i),
            "6",
            lambda x: depthwise(x, f, down=2, padding=(1, 1)),
        ),
        Case(
            "blur",
            lambda x, i: upfirdn2d(x, f, 1, 1, around, impl=i),
            "3",
            lambda x: depthwise(x, f),
        ),
        Case("bias_act", lambda x, i: bias_act(x, b, "lrelu", clamp=256, impl=i), "4"),
        Case(
            "epilogue",
            lambda x, i: epilogue(x, b, noise, strength, f, around, clamp=256, impl=i),
            "6",
            usual_epilogue,
            backward=False,
        ),
    ]


def _convolutions() -> list[Case]:
    """A StyleGAN's, and a DCGAN's of stride 2."""
    layout = torch.channels_last
    w3, w4 = (
        torch.randn(SHAPE[1], SHAPE[1], k, k).to(memory_format=layout).requires_grad_()
        for k in (3, 4)
    )
    return [
        Case("conv 3x3", lambda x, i: conv2d(x, w3, None, 1, 1, i), "2", layout=layout),
        Case("conv 4x4, stride 2", lambda x, i: conv2d(x, w4, None, 2, 1, i), "1", layout=layout),
    ]


def depthwise(
    x: Tensor, f: Tensor, up: int = 1, down: int = 1, padding: tuple[int, int] = (2, 1)
) -> Tensor:
    """What people write: put zeros between the pixels, pad, and convolve along each axis.

    For a symmetric filter [k]; the gain is in it.
    """
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n, c, h, 1, w, 1), [0, up - 1, 0, 0, 0, up - 1])
    x = F.pad(x.reshape(n, c, h * up, w * up), [*padding, *padding])
    f = f.to(x.dtype)
    x = F.conv2d(x, f[None, :].expand(c, 1, 1, -1), stride=(1, down), groups=c)
    return F.conv2d(x, f[:, None].expand(c, 1, -1, 1), stride=(down, 1), groups=c)


def _results(case: Case, x: Tensor) -> list[Result]:
    """Ours against each rival, and a forward pass of ours against a copy of as many bytes."""
    calls = CALLS[x.device.type]
    with torch.no_grad():
        y = case.run(x, "native")
    moved = x.new_ones((x.numel() + y.numel()) // 2)  # a copy reads it and writes it
    rivals = {"our plain torch": (_work(case, x, y, "ref"), "1" if case.usual else case.goal)}
    if case.usual:
        rivals["depthwise convolutions"] = (_passes(case.usual, case.backward, x, y), case.goal)
    if compiled := _compiled(case, x, y):
        rivals["torch.compile of that"] = (compiled, "1")
    works = [
        _work(case, x, y, "native"),
        *[work for work, _ in rivals.values()],
        _work(case._replace(backward=False), x, y, "native"),
        moved.clone,
    ]
    ours, *theirs, forward, copy = interleaved([_repeated(work, calls) for work in works], ROUNDS)
    torch.compiler.reset()
    images = SHAPE[0] * calls
    dtype = str(x.dtype).removeprefix("torch.")
    results = [
        compare(f"{case.name}, {dtype}, {case.passes}", ours, rival, times, images, goal)
        for (rival, (_, goal)), times in zip(rivals.items(), theirs, strict=True)
    ]
    name = f"{case.name}, {dtype}, forward"
    return [*results, compare(name, forward, "a copy of as many bytes", copy, images, "-")]


def _work(case: Case, x: Tensor, dy: Tensor, impl: Impl) -> Work:
    return _passes(lambda x: case.run(x, impl), case.backward, x, dy)


def _passes(run: Callable[[Tensor], Tensor], backward: bool, x: Tensor, dy: Tensor) -> Work:
    def forward() -> None:
        with torch.no_grad():
            run(x)

    def forward_and_backward() -> None:
        run(x.detach().requires_grad_()).backward(dy)

    return forward_and_backward if backward else forward


def _compiled(case: Case, x: Tensor, dy: Tensor) -> Work | None:
    """Plain torch through torch.compile; None, and a line, where that does not work."""
    run = torch.compile(lambda x: case.run(x, "ref"), fullgraph=True)
    work = _passes(run, case.backward, x, dy)
    try:
        work()
    except Exception as error:  # whatever its compiler lacks on this machine
        reason = str(error).strip().partition("\n")[0]
        print(f"{case.name}: no torch.compile: {reason}", file=sys.stderr)
        return None
    return work


def _repeated(work: Work, calls: int) -> Work:
    def repeated() -> None:
        for _ in range(calls):
            work()

    return repeated
