"""The documents keep their word: commands exist, links lead somewhere, messages are said."""

import ast
import functools
import math
import re
import shlex
from contextlib import suppress
from pathlib import Path

import click
import pytest
from torch.distributed.run import get_args_parser

from benchmarks.cli import bench
from benchmarks.recipe import load_recipe
from models.registry import family, parameter_counts
from tests.pages import FENCE, NAMED, PAGES, ROOT, SHOWN, blocks, prose, simple_commands
from tests.small import resolve
from training.config import TrainConfig

DOCS = ROOT / "docs"

# Commands and code


@pytest.mark.parametrize("command", [c for c in (*SHOWN, *NAMED) if c.startswith("bench ")])
def test_every_command_is_one(command: str) -> None:
    """`bench mix --layers` lacks a value, and is one. The whole ones are typed elsewhere."""
    words = shlex.split(command)[1:]
    lacking = (click.MissingParameter, click.BadOptionUsage, click.exceptions.NoArgsIsHelpError)
    with suppress(*lacking):
        if not {"--help", "--version"} & set(words):
            resolve(words)


@pytest.mark.parametrize(
    "command",
    [
        "walk",
        "fid --numb 5",
        "run --kimg many",
        "latents --study dance",
        "table extra",
    ],
)
def test_what_is_no_command_is_found(command: str) -> None:
    with pytest.raises(click.UsageError):
        resolve(shlex.split(command))


def test_commands_are_found_wherever_they_stand_in_a_line() -> None:
    line = 'CXX=clang nohup bench run --seed "$SEED" > log && .venv/bin/bench fid | sort  # bench x'
    assert list(simple_commands(line)) == [["bench", "run", "--seed", "1"], ["bench", "fid"]]
    assert list(simple_commands("cd results")) == []


def test_python_on_other_pages_imports_what_there_is() -> None:
    for page in set(PAGES) - {DOCS / "adding-a-model.md"}:
        for block in blocks(page, "python"):
            tree = ast.parse(block)
            lines = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(lines, []), str(page), "exec"), {})


def test_the_recipes_of_ones_own_are_recipes(tmp_path: Path) -> None:
    shown = blocks(DOCS / "recipes.md", "toml")
    assert len(shown) == 2
    for text in shown:
        (tmp_path / "mine.toml").write_text(text)
        assert load_recipe(str(tmp_path / "mine.toml")).options["lr_g"] == 1e-4


# Links, flags, messages, figures


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
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
    quoted = [
        line for block in blocks(DOCS / "troubleshooting.md", "text") for line in block.splitlines()
    ]
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
    rows = re.findall(row, (DOCS / "operations.md").read_text(), re.M)
    assert len(rows) == 6
    for name, variant, kimg, snapshots, megabytes in rows:
        model = family(name.lower())
        g, d = parameter_counts(model.name, model.resolve(variant, {}))
        assert int(snapshots) == math.ceil(float(kimg.replace(",", "")) / TrainConfig.snap_kimg)
        formula = int(snapshots) * 8 * g + 3 * (16 * g + 12 * d)
        assert float(megabytes.replace(",", "")) == pytest.approx(formula / 1e6, rel=0.01), variant
