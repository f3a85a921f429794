"""Weight files of others: where they are published, what they must be, where they are kept.

A file is used under its name only while its SHA-256 is the pinned one: a cut download, a swapped
file or a flipped bit would give numbers that look like any others.
"""

import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from data.cache import cache_folder
from data.errors import MissingError, UserError
from data.files import atomic_file, sha256_file, storage_errors, sync

TIMEOUT_SEC = 30  # without a byte from the server
CHUNK_BYTES = 1 << 20
Progress = Callable[[int], None]


@dataclass(frozen=True)
class WeightFile:
    name: str
    url: str
    sha256: str
    size_bytes: int

    @property
    def path(self) -> Path:
        """Where it is, or would be."""
        return weights_folder() / self.name


# Two forms of one network: the first that is there is the one that is used.
INCEPTION = (
    WeightFile(
        "inception-2015-12-05.pt",
        "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/"
        "inception-2015-12-05.pt",
        "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
        95_607_719,
    ),
    WeightFile(
        "pt_inception-2015-12-05-6726825d.pth",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        95_628_359,
    ),
)


def weights_folder() -> Path:
    """$GAN_VERSUS_WEIGHTS, or `weights` in the cache."""
    own = os.environ.get("GAN_VERSUS_WEIGHTS")
    return Path(own).expanduser().absolute() if own else cache_folder("weights")


def weight_file(name: str) -> WeightFile:
    """The known file of that name.

    Raises:
        UserError: there is none.
    """
    for file in INCEPTION:
        if file.name == name:
            return file
    raise UserError(f'no weights "{name}": choose {" or ".join(file.name for file in INCEPTION)}')


def find_inception() -> tuple[Path, str]:
    """An Inception file that is what it must be, and its SHA-256; it is read through, in 0.1 s.

    Raises:
        MissingError: there is none.
        UserError: there is one, and it is another file or a damaged one.
    """
    for file in INCEPTION:
        if file.path.is_file():
            check(file)
            return file.path, file.sha256
    file = INCEPTION[0]
    raise MissingError(
        "FID cannot be computed here, for want of Inception's weights: "
        f"`bench weights fetch` downloads {file.url} ({file.size_bytes:,} bytes); "
        f"without a network, put that file at {file.path}"
    )


def check(file: WeightFile) -> None:
    """Compare the file that is there with its pinned SHA-256.

    Raises:
        UserError: it is another file or a damaged one, or cannot be read.
    """
    try:
        found = sha256_file(file.path)
    except OSError as error:
        raise UserError(f"{file.path} cannot be read: {error.strerror}") from error
    _require_digest(found, file, file.path, f"`bench weights fetch {file.name}` replaces it")


def fetch(
    file: WeightFile,
    source: str | None = None,
    *,
    offline: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Put a file where it belongs, whole or not at all, unless it is there; returns its path.

    A download that was cut goes on where it stopped. A damaged file is replaced.

    Args:
        source: the URL or local file to take it from, instead of where it is published.
        offline: never touch the network.
        progress: called with the bytes that are there so far.

    Raises:
        MissingError: it cannot be had: no network, no such file, no room.
        UserError: what was found is another file.
    """
    remote = source is None or source.startswith(("http://", "https://"))
    if source and not remote:
        _require_readable(Path(source))
    if source and remote and offline:
        raise UserError(f"--from {source} needs the network, and --offline forbids it")
    if _is_right(file):
        return file.path
    with storage_errors(file.path, file.size_bytes):
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.path.with_name(f".{file.name}.lock")):
            if _is_right(file):
                return file.path  # another process has fetched it meanwhile
            if source and not remote:
                _copy(file, Path(source))
            elif offline:
                raise MissingError(
                    f"--offline: download {file.url} ({file.size_bytes:,} bytes) elsewhere and put "
                    f"it at {file.path}, or name it: `bench weights fetch {file.name} --from FILE`"
                )
            else:
                _download(file, source or file.url, progress or (lambda done: None))
    return file.path


def _is_right(file: WeightFile) -> bool:
    with suppress(OSError):
        return sha256_file(file.path) == file.sha256
    return False


def _require_readable(source: Path) -> None:
    if not source.is_file():
        raise MissingError(f"--from {source}: no such file")
    if not os.access(source, os.R_OK):
        raise UserError(f"--from {source}: it cannot be read")


def _require_digest(found: str, file: WeightFile, where: object, remedy: str) -> None:
    if found != file.sha256:
        raise UserError(
            f"{where} is not {file.name}, or is damaged: its SHA-256 is {found}, "
            f"and {file.sha256} is needed; {remedy}"
        )


def _copy(file: WeightFile, source: Path) -> None:
    with atomic_file(file.path, file.size_bytes) as partial:
        shutil.copyfile(source, partial)
        _require_digest(sha256_file(partial), file, source, f"it comes from {file.url}")


def _download(file: WeightFile, url: str, progress: Progress) -> None:
    """Fill NAME.part, which a cut download leaves for the next, and rename it when it is right."""
    part = file.path.with_name(f"{file.name}.part")
    with part.open("ab") as output:
        _receive(file, url, output, progress)
    try:
        _require_digest(sha256_file(part), file, url, "nothing of it is kept")
    except UserError:
        part.unlink()
        raise
    sync(part)
    os.replace(part, file.path)
    sync(file.path.parent)


def _receive(file: WeightFile, url: str, output: BinaryIO, progress: Progress) -> None:
    """Append to `output` what it lacks of a file."""
    if output.tell() >= file.size_bytes:
        return
    with _network_errors(file, url, output):
        request = urllib.request.Request(url, headers={"Range": f"bytes={output.tell()}-"})
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SEC)
    with response:
        if _first_byte(response, file, url) != output.tell():  # the server knows no ranges
            output.seek(0)
            output.truncate()
        progress(output.tell())
        while missing := file.size_bytes - output.tell():
            with _network_errors(file, url, output):
                chunk = response.read1(min(CHUNK_BYTES, missing))
                if not chunk:
                    raise ConnectionError("the server has closed the connection")
            output.write(chunk)
            progress(output.tell())


def _first_byte(response: HTTPResponse, file: WeightFile, url: str) -> int:
    """Where in the file an answer begins.

    Raises:
        UserError: a file of another size is served.
    """
    content_range = re.match(r"bytes (\d+)-\d+/(\d+)", response.headers["Content-Range"] or "")
    start, size = (
        content_range.groups() if content_range else (0, response.headers["Content-Length"])
    )
    if size is not None and int(size) != file.size_bytes:
        raise UserError(f"{url} is another file: {int(size):,} bytes, not {file.size_bytes:,}")
    return int(start)


@contextmanager
def _network_errors(file: WeightFile, url: str, output: BinaryIO) -> Iterator[None]:
    """Turn whatever a network does into a MissingError that says what is there so far."""
    try:
        yield
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(error, urllib.error.HTTPError):
            reason = f"the server answers {error.code} {reason}"
        raise MissingError(
            f"{url}: {reason}; {output.tell():,} of {file.size_bytes:,} bytes are there, and "
            "the same command goes on from them"
        ) from error
