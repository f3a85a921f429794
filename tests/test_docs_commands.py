"""What the documents tell people to type is typed here, at a size that takes seconds."""

import dataclasses
import hashlib
import importlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pandas as pd
import pytest
import torch
from PIL import Image

import benchmarks.cli
import benchmarks.speed
import benchmarks.speed_fid
import benchmarks.speed_ops
import eval.faces.train
import eval.faces.validate
import eval.studies.cases
import eval.studies.confusion
import eval.weights
import models
from data.cache import cache_folder
from data.errors import UserError
from data.store import Store
from eval.weights import INCEPTION
from models.registry import FAMILIES
from tests.conftest import TINY, TINY_STYLEGAN, write_pictures
from tests.pages import NAMED, ROOT, SHOWN, blocks, simple_commands
from tests.small import LONGER_KIMG, resolve, shrink, smaller
from training.checkpoint import load_checkpoint
from training.config import resolve as resolve_run
from training.run_dir import RunDir

DOCS = ROOT / "docs"
NEW_MODEL = DOCS / "adding-a-model.md"
LABELS = Path("results/reference/anime-faces-19k-labels.csv")
PICTURES, HELDOUT = 260, 80  # 36.7% of the rest, as a recipe wants it, is enough to measure

# What is not typed here, and why.
NOT_HERE = {
    "make setup": "CI does",
    "make check": "CI does",
    "make test": "it is what runs this",
    "make gpu": "needs a GPU, and hours: tests/test_gpu_stages.py",
    "python -m benchmarks.published": "writes into the documents: tests/test_published.py",
    "python -m benchmarks.published results/versus": "the same",
}
# What exits otherwise than with 0 on a machine that lacks something.
EXIT_CODES = {
    "bench doctor": (0, 3),
    "bench ops status": (0, 3),
    "bench ops build": (0, 3),
    "bench weights verify": (3,),
}
# Options with which a module takes seconds.
MODULES = {
    "benchmarks.kill_nine": ["--kills=2"],
    "eval.faces.train": ["--images=64", "--steps=2", "--out=network"],
    "eval.faces.validate": ["--real=datasets/anime19k-whole"],
}


def is_whole(command: str) -> bool:
    """Whether it can be typed as it is: `bench fid RUN` and `bench mix --layers` cannot."""
    program, *words = shlex.split(command)
    with suppress(click.ClickException, UserError):  # test_docs.py tells which of them are mistakes
        if program == "bench":
            resolve(words)
        return command == command.lower()
    return False


TYPED = [command for command in SHOWN if command not in NOT_HERE]
ALSO_TYPED = [command for command in NAMED if command not in NOT_HERE and is_whole(command)]


