"""Data sets of drawn faces: a store with its factors beside it, made on all cores."""

import csv
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import fields
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from data.faces.draw import draw
from data.faces.factors import Factors, sample_factors
from data.store import write_store
from data.workers import WorkerPool, usable_cores

# Raised whenever the same seed would give other pixels.
GENERATOR_VERSION = 1

FACTORS = "factors.csv"
NAMES = [field.name for field in fields(Factors)]
CHUNK = 64  # faces that a worker draws at a time: about 0.12 s

Chunk = tuple[NDArray[np.uint8], list[list[Any]]]


def write_faces(
    out: Path,
    count: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
    processes: int | None = None,
) -> None:
    """Draw faces 0 to count - 1 of a seed into a new store, with `factors.csv` beside the images.

    The same count and seed give the same bytes, whatever the number of processes. A script that
    calls this needs `if __name__ == "__main__":`, because the workers import it.

    Args:
        progress: called with the number of faces just finished.
        processes: how many to draw with; all cores by default.

    Raises:
        UserError: `out` exists already.
        MissingError: the disk is full or not writable.
    """
    assert min(count - 1, seed) >= 0, (count, seed)
    card = {
        "kind": "faces",
        "name": f"faces-{count}-seed{seed}",
        "seed": seed,
        "generator": GENERATOR_VERSION,
        "versions": {"numpy": np.__version__, "pillow": PIL.__version__},
    }
    with (
        write_store(out, card) as (writer, folder),
        (folder / FACTORS).open("w", encoding="utf-8", newline="") as file,
        closing(_draw_all(count, seed, processes or usable_cores())) as chunks,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(NAMES)
        for images, rows in chunks:
            writer.append(images)
            table.writerows(rows)
            if progress is not None:
                progress(len(images))


def _draw_all(count: int, seed: int, processes: int) -> Generator[Chunk, None, None]:
    """All chunks in order; workers are gone when this is closed, early or not."""
    jobs = [(seed, start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    processes = min(processes, len(jobs))
    if processes == 1:
        yield from starmap(_draw_chunk, jobs)
        return
    with WorkerPool(processes) as pool:
        yield from pool.map(_draw_chunk, *zip(*jobs, strict=True))


def _draw_chunk(seed: int, start: int, stop: int) -> Chunk:
    """Images start to stop - 1, uint8 [n, 3, 64, 64], and their rows of the table."""
    factors = [sample_factors(seed, index) for index in range(start, stop)]
    images = np.stack([np.asarray(draw(each)).transpose(2, 0, 1) for each in factors])
    return images, [[getattr(each, name) for name in NAMES] for each in factors]
