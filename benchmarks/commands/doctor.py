"""`bench doctor`: what this machine can do, and what is in the way."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click

PACKAGES = ("benchmarks", "eval", "training", "models", "ops", "data")


@click.command()
def doctor() -> None:
    """Say what this machine can do and what is in the way; exit code 3 if something is missing.

    \b
    bench doctor
    """
    import sys

    missing = False
    for good, line in checks():
        click.echo(f"{'ok  ' if good else 'FAIL'}  {line}")
        missing |= not good
    sys.exit(3 if missing else 0)


def checks() -> Iterator[tuple[bool, str]]:
    """Each check: whether it passed, and what was found."""
    import platform

    import torch

    from training.environment import PACKAGES as LIBRARIES
    from training.environment import describe

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = describe(device)
    yield True, f"python {platform.python_version()} on {platform.platform()}"
    for name in LIBRARIES:
        version = found["versions"][name]
        yield version is not None, f"{name} {version or 'is not installed: make setup'}"
    yield True, f"trains on {found['hardware']}" + ("" if device.type == "cuda" else ", no GPU")
    yield True, f"bfloat16 on this CPU: {_bfloat16()}"
    yield from _ops()
    yield True, _inception()
    for name in PACKAGES:
        yield _own(name)
    free = shutil.disk_usage(Path.cwd()).free
    yield free > 2e9, f"{free / 1e9:.0f} GB free here (a run takes about 1)"


def _ops() -> Iterator[tuple[bool, str]]:
    """The compilers, and what they are for: only a GPU needs nvcc."""
    from benchmarks.commands.ops import describe, in_words
    from ops.recipe import cxx, devices, nvcc

    found, words = _program(cxx)
    yield found, f"C++ compiler: {words}"
    yield True, f"nvcc: {_program(nvcc)[1]}"
    for device in devices():
        row = describe(device)
        yield not row["problem"], f"fused ops for {device}: {in_words(row)}"


def _program(find: Callable[[], str]) -> tuple[bool, str]:
    """Whether a compiler is there and runs, and which it is."""
    from data.errors import MissingError
    from ops.recipe import version

    try:
        path = find()
        return True, f"{path}, {version(path)}"
    except MissingError as error:
        return False, str(error)


def _own(name: str) -> tuple[bool, str]:
    """Whether importing `name` gives our package and not another one of that name."""
    root = Path(__file__).parents[2]
    spec = importlib.util.find_spec(name)
    origin = Path(spec.origin) if spec and spec.origin else None
    if origin and origin.is_relative_to(root):
        return True, f"package {name}"
    return False, f"package {name} is shadowed by {origin}: use an environment of its own"


def _inception() -> str:
    from data.errors import UserError
    from eval.weights import find_inception

    try:
        return f"FID by Inception in {find_inception()[0]}"
    except UserError as error:
        return str(error)


def _bfloat16() -> str:
    import torch

    capabilities = torch.backends.cpu.get_cpu_capability()
    fast = torch.cpu._is_amx_tile_supported()
    return f"{'fast (AMX)' if fast else 'no AMX: expect fp32 to win'}, {capabilities}"
