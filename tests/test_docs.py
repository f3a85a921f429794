"""The documents keep their word: commands run, code works, links lead somewhere, messages exist."""

import argparse
import ast
import functools
import importlib
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import torch
from PIL import Image
from torch.distributed.run import get_args_parser

import benchmarks.cli
import benchmarks.datasets
import models
import training.loop
from benchmarks.cli import bench
from data.store import Store
from models.registry import FAMILIES, family, parameter_counts
from tests.conftest import TINY_FLAGS, TINY_STYLEGAN, write_pictures
from training.checkpoint import load_checkpoint
from training.config import TrainConfig
from training.run_dir import RunDir

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKING = [*PAGES, ROOT / "CHANGELOG.md", *sorted(ROOT.glob("[a-z]*/README.md"))]
TOUR, NEW_MODEL = ROOT / "README.md", ROOT / "docs" / "adding-a-model.md"
TROUBLE = ROOT / "docs" / "troubleshooting.md"
OPERATIONS, SUITES = ROOT / "docs" / "operations.md", ROOT / "docs" / "suites.md"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
SHELL = ("", "sh", "bash", "console")
DRAWN = set("│─►◄┌└")  # a picture made of lines, and no commands

# What is not run to its end here, and why. Its words are parsed all the same.
ONLY_PARSED = {
    "bench ops build": "compiles for half a minute: tests/test_ops_build.py does",
    "bench speed": "measures for minutes",
    "bench weights fetch": "needs the network: tests/test_weights.py serves it",
    "make": "minutes, or hours; the bench commands in it are parsed",
    "python -m": "minutes, or hours",
    "torchrun": "starts processes of its own",
}
KIMG, LONGER_KIMG = 0.024, 0.04  # how long a run takes here

# What exits otherwise than with 0 on a machine that lacks something.
EXIT_CODES = {"doctor": (0, 3), "ops status": (0, 3), "weights verify": (3,)}


# Reading pages


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [text for language, text in FENCE.findall(page.read_text()) if language in languages]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return FENCE.sub("", page.read_text())


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each of our commands in a line of shell, cut at pipes, `&&` and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&"):
            if ours := our_command(words):
                yield ours
            words = []
        else:
            words.append(re.sub(r"\$\{?\w+\}?", "1", word))


def our_command(words: list[str]) -> list[str]:
    """What is ours of a command such as `CXX=clang nohup bench run`; nothing where nothing is."""
    for start, word in enumerate(words):
        program = word.removeprefix(".venv/bin/")
        if program in ("bench", "make", "torchrun"):
            return [program, *words[start + 1 :]]
        if program in ("python", "python3") and words[start + 1 : start + 2] == ["-m"]:
            return ["python", *words[start + 1 :]]
    return []


def shown(page: Path) -> Iterator[list[str]]:
    """The commands in a page's blocks."""
    for block in blocks(page, *SHELL):
        if not DRAWN & set(block):
            for line in block.replace("\\\n", " ").splitlines():
                yield from simple_commands(line.removeprefix("$ "))


def named(page: Path) -> Iterator[list[str]]:
    """The commands that a page's text names between backticks."""
    for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page)):
        if re.match(r"(bench|make|torchrun|python -m) ", code):
            yield from simple_commands(code.replace("\n", " "))


def all_of(find: Callable[[Path], Iterator[list[str]]]) -> list[str]:
    """What is found on all pages, each once."""
    return list(dict.fromkeys(shlex.join(words) for page in PAGES for words in find(page)))


SHOWN = all_of(shown)
NAMED = [command for command in all_of(named) if command not in SHOWN]
EXECUTED = [c for c in SHOWN if not any(f"{c} ".startswith(f"{p} ") for p in ONLY_PARSED)]


# Commands are taken by the parser as they stand


class Parsed(Exception):
    """An argument parser was content."""


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


def parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever is called parse the words, and go no further."""
    program, *rest = words
    if program == "bench":
        with suppress(click.exceptions.NoArgsIsHelpError):  # a group's name, and no more
            if not {"--help", "--version"} & set(rest):
                resolve(rest)
    elif program == "torchrun":
        options = get_args_parser().parse_args(rest)
        assert options.module
        parse(["python", "-m", options.training_script, *options.training_script_args], monkeypatch)
    elif program == "python":
        parse_module(rest[1], rest[2:], monkeypatch)
    else:
        assert program == "make"
        listed = subprocess.run(["make", "-n", *rest], cwd=ROOT, capture_output=True, text=True)
        assert listed.returncode == 0, listed.stderr
        for line in listed.stdout.replace("\\\n", " ").splitlines():
            for inner in simple_commands(line):
                if inner[0] == "bench":
                    parse(inner, monkeypatch)


def parse_module(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of a `python -m` with click, with argparse, or without any options."""
    if name == "benchmarks":
        parse(["bench", *words], monkeypatch)
        return
    if name in ("pip", "venv"):
        return
    module = importlib.import_module(name)
    ours = [value for value in vars(module).values() if isinstance(value, click.Command)]
    if ours:
        resolve(words, ours[0])
        return
    if not hasattr(module, "argparse"):
        assert not words
        return
    parse_args = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser) -> None:
        parse_args(parser, words)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    with pytest.raises(Parsed):
        module.main()


@pytest.mark.parametrize("command", SHOWN)
def test_every_command_is_one(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if command.startswith("make ") and not shutil.which("make"):
        pytest.skip("no make")
    parse(shlex.split(command), monkeypatch)


@pytest.mark.parametrize("command", NAMED)
def test_every_command_that_is_named_exists(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with suppress(click.MissingParameter, click.BadOptionUsage):  # `bench mix --layers`
        test_every_command_is_one(command, monkeypatch)


@pytest.mark.parametrize(
    "command",
    [
        "bench walk",
        "bench fid --numb 5",
        "bench run --kimg many",
        "bench latents --study dance",
        "bench table extra",
        "python -m benchmarks.kill_nine --kill 3",
        "torchrun --nproc-per-node 2 -m benchmarks run --modell dcgan",
    ],
)
def test_what_is_no_command_is_found(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(click.UsageError):
        parse(shlex.split(command), monkeypatch)


def test_commands_are_found_wherever_they_stand_in_a_line() -> None:
    line = 'CXX=clang nohup bench run --seed "$SEED" > log && .venv/bin/bench fid | sort  # bench x'
    assert list(simple_commands(line)) == [["bench", "run", "--seed", "1"], ["bench", "fid"]]
    assert list(simple_commands("cd results")) == []


def test_exceptions_are_not_kept_for_commands_that_are_gone() -> None:
    for prefix in ONLY_PARSED:
        assert any(f"{command} ".startswith(f"{prefix} ") for command in SHOWN), prefix


# Commands run, in a world that has what they speak of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets, archives and runs that the pages name: small ones."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        call = caller(folder, patch)
        for place, seed in (("datasets/faces", 0), ("datasets/faces-seed1", 1), ("faces", 0)):
            call(f"bench data faces --n 96 --seed {seed} --out {place}")
        for number, name in enumerate(("anime", "photos")):
            write_pictures(folder / "datasets" / name, 160, number)
            call(f"bench data split datasets/{name} --heldout 80")
        call("bench data export datasets/photos --out photos.zip")
        for copy in ("anime-faces.zip", "fakes.zip", "archive.zip"):
            shutil.copy(folder / "photos.zip", folder / copy)
        (folder / "photos").mkdir()
        for row, image in enumerate(Store(folder / "datasets" / "anime").images[:80]):
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
        (folder / "rates.toml").write_text("".join(blocks(SUITES, "toml")))
    return folder


def as_of_seed(seed: int, run: Path, other: Path) -> None:
    """Copy a run, and let the copy say that its seed is another one."""
    shutil.copytree(run, other)
    config = json.loads((run / "config.json").read_text())
    config["training"]["seed"] = seed
    (other / "config.json").write_text(json.dumps(config))


def cut_short(run: Path) -> None:
    """Make of a finished run one that was killed before its end."""
    config = json.loads((run / "config.json").read_text())
    config["training"]["kimg"] = LONGER_KIMG
    (run / "config.json").write_text(json.dumps(config))
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, "state": "running"}))


