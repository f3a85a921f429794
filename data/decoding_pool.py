"""Decoding on all cores, in order: whatever the number of processes, the output is the same."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from itertools import chain, islice

from data.codes import Rejected
from data.decode import Decoded, decode_image
from data.sources.members import File
from data.workers import WorkerPool, usable_cores

CHUNK_FILES = 32
CHUNK_BYTES = 4 * 2**20
ALONE_CHUNKS = 8  # fewer than these are decoded before a pool has started
WAITING_BYTES = 256 * 2**20  # read and not yet decoded, at most, over one file

Outcome = Decoded | Rejected


def decode_files(files: Iterable[File], allow_upscale: bool) -> Generator[tuple[File, Outcome]]:
    """Decode files on all cores; yields them in the order in which they came.

    Reads only so far ahead as to keep the cores busy: memory does not grow with the number of
    files. Close the iterator to stop early.

    Raises:
        MissingError: a process was killed, for want of memory.
    """
    chunks = _chunks(files)
    first = list(islice(chunks, ALONE_CHUNKS))
    if len(first) < ALONE_CHUNKS:
        decoded = ((chunk, _decode_chunk(chunk, allow_upscale)) for chunk in first)
    else:
        decoded = _decode_in_processes(chain(first, chunks), allow_upscale)
    with closing(decoded):
        for chunk, outcomes in decoded:
            yield from zip(chunk, outcomes, strict=True)


def _decode_in_processes(
    chunks: Iterator[list[File]], allow_upscale: bool
) -> Generator[tuple[list[File], list[Outcome]]]:
    processes = usable_cores()
    waiting: deque[tuple[list[File], Future[list[Outcome]]]] = deque()
    waiting_bytes = 0
    with WorkerPool(processes) as pool:
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_decode_chunk, chunk, allow_upscale)))
            waiting_bytes += _size(chunk)
            while len(waiting) > 2 * processes or waiting_bytes > WAITING_BYTES:
                done, future = waiting.popleft()
                waiting_bytes -= _size(done)
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()


def _decode_chunk(chunk: list[File], allow_upscale: bool) -> list[Outcome]:
    return [_decode_file(file, allow_upscale) for file in chunk]


def _decode_file(file: File, allow_upscale: bool) -> Outcome:
    if isinstance(file.content, Rejected):
        return file.content
    try:
        return decode_image(file.content, file.name, allow_upscale)
    except Rejected as problem:
        return problem


def _chunks(files: Iterable[File]) -> Iterator[list[File]]:
    """Bundle files: a bundle costs a process switch, however much is in it."""
    chunk: list[File] = []
    for file in files:
        chunk.append(file)
        if len(chunk) == CHUNK_FILES or _size(chunk) > CHUNK_BYTES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _size(chunk: list[File]) -> int:
    return sum(len(file.content) for file in chunk if isinstance(file.content, bytes))
