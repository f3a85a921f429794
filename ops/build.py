"""The compiled ops' libraries: compiled once a machine, kept in a cache, loaded once a process.

<cache>/ops/cpu-0f3c.../    library.so, library.sha256
<cache>/ops/cpu-0f3c....log what the compiler said
<cache>/ops/.lock           held by the process that compiles

A folder appears whole or not at all, and the lock dies with its process: whatever kills a build,
the next one is as the first.
"""

import functools
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from data.cache import cache_folder
from data.errors import MissingError
from data.files import PARTIAL, atomic_folder, sha256_file
from ops.recipe import Recipe, recipe

LIBRARY = "library.so"
SHA256 = "library.sha256"
USUAL_TIME = {"cpu": "about half a minute", "cuda": "a few minutes"}


@functools.cache
def load(device: str) -> None:
    """Load the library for "cpu" or "cuda" into this process, compiled first where need be.

    Raises:
        MissingError: it cannot be had; the reason is one line.
    """
    library = build(device)
    try:
        torch.ops.load_library(library)
    except OSError as error:
        raise MissingError(f"{library} does not load: {error}") from error


def build(device: str) -> Path:
    """Compile the library for "cpu" or "cuda" unless that is done; returns where it is.

    Raises:
        MissingError: it cannot be compiled; the reason is one line.
    """
    plan = recipe(device)
    library = library_path(plan)
    if is_whole(library):
        return library
    with _cache_errors(), _only_builder():
        if not is_whole(library):  # else another process has made it meanwhile
            _compile(plan, library.parent)
    return library


def library_path(plan: Recipe) -> Path:
    """Where a recipe's library is, or would be."""
    return cache_folder("ops") / f"{plan.device}-{plan.key}" / LIBRARY


def is_whole(library: Path) -> bool:
    """Whether a library is there and as it was when it was made."""
    try:
        return sha256_file(library) == library.with_name(SHA256).read_text()
    except (OSError, UnicodeDecodeError):
        return False


def _compile(plan: Recipe, folder: Path) -> None:
    if folder.exists():
        _say(f"{folder / LIBRARY} is damaged: compiling it again")
        shutil.rmtree(folder)
    _say(f"compiling the fused ops for {plan.device}, once ({USUAL_TIME[plan.device]}) ...")
    start = time.monotonic()
    with atomic_folder(folder) as partial:
        _run_ninja(plan, partial, folder.with_name(f"{folder.name}.log"))
        (partial / SHA256).write_text(sha256_file(partial / LIBRARY))
    _say(f"compiled the fused ops for {plan.device} in {time.monotonic() - start:.0f} s")


def _run_ninja(plan: Recipe, folder: Path, log: Path) -> None:
    (folder / "build.ninja").write_text(ninja_file(plan))
    # A killed build's compiler may still be writing to the log of that time.
    log.unlink(missing_ok=True)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [plan.ninja, "-v"], cwd=folder, stdout=output, stderr=subprocess.STDOUT
        ) as ninja,
    ):
        try:
            failed = ninja.wait()
        except BaseException:
            ninja.terminate()  # it ends its compilers; to kill it would leave them running
            raise
    if failed:
        raise MissingError(f"compiling them fails: {first_error(log)} (all of it: {log})")
    for leftover in folder.glob("*.o"):
        leftover.unlink()


def ninja_file(plan: Recipe) -> str:
    """One object for each source, and the library from all of them."""
    command = _shell(*plan.compiler, *plan.flags)
    objects = [f"{source.stem}.o" for source in plan.sources]
    lines = [
        "rule compile",
        f"  command = {command} {_shell(*plan.headers)} -c $in -o $out",
        "rule link",
        f"  command = {command} -shared $in -o $out {_shell(*plan.libraries)}",
        f"build {LIBRARY}: link {' '.join(objects)}",
    ]
    for name, source in zip(objects, plan.sources, strict=True):
        escaped = re.sub(r"([$ :])", r"$\1", str(source))
        lines.append(f"build {name}: compile {escaped}")
    return "\n".join(lines) + "\n"


def _shell(*words: str) -> str:
    """A command as it stands in a ninja file."""
    return shlex.join(words).replace("$", "$$")


def first_error(log: Path) -> str:
    """The first line of a log that speaks of an error."""
    lines = log.read_text(errors="replace").splitlines()
    found = (line for line in lines if re.search(r"(error|fatal)( #\S+)?\s*:|\bld: ", line))
    return next(found, lines[-1] if lines else "ninja said nothing").strip()


@contextmanager
def _only_builder() -> Iterator[None]:
    """Wait for whoever compiles now, and clear away what killed ones left."""
    folder = cache_folder("ops")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        _say("waiting for another process that compiles the fused ops ...")
        lock.acquire()
    try:
        # A killed build's compiler may still be writing there: what resists is for the next.
        for leftover in folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        lock.release()


@contextmanager
def _cache_errors() -> Iterator[None]:
    """Turn what makes the cache unusable into a MissingError."""
    try:
        yield
    except OSError as error:
        raise MissingError(
            f"cannot use {cache_folder('ops')}: {error.strerror}; set GAN_VERSUS_CACHE to a folder "
            "that can be written"
        ) from error


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
