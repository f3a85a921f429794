"""The store: a data set as one memory-mapped array of pixels with a JSON card beside it.

images.npy    uint8 [N, 3, 64, 64]
card.json     what it is: sources, counts, hash, transform, library versions
labels.npy    int64 [N], where the source had labels
factors.csv   one row an image, for the drawn faces
skipped.csv   one row a rejected file, for imports
split.json    the held-out rows, after `bench data split`
"""

import copy
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from data.errors import MissingError, UserError
from data.files import PARTIAL, atomic_folder, read_json, sha256_file, storage_errors, write_json

RESOLUTION = 64
IMAGE_SHAPE = (3, RESOLUTION, RESOLUTION)
CARD = "card.json"
IMAGES = "images.npy"
LABELS = "labels.npy"
SPLIT = "split.json"

# Sets the draw of a subset apart from the orders of its epochs, which have the same seed.
SUBSET_KEY = (1,)

# The .npy header of a store: 128 bytes whatever N is, so it is written again when N is known.
HEADER_BYTES = 128


class Store:
    """An opened data set: reading it costs milliseconds, whatever its size.

    Attributes:
        images: uint8 [N, 3, 64, 64], memory-mapped.
        card: the parsed `card.json`.
        drawn: how many `images` a subset trains on, and the `seed` of its draw; None for all.
    """

    drawn: Mapping[str, int] | None = None

    def __init__(self, folder: Path) -> None:
        """Open a store.

        Raises:
            MissingError: there is no store in `folder`.
            UserError: there is one, and it is damaged.
        """
        self.folder = folder
        if not (folder / CARD).is_file():
            raise MissingError(
                f"{folder} holds no data set ({CARD} is missing); make one with "
                "`bench data import` or `bench data faces`"
            )
        try:
            self.card: dict[str, Any] = read_json(folder / CARD)
            # Copy-on-write pages: torch warns of arrays that it must not write to.
            self.images = np.load(folder / IMAGES, mmap_mode="c")
            whole = self.images.shape == (self.card["count"], *IMAGE_SHAPE)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder} is damaged ({error}); import it again") from error
        if not whole or self.images.dtype != np.uint8:
            raise UserError(
                f"{folder} is damaged: {IMAGES} is {self.images.dtype} {self.images.shape}, "
                f"{CARD} says {self.card['count']} images; import it again"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def labels(self) -> NDArray[np.int64] | None:
        path = self.folder / LABELS
        return np.load(path) if path.exists() else None

    def verify(self) -> None:
        """Read every pixel and compare its SHA-256 with the card's (0.3 s for 19,000 images).

        Raises:
            UserError: they differ, so the file has changed since it was written.
        """
        if sha256_file(self.folder / IMAGES) != self.card["sha256"]:
            raise UserError(
                f"{self.folder / IMAGES} does not match the SHA-256 of its card: it has changed "
                "on the disk; import it again"
            )

    def rows(self, part: str = "train") -> NDArray[np.int64]:
        """The rows of one part: `train` and `heldout` after a split, all of them before.

        Raises:
            UserError: the split is damaged.
        """
        path = self.folder / SPLIT
        try:
            heldout = np.array(read_json(path)["heldout"] if path.exists() else [], dtype=np.int64)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); split it again") from error
        if part == "heldout":
            return heldout
        rows = np.setdiff1d(np.arange(len(self)), heldout)
        if self.drawn is None:
            return rows
        source = np.random.SeedSequence(self.drawn["seed"], spawn_key=SUBSET_KEY)
        return np.sort(np.random.default_rng(source).permutation(rows)[: self.drawn["images"]])

    def subset(self, images: int, seed: int) -> "Store":
        """This data set with `images` of its training rows, drawn by a seed.

        What is held out stays as it is, and a smaller subset is a part of a larger one.

        Raises:
            UserError: there are not so many.
        """
        if not 0 < images <= len(self.rows("train")):
            raise UserError(
                f"{self.folder} has {len(self.rows('train')):,} training images: {images:,} of "
                "them are no subset"
            )
        view = copy.copy(self)
        view.drawn = {"images": images, "seed": seed}
        return view

    def split(self, heldout: int) -> None:
        """Set `heldout` images aside, chosen by their pixels' SHA-256 and by nothing else.

        The images with the smallest digests are held out, so that the choice survives a new order
        of the files, and most of it survives added files. Copies of one picture share a digest and
        go to the same side.

        Raises:
            UserError: the count leaves one side empty, or copies make it impossible to meet.
        """
        if not 0 < heldout < len(self):
            raise UserError(f"--heldout {heldout}: {self.folder} has {len(self)} images")
        groups: dict[str, list[int]] = {}
        for row, image in enumerate(self.images):
            groups.setdefault(hashlib.sha256(image.tobytes()).hexdigest(), []).append(row)
        chosen: list[int] = []
        for digest in sorted(groups):
            if len(chosen) + len(groups[digest]) <= heldout:
                chosen += groups[digest]
        if len(chosen) != heldout:
            raise UserError(
                f"--heldout {heldout}: {self.folder} repeats its pictures so often that only "
                f"{len(chosen)} can be held out; import it with --dedupe"
            )
        write_json(
            self.folder / SPLIT,
            {"method": "smallest SHA-256 of the pixels", "heldout": sorted(chosen)},
        )


