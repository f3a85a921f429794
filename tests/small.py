"""Commands of the documents, made to take seconds.

`python -m tests.small` is `bench` with small constants: for the processes that a suite starts.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

import benchmarks.cli
import benchmarks.datasets
import benchmarks.jobs
import training.loop
from benchmarks.cli import bench
from benchmarks.suite import load_suite
from tests.conftest import PLAIN, TINY_FLAGS, TINY_STYLEGAN
from tests.pages import ROOT
from training.run_dir import RunDir

KIMG, LONGER_KIMG = 0.024, 0.04  # how long a run takes here
SHORT = [*PLAIN, f"--kimg={KIMG}", "--tick=0.008", "--snap=0.012", "--save-minutes=9"]
LAYERS = {
    "dcgan": TINY_FLAGS,
    "stylegan": [f"--set={name}={value}" for name, value in TINY_STYLEGAN.items()],
    "sngan": ["--set=z_dim=8", "--set=width=2"],
}
FEWER = {
    "data faces": ["--n=96"],
    "data split": ["--heldout=80"],
    "directions": ["--num=200"],
    "eval": ["--metrics=fd_faces64,kd_faces64,pr_faces64"],
    "fid": ["--num=64"],
    "neighbours": ["--extractor=faces"],
    "suite plan": ["--results=suite"],
}


def resolve(words: list[str], command: click.Command = bench) -> click.Context:
    """The innermost command that the words name, its options parsed and checked.

    Raises:
        click.ClickException, UserError: there is no such command or option, or a value is wrong.
    """
    context = command.make_context(command.name, list(words))
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            break  # it does something by itself
        name, inner, rest = context.command.resolve_command(context, rest)
        assert inner
        context = inner.make_context(name, rest, parent=context)
    return context


def smaller(words: list[str]) -> list[str]:
    """The words of a `bench` command that takes seconds: click takes the last of each option.

    What is already where it writes is removed, or made to look interrupted.
    """
    if {"--help", "--version"} & set(words):
        return words
    context = resolve(words)
    name = context.command_path.partition(" ")[2]
    given = context.params
    if name == "run":
        return [*words, *shorter_run(given)]
    if name == "suite run":
        return shorter_suite(words, given)
    if name.startswith("data ") and given.get("out") and given["out"].is_dir():
        shutil.rmtree(given["out"])
    return [*words, *FEWER.get(name, [])]


def shorter_run(given: Mapping[str, Any]) -> list[str]:
    """Options of `bench run` with which it takes a second."""
    if given["resume"]:
        cut_short(RunDir.find(given["results"], given["resume"]).path)
        return [f"--kimg={LONGER_KIMG}"] if given["kimg"] else []
    metrics = ["--metrics=fd_faces64"] if given["metrics"] else []
    model = "stylegan" if "stylegan" in str(given["recipe_name"]) else given["model"]
    return [*SHORT, *metrics, *LAYERS[model or "dcgan"]]


def shorter_suite(words: list[str], given: Mapping[str, Any]) -> list[str]:
    """The words of a `bench suite run` of one seed."""
    results = given["results"] or Path("results", load_suite(given["name"]).name)
    shutil.rmtree(results, ignore_errors=True)
    if given["dry_run"]:
        return words
    end = words.index("--") if "--" in words else len(words)
    fewer = ["--seeds=1", "--num=64", "--variant=tiny", "--"]
    return [*words[:end], *fewer, *words[end + 1 :], *SHORT]


def cut_short(run: Path) -> None:
    """Make of a finished run one that was killed before its end."""
    config = json.loads((run / "config.json").read_text())
    config["training"]["kimg"] = LONGER_KIMG
    (run / "config.json").write_text(json.dumps(config))
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, "state": "running"}))


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Make small what no option does, in this process and in those that a suite starts."""
    patch.setattr(benchmarks.datasets, "FACES", 96)
    patch.setattr(benchmarks.datasets, "HELDOUT_FACES", 96)
    patch.setattr(training.loop, "STATISTICS", (2, 8))
    patch.setattr(benchmarks.jobs, "BENCH", [sys.executable, "-m", "tests.small"])
    patch.setenv("PYTHONPATH", str(ROOT))


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as own:
        shrink(own)
        benchmarks.cli.main()
