"""What the documents show and name: their blocks, their prose, and the commands in both."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("[a-z]*/README.md")),
]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
SHELL = ("", "sh", "bash", "console")
DRAWN = set("│─►◄┌└")  # a picture made of lines, and no commands


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