# A world that has what the pages speak of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets, archives and runs that the pages name: small ones."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "cache").mkdir()
    (folder / "cache" / "ops").symlink_to(cache_folder("ops"))  # compiled once a machine
    with pytest.MonkeyPatch.context() as patch:
        call = partial(type_here, patch=live_in(folder, patch))
        for place, seed in (("datasets/faces", 0), ("datasets/faces-seed1", 1), ("faces", 0)):
            call(f"bench data faces --n 96 --seed {seed} --out {place}")
        for number, name in enumerate(("anime", "photos", "anime19k-whole")):
            write_pictures(folder / "datasets" / name, PICTURES, number)
        for name in ("anime", "photos"):
            call(f"bench data split datasets/{name} --heldout {HELDOUT}")
        call("bench data export datasets/photos --out photos.zip")
        for copy in ("anime-faces.zip", "fakes.zip", "archive.zip"):
            shutil.copy(folder / "photos.zip", folder / copy)
        (folder / "photos").mkdir()
        for row, image in enumerate(Store(folder / "datasets" / "anime").images[:HELDOUT]):
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / "photos" / f"{row}.png")
        with tarfile.open(folder / "cartoons.tar.gz", "w:gz") as tar:
            tar.add(folder / "photos", "cartoons")
        for model, variant, number, others in (
            ("dcgan", "r1", "00001", ("versus/dcgan-modern-seed0", "00003")),
            ("stylegan", "tiny", "00000", ("versus/stylegan-modern-seed0", "00002", "00004")),
        ):
            run = f"{number}-{model}-{variant}-faces"
            words = f"--model {model} --variant {variant} --data datasets/faces"
            call(f"bench run {words} --name {run}")
            call(f"bench fid {run}")
            for seed, other in enumerate(others):
                name = f"{other}-{model}-{variant}-faces" if other.isdigit() else other
                as_of_seed(seed, folder / "results" / run, folder / "results" / name)
        shutil.copytree(folder / "results", folder / "demo")
        (folder / "demo").rename(folder / "results" / "demo")
    (folder / "rates.toml").write_text("".join(blocks(DOCS / "suites.md", "toml")))
    (folder / "mine.toml").write_text(blocks(DOCS / "recipes.md", "toml")[-1])
    (folder / LABELS).parent.mkdir(parents=True)
    labels = pd.read_csv(ROOT / LABELS).head(PICTURES)
    labels.assign(index=range(len(labels))).to_csv(folder / LABELS, index=False)
    (folder / INCEPTION[0].name).write_bytes(b"in place of Inception")
    return folder


def as_of_seed(seed: int, run: Path, other: Path) -> None:
    """Copy a run, and let the copy say that its seed is another one."""
    shutil.copytree(run, other)
    config = json.loads((run / "config.json").read_text())
    config["training"]["seed"] = seed
    (other / "config.json").write_text(json.dumps(config))


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A copy of the world to be in, for a single command."""
    shutil.copytree(world, tmp_path / "here", symlinks=True)
    return live_in(tmp_path / "here", monkeypatch)


def live_in(folder: Path, patch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    patch.chdir(folder)
    patch.setenv("GAN_VERSUS_CACHE", str(folder / "cache"))
    patch.setenv("GAN_VERSUS_WEIGHTS", str(folder / "weights"))
    shrink(patch)
    return patch


# Typing


def type_here(command: str, patch: pytest.MonkeyPatch) -> None:
    """Do what a command does in this folder, at a small size, and want it to end well."""
    program, *words = shlex.split(command.replace("/mnt/shared", os.getcwd()))
    if program == "make":
        for line in recipe_of(*words):
            for inner in simple_commands(line):
                type_here(shlex.join(inner), patch)
    elif program == "torchrun":
        start = words.index("benchmarks") + 1
        words = [*words[:start], *smaller(words[start:])]
        subprocess.run([sys.executable, "-m", "torch.distributed.run", *words], check=True)
    elif program == "python":
        name = words[1]
        patch.setattr(sys, "argv", [name, *words[2:], *MODULES.get(name, [])])
        assert exit_code(importlib.import_module(name).main) == 0, command
    else:
        patch.setattr(sys, "argv", [program, *smaller(words)])
        allowed = next((c for name, c in EXIT_CODES.items() if command.startswith(name)), (0,))
        assert exit_code(benchmarks.cli.main) in allowed, command


def recipe_of(*words: str) -> list[str]:
    """The lines that `make` would run after the set-up."""
    command = ["make", "-n", "-o", "setup", *words]
    return subprocess.check_output(command, cwd=ROOT, text=True).splitlines()


def exit_code(main: Callable[[], None]) -> Any:
    try:
        main()
    except SystemExit as ending:
        return ending.code or 0
    return 0


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images, rounds and bytes in what takes its sizes from constants."""
    for module, constants in {
        benchmarks.speed: {"BATCH": 4, "ROUNDS": 1, "FACES": 64, "resolve": resolve_small},
        benchmarks.speed_ops: {"SHAPE": (1, 4, 8, 8), "ROUNDS": 1},
        benchmarks.speed_fid: {"FACES": 64, "RESIZED": 2, "COUNT": 64, "FEATURES": {"cpu": 1}},
        eval.faces.train: {"HELDOUT": 200},
        eval.faces.validate: {"HELDOUT": 200},
        eval.studies.confusion: {"PAIRS": 8, "BASES": 4, "FITTED": 200},
        eval.studies.cases: {"IMAGES": 64, "FACES": 64, "DIRECTIONS": 19},
    }.items():
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(torch, "compile", lambda run, **_: run)