def caller(folder: Path, patch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What runs a command in a folder, with everything in it small, and wants it to succeed."""
    patch.chdir(folder)
    patch.setenv("GAN_VERSUS_CACHE", str(folder / "cache"))
    patch.setenv("GAN_VERSUS_WEIGHTS", str(folder / "weights"))
    patch.setattr(benchmarks.datasets, "FACES", 96)
    patch.setattr(benchmarks.datasets, "HELDOUT_FACES", 96)
    patch.setattr(training.loop, "STATISTICS", (2, 8))

    def call(command: str) -> None:
        words = shlex.split(command.replace("/mnt/shared", str(folder)))[1:]
        name, more = smaller(words)
        patch.setattr(sys, "argv", ["bench", *words, *more])
        with pytest.raises(SystemExit) as ending:
            benchmarks.cli.main()
        assert ending.value.code in (*EXIT_CODES.get(name, ()), None, 0), command

    return call


def smaller(words: list[str]) -> tuple[str, list[str]]:
    """A command's name, and the options that make it quick: click takes the last of each."""
    if {"--help", "--version"} & set(words):
        return "", []
    context = resolve(words)
    name = context.command_path.partition(" ")[2]
    given = context.params
    if name.startswith("data ") and given.get("out") and given["out"].is_dir():
        shutil.rmtree(given["out"])
    more = {
        "claims": ["--claims=10"],
        "data faces": ["--n=96"],
        "data split": ["--heldout=80"],
        "directions": ["--num=200"],
        "eval": ["--metrics=fd_faces64,kd_faces64,pr_faces64"],
        "fid": ["--num=64"],
        "neighbours": ["--extractor=faces"],
        "run": shorter(given) if name == "run" else [],
        "suite plan": ["--results=suite"],
        "suite run": ["--results=suite", "--dry-run"],
    }
    return name, more.get(name, [])


def shorter(given: dict[str, Any]) -> list[str]:
    """Options of `bench run` with which it takes a second."""
    if given["resume"]:
        cut_short(RunDir.find(given["results"], given["resume"]).path)
        return [f"--kimg={LONGER_KIMG}"] if given["kimg"] else []
    length = [f"--kimg={KIMG}", "--batch=4", "--tick=0.008", "--snap=0.012"]
    plain = ["--device=cpu", "--precision=fp32", "--memory-format=contiguous", "--save-minutes=9"]
    tiny = {
        "stylegan": [f"--set={name}={value}" for name, value in TINY_STYLEGAN.items()],
        "sngan": ["--set=z_dim=8", "--set=width=2"],
    }
    metrics = ["--metrics=fd_faces64"] if given["metrics"] else []
    model = "stylegan" if "stylegan" in str(given["recipe_name"]) else given["model"]
    return [*length, *plain, *metrics, *tiny.get(model, TINY_FLAGS)]


@pytest.mark.slow
@pytest.mark.parametrize("command", EXECUTED)
def test_every_command_does_what_it_is_shown_for(
    command: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sngan: ModuleType
) -> None:
    here = tmp_path / "here"
    shutil.copytree(world, here)
    caller(here, monkeypatch)(command)


# A family of one's own


def python_blocks(page: Path) -> list[str]:
    return blocks(page, "python")


@pytest.fixture
def sngan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The page's family, as if its file stood among the others."""
    family, line, _ = python_blocks(NEW_MODEL)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "sngan.py").write_text(family)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path / "package")])
    exec(line, {})
    yield sys.modules["models.sngan"]
    del FAMILIES["sngan"], sys.modules["models.sngan"], models.sngan


