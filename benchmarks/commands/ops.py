"""`bench ops`: the compiled ops."""

from typing import Any

import click

from benchmarks.commands.options import json_option


@click.group()
def ops() -> None:
    """Compile the fused ops ahead of time, or see whether that is done.

    A model compiles them on first use. They are kept in $GAN_VERSUS_CACHE, or in
    ~/.cache/gan-versus; without a compiler, plain torch does the same, slower.

    \b
    bench ops build
    bench ops status
    """


@ops.command()
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "all"]),
    help="[default: cpu, and cuda where a GPU is visible or TORCH_CUDA_ARCH_LIST is set]",
)
def build(device: str | None) -> None:
    """Compile the ops that are not compiled yet, and print where they are.

    CXX and CUDA_HOME choose the compilers, TORCH_CUDA_ARCH_LIST the GPUs: without it, the visible
    ones. Exit code 3 if something is missing.

    \b
    bench ops build
    TORCH_CUDA_ARCH_LIST="8.0;9.0" bench ops build --device cuda
    """
    from ops.build import build as build_library
    from ops.recipe import devices

    wanted = {None: devices(), "all": ["cpu", "cuda"]}.get(device) or [str(device)]
    for name in wanted:
        click.echo(build_library(name))


@ops.command()
@json_option
def status(as_json: bool) -> None:
    """Say for each device whether its ops are compiled, where, and what `auto` takes.

    Exit code 3 if this machine cannot have those that it needs.

    \b
    bench ops status
    bench ops status --json
    """
    import json
    import sys

    from ops.recipe import devices

    rows = [describe(device) for device in ("cpu", "cuda")]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        click.echo(f"{'device':7} {'auto':7} library")
        for row in rows:
            click.echo(f"{row['device']:7} {row['auto']:7} {in_words(row)}")
    if any(row["problem"] for row in rows if row["device"] in devices()):
        sys.exit(3)


def describe(device: str) -> dict[str, Any]:
    """One device: is its library built, where, by which compiler, or why can it not be."""
    from data.errors import MissingError
    from ops.build import is_whole, library_path
    from ops.recipe import recipe

    row: dict[str, Any] = {"device": device, "auto": "ref", "built": False}
    try:
        plan = recipe(device)
    except MissingError as error:
        return {**row, "library": None, "compiler": None, "problem": str(error)}
    library = library_path(plan)
    return {
        "device": device,
        "auto": "native",
        "built": is_whole(library),
        "library": str(library),
        "compiler": f"{plan.compiler[0]}: {plan.version}",
        "problem": None,
    }


def in_words(row: dict[str, Any]) -> str:
    """A row of `describe` but for its device."""
    if row["problem"]:
        return f"cannot be compiled: {row['problem']}"
    done = "compiled" if row["built"] else "will be compiled on first use"
    return f"{done}: {row['library']} ({row['compiler']})"
