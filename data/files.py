"""Durable files: whoever opens one sees all of it or none of it, whatever kills the writer."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from data.errors import MissingError, UserError

PARTIAL = ".partial-"


def sync(path: Path) -> None:
    """Flush a file or a folder entry to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder to flush it
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partial_path(path: Path) -> Path:
    """Where `path` is written until it is whole: beside it, so that a rename is atomic."""
    return path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")


def sweep_partial(folder: Path) -> None:
    """Remove what killed writers left in `folder`. Call it only while holding its lock."""
    for path in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def atomic_folder(path: Path, needed_bytes: int = 0) -> Iterator[Path]:
    """Yield a folder to write into, and move it to `path` when the block ends well.

    `needed_bytes`, where they are known beforehand, are part of an error's message.

    Raises:
        MissingError: the disk is full or not writable. Nothing is left behind.
    """
    partial = partial_path(path)
    with storage_errors(path, needed_bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            for file in partial.iterdir():
                sync(file)
            sync(partial)
            os.replace(partial, path)
            sync(path.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def atomic_file(path: Path, needed_bytes: int = 0) -> Iterator[Path]:
    """Yield a file name to write to, and move it to `path` when the block ends well.

    Raises:
        MissingError: the disk is full or not writable. What stood at `path` is intact.
    """
    partial = partial_path(path)
    with storage_errors(path, needed_bytes):
        try:
            yield partial
            sync(partial)
            os.replace(partial, path)
            sync(path.parent)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        MissingError: the disk is full or not writable. What stood at `path` is intact.
    """
    with atomic_file(path, len(content)) as partial:
        partial.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically. NaN has no JSON form and raises ValueError."""
    write_atomic(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        json.JSONDecodeError, OSError: as the standard library does.
    """
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_with_digest(path: Path, content: bytes) -> None:
    """Write a file and beside it its SHA-256, as `sha256sum --check` reads it; read it back.

    Raises:
        MissingError: the disk is full, not writable or faulty.
    """
    digest = hashlib.sha256(content).hexdigest()
    write_atomic(path, content)
    write_atomic(path.with_suffix(".sha256"), f"{digest}  {path.name}\n".encode())
    if sha256_file(path) != digest:
        raise MissingError(f"{path} did not read back as it was written; check the disk")


def written_digest(path: Path) -> str:
    """The SHA-256 that `write_with_digest` wrote beside a file.

    Raises:
        OSError, IndexError: it cannot be read.
    """
    return path.with_suffix(".sha256").read_text().split()[0]


def matches_digest(path: Path) -> bool:
    """Whether a file is as `write_with_digest` wrote it.

    Raises:
        OSError, IndexError: the file or its digest cannot be read.
    """
    return written_digest(path) == sha256_file(path)


@contextmanager
def storage_errors(path: Path, needed_bytes: int = 0) -> Iterator[None]:
    """Turn a full or read-only disk into a MissingError with bytes needed and free."""
    try:
        yield
    except UserError:
        raise  # it has its words already
    except Exception as error:
        cause = _storage_cause(error)
        if cause is None:
            raise
        raise MissingError(_storage_message(path, cause, needed_bytes)) from error


def _storage_cause(error: BaseException | None) -> OSError | None:
    """The OSError behind an exception; torch.save wraps it in a RuntimeError."""
    codes = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
    codes |= {errno.ENOTDIR, errno.EEXIST, errno.ENOENT}  # a file where a folder should be
    while error is not None:
        if isinstance(error, OSError) and error.errno in codes:
            return error
        error = error.__cause__ or error.__context__
    return None


def _storage_message(path: Path, cause: OSError, needed_bytes: int) -> str:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    needed = f"needs {needed_bytes:,} bytes, " if needed_bytes else ""
    free = f"{shutil.disk_usage(folder).free:,} bytes are free"
    return (
        f"cannot write {path}: {cause.strerror} ({needed}{free}); "
        "make room or choose another folder"
    )