class StoreWriter:
    """Takes images as they come; made by `write_store`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._file.write(bytes(HEADER_BYTES))
        self.count = 0

    def append(self, images: NDArray[np.uint8]) -> None:
        """Add images, uint8 [n, 3, 64, 64]."""
        assert images.dtype == np.uint8, images.dtype
        assert images.shape[1:] == IMAGE_SHAPE, images.shape
        self._file.write(np.ascontiguousarray(images).data)
        self.count += len(images)

    def finish(self) -> None:
        """Write the header, now that the count is known."""
        self._file.seek(0)
        header = {
            "descr": "|u1",
            "fortran_order": False,
            "shape": (self.count, *IMAGE_SHAPE),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
        assert self._file.tell() == HEADER_BYTES


def ensure_store(folder: Path, make: Callable[[Path], object]) -> Store:
    """Open a store that `make(folder)` writes on first use, whoever else does so too."""
    if not folder.exists():
        try:
            make(folder)
        except UserError:
            if not folder.exists():  # else another process has made it meanwhile
                raise
    return Store(folder)


@contextmanager
def write_store(folder: Path, card: dict[str, Any]) -> Iterator[tuple[StoreWriter, Path]]:
    """Yield a writer and the folder for further files; the store appears whole or not at all.

    `card` may be filled until the block ends; count, shape and SHA-256 are added here.

    Raises:
        UserError: `folder` exists already.
        MissingError: the disk is full or not writable.
    """
    with _only_writer(folder), atomic_folder(folder) as partial:
        with (partial / IMAGES).open("wb+") as file:
            writer = StoreWriter(file)
            yield writer, partial
            writer.finish()
        card |= {
            "format": 1,
            "count": writer.count,
            "shape": [writer.count, *IMAGE_SHAPE],
            "sha256": sha256_file(partial / IMAGES),
        }
        write_json(partial / CARD, card)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Wait for whoever writes a store there, and clear away what a killed writer left.

    Raises:
        UserError: there is one now.
    """
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire()
            if folder.exists():
                raise UserError(f"{folder} exists already; choose another --out or remove it first")
            for killed in folder.parent.glob(f"{PARTIAL}*"):
                if killed.name.removeprefix(PARTIAL).partition("-")[2] == folder.name:
                    shutil.rmtree(killed)
            yield
        finally:
            lock.release()
            with suppress(OSError):
                Path(lock.lock_file).unlink()