@pytest.mark.slow
def test_the_new_family_trains_resumes_draws_and_is_measured(
    sngan: ModuleType, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(world / "datasets", tmp_path / "datasets")
    call = caller(tmp_path, monkeypatch)
    runs = [RunDir(Path("results", name)) for name in ("late", "early")]
    for run in runs:
        call(f"bench run --model sngan --data datasets/faces --name {run.id}")
    shutil.rmtree(runs[1].path / "checkpoints" / "000000024")  # stopped at 12, and not at 24
    ends = []
    for run in runs:
        call(f"bench run --resume {run.id}")
        ends.append(load_checkpoint(run.path / "checkpoints", print))
        assert ends[-1].state["nimg"] == 1000 * LONGER_KIMG
    for name, weight in ends[0].weights.items():
        assert torch.equal(weight, ends[1].weights[name]), name
    call("bench generate")
    assert (run.path / "generate.png").is_file()
    call("bench fid")
    measured = {row["metric"] for row in run.rows("metrics.jsonl")}
    assert "fd_faces64_heldout" in measured


def test_the_new_familys_own_tests_pass(sngan: ModuleType) -> None:
    names: dict[str, Any] = {}
    exec(python_blocks(NEW_MODEL)[2], names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_python_on_other_pages_imports_what_there_is() -> None:
    for page in set(LINKING) - {NEW_MODEL}:
        for block in python_blocks(page):
            tree = ast.parse(block)
            lines = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(lines, []), str(page), "exec"), {})


# Links, flags, messages, figures


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def flags_of(command: click.Command) -> set[str]:
    """The flags of a command and of those within it."""
    flags = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    for inner in getattr(command, "commands", {}).values():
        flags |= flags_of(inner)
    return flags


def known_flags() -> set[str]:
    from benchmarks import gpu, kill_nine

    ours = flags_of(bench) | flags_of(gpu.gpu) | flags_of(kill_nine.main)
    sources = "".join(path.read_text() for path in (ROOT / "eval").rglob("*.py"))
    torchrun = {flag for action in get_args_parser()._actions for flag in action.option_strings}
    argparsed = set(re.findall(r'add_argument\("(--[\w-]+)"', sources))
    return ours | argparsed | torchrun | {"--help", "--version"}


# Of programs that are not ours.
FOREIGN_FLAGS = {"--check", "--no-build-isolation", "--upgrade", "--user"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_in_the_text_exist(page: Path) -> None:
    known = known_flags() | FOREIGN_FLAGS
    for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", prose(page)):
        assert flag in known, flag


@functools.cache
def templates() -> list[re.Pattern[str]]:
    """Every text in the packages that could be a message, with its fields as groups."""
    found = set()
    for package in ("benchmarks", "data", "eval", "models", "ops", "training"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    found.add(
                        "".join(
                            re.escape(part.value) if isinstance(part, ast.Constant) else "(.*?)"
                            for part in node.values
                        )
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(re.sub(r"\\\{\w*\\\}", "(.*?)", re.escape(node.value)))
    return [re.compile(text) for text in found if len(text.replace("(.*?)", "")) >= 12]


def is_said(message: str, texts: list[re.Pattern[str]]) -> bool:
    """Whether a message is one of the texts, and long fields of it are texts in turn."""
    for text in texts:
        if match := text.fullmatch(message):
            fields = [field for field in match.groups() if len(field.split()) > 7]
            if all(is_said(field, texts) for field in fields):
                return True
    return False


def test_quoted_messages_are_said() -> None:
    texts = templates()
    quoted = [line for block in blocks(TROUBLE, "text") for line in block.splitlines()]
    assert quoted
    for line in quoted:
        assert is_said(line.removeprefix("error: "), texts), line


def test_an_invented_message_is_not_found() -> None:
    texts = templates()
    assert is_said("there is no run 00009 in results; `bench table` lists the runs", texts)
    assert not is_said("there is no run 00009 in results; `bench list` lists the runs", texts)
    assert not is_said("the moon is made of green cheese, as everybody knows", texts)


def test_the_disk_that_runs_take_is_what_the_formula_says() -> None:
    row = r"^\| (\w+) `([\w-]+)` \| ([\d,]+) \| (\d+) \| ([\d,]+) MB \|$"
    rows = re.findall(row, OPERATIONS.read_text(), re.M)
    assert len(rows) == 6
    for name, variant, kimg, snapshots, megabytes in rows:
        model = family(name.lower())
        g, d = parameter_counts(model.name, model.resolve(variant, {}))
        assert int(snapshots) == math.ceil(float(kimg.replace(",", "")) / TrainConfig.snap_kimg)
        formula = int(snapshots) * 8 * g + 3 * (16 * g + 12 * d)
        assert float(megabytes.replace(",", "")) == pytest.approx(formula / 1e6, rel=0.01), variant