def resolve_small(model: str, variant: str, options: dict[str, Any], *rest: Any) -> Any:
    """A run's configuration with the smallest networks."""
    tiny = TINY_STYLEGAN if model == "stylegan" else TINY
    return resolve_run(model, variant, {**tiny, **options}, *rest)


@pytest.fixture
def site(world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where Inception's weights are fetched from; they are a few bytes."""
    content = (world / INCEPTION[0].name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    handler = partial(SimpleHTTPRequestHandler, directory=world)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/{INCEPTION[0].name}"
        known = dataclasses.replace(INCEPTION[0], url=url, sha256=digest, size_bytes=len(content))
        monkeypatch.setattr(eval.weights, "INCEPTION", (known, INCEPTION[1]))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # clean-fid's
@pytest.mark.usefixtures("small_parts", "site", "sngan")
@pytest.mark.parametrize("command", TYPED)
def test_every_command_does_what_it_is_shown_for(command: str, here: pytest.MonkeyPatch) -> None:
    type_here(command, here)


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts", "site", "sngan")
@pytest.mark.parametrize("command", ALSO_TYPED)
def test_every_command_that_is_named_works(command: str, here: pytest.MonkeyPatch) -> None:
    # Shown suites are trained; of those that are only named, the plan is made.
    type_here(command.replace("bench suite ", "bench suite run --dry-run "), here)


@pytest.mark.slow
def test_a_command_that_fails_is_found(here: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="bench fid 00099"):
        type_here("bench fid 00099", here)
    for command in ("make nothing", "torchrun --standalone -m benchmarks run --data nowhere"):
        with pytest.raises(subprocess.CalledProcessError):
            type_here(command, here)


def test_what_is_not_typed_is_named_and_done_by_ci() -> None:
    assert NOT_HERE.keys() <= {*SHOWN, *NAMED}
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make check"
    assert any("bin/pytest" in line for line in recipe_of("check"))


# A family of one's own


@pytest.fixture
def sngan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The page's family, as if its file stood among the others."""
    family, line, _ = blocks(NEW_MODEL, "python")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "sngan.py").write_text(family)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path / "package")])
    exec(line, {})
    yield sys.modules["models.sngan"]
    del FAMILIES["sngan"], sys.modules["models.sngan"], models.sngan


@pytest.mark.slow
def test_the_new_family_trains_resumes_draws_and_is_measured(
    sngan: ModuleType, here: pytest.MonkeyPatch
) -> None:
    shutil.rmtree("results")
    runs = [RunDir(Path("results", name)) for name in ("late", "early")]
    for run in runs:
        type_here(f"bench run --model sngan --data datasets/faces --name {run.id}", here)
    shutil.rmtree(runs[1].path / "checkpoints" / "000000024")  # stopped at 12, and not at 24
    ends = []
    for run in runs:
        type_here(f"bench run --resume {run.id}", here)
        ends.append(load_checkpoint(run.path / "checkpoints", print))
        assert ends[-1].state["nimg"] == 1000 * LONGER_KIMG
    for name, weight in ends[0].weights.items():
        assert torch.equal(weight, ends[1].weights[name]), name
    type_here("bench generate", here)
    assert (run.path / "generate.png").is_file()
    type_here("bench fid", here)
    measured = {row["metric"] for row in run.rows("metrics.jsonl")}
    assert "fd_faces64_heldout" in measured


def test_the_new_familys_own_tests_pass(sngan: ModuleType) -> None:
    names: dict[str, Any] = {}
    exec(blocks(NEW_MODEL, "python")[2], names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()
