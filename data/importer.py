"""From folders and archives to a store: each file is used, or listed with the reason why not."""

import csv
import hashlib
import platform
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from data.codes import Rejected
from data.decode import TRANSFORM
from data.decoding_pool import Outcome, decode_files
from data.errors import UserError
from data.sources import Source, open_source
from data.sources.folder import FolderSource
from data.sources.members import File, printable
from data.store import CARD, LABELS, Store, StoreWriter, ensure_store, write_store
from data.versions import versions

SKIPPED = "skipped.csv"
MIN_IMAGES = 64  # one batch
SIZES_LISTED = 10
PACKAGES = ("gan-versus", "numpy", "pillow")

Progress = Callable[[int, int], None]


def import_images(
    sources: Sequence[Path],
    out: Path,
    *,
    limit: int | None = None,
    allow_upscale: bool = False,
    dedupe: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Import folders, zips and tars, in this order, as one data set.

    The same sources give the same bytes, whatever `out` is called and however many cores work.

    Args:
        limit: stop after so many images.
        allow_upscale: take images smaller than 64 pixels, too.
        dedupe: drop later copies of the same pixels, which are counted in any case.
        progress: called with the number of files done and of files in all.

    Returns:
        The card of the new store.

    Raises:
        MissingError: a source is not there, or the disk is full.
        UserError: `out` exists, a source cannot be read as a whole, or too few images are usable.
    """
    if out.exists():
        raise UserError(f"{out} exists already; choose another --out or remove it first")
    if limit is not None and limit < MIN_IMAGES:
        raise UserError(f"--limit {limit}: a data set has at least {MIN_IMAGES} images")
    card: dict[str, Any] = {}
    with ExitStack() as stack:
        opened = [stack.enter_context(open_source(path)) for path in sources]
        _check_labels(opened)
        total = sum(len(source.listing.members) for source in opened)
        writer, folder = stack.enter_context(write_store(out, card))
        intake = _Intake(writer, dedupe)
        files = chain.from_iterable(source.files() for source in opened)
        with closing(decode_files(files, allow_upscale)) as decoded:
            for done, (file, outcome) in enumerate(decoded, start=1):
                intake.take(file, outcome)
                if progress:
                    progress(done, total)
                if writer.count == limit:
                    break
        card |= intake.counts(total) | _origin(opened)
        if writer.count < MIN_IMAGES:
            raise UserError(_too_few(card))
        intake.write_lists(folder)
    return card


def rejected_share(card: dict[str, Any]) -> float:
    """The share of the files read that were rejected, from 0 to 1."""
    files = card["files"]
    return files["rejected"] / (files["found"] - files["not_read"])


def open_dataset(path: Path, cache: Path, progress: Progress | None = None) -> Store:
    """Open a store; or a folder or archive of images, which is imported on its first use.

    The import is kept in `cache`, under a name that changes with the source's path and content.

    Raises:
        MissingError, UserError: as `import_images` and `Store` do.
    """
    if (path / CARD).is_file():
        return Store(path)
    state = repr((str(path.absolute()), _state(path), TRANSFORM))
    key = hashlib.sha256(state.encode()).hexdigest()[:12]
    stem = re.sub(r"[^\w.-]", "_", _stem(path.resolve().name))
    return ensure_store(
        cache / f"{stem}-{key}",
        lambda folder: import_images([path], folder, progress=progress),
    )


class _Intake:
    """Puts each decoded file into the store, or on the list of those that are not used."""

    def __init__(self, writer: StoreWriter, dedupe: bool) -> None:
        self._writer = writer
        self._dedupe = dedupe
        self._digests: set[bytes] = set()
        self._labels: list[int] = []
        self._skipped: list[tuple[str, str, Rejected]] = []
        self._notes: Counter[str] = Counter()
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._duplicates = 0

    def take(self, file: File, outcome: Outcome) -> None:
        if isinstance(outcome, Rejected):
            self._skipped.append((file.source, file.name, outcome))
            return
        if outcome.digest in self._digests:
            self._duplicates += 1
            if self._dedupe:
                return
        self._digests.add(outcome.digest)
        self._writer.append(outcome.pixels[np.newaxis])
        self._notes.update(outcome.notes)
        self._sizes[outcome.size] += 1
        if file.label is not None:
            self._labels.append(file.label)

    def counts(self, found: int) -> dict[str, Any]:
        """The counts for the card; `found` is the number of files that were listed."""
        read = {
            "accepted": self._writer.count,
            "rejected": len(self._skipped),
            "duplicates_dropped": self._duplicates if self._dedupe else 0,
        }
        sizes = {f"{w}x{h}": count for (w, h), count in self._common_sizes()}
        return {
            "files": {"found": found, **read, "not_read": found - sum(read.values())},
            "rejected": _sorted(Counter(problem.code for *_, problem in self._skipped)),
            "notes": _sorted(self._notes),
            "duplicates": self._duplicates,
            "sizes": sizes | {"others": self._sizes.total() - sum(sizes.values())},
        }

    def write_lists(self, folder: Path) -> None:
        """Write skipped.csv, and labels.npy where the source has labels."""
        with (folder / SKIPPED).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("source", "name", "code", "reason"))
            for source, name, problem in self._skipped:
                rows.writerow((source, printable(name), problem.code, printable(problem.reason)))
        if self._labels:
            np.save(folder / LABELS, np.array(self._labels, dtype=np.int64))

    def _common_sizes(self) -> list[tuple[tuple[int, int], int]]:
        """The commonest sizes; of equally common ones the smaller."""
        ranked = sorted(self._sizes.items(), key=lambda item: (-item[1], item[0]))
        return ranked[:SIZES_LISTED]


def _origin(sources: Sequence[Source]) -> dict[str, Any]:
    """Where the images come from and what was done to them: nothing that two imports differ in."""
    ignored: Counter[str] = Counter()
    for source in sources:
        ignored += source.listing.ignored
    return {
        "kind": "import",
        "name": "+".join(_stem(source.name) for source in sources),
        "sources": [
            {"name": source.name, "kind": source.kind, "sha256": source.digest()}
            for source in sources
        ],
        "ignored": _sorted(ignored),
        "name_collisions": sum(source.listing.collisions for source in sources),
        "transform": TRANSFORM,
        "versions": {"python": platform.python_version()} | versions(PACKAGES),
    }


def _check_labels(sources: Sequence[Source]) -> None:
    without = [source.name for source in sources if source.labels is None]
    if 0 < len(without) < len(sources):
        raise UserError(
            f"{without[0]} has no labels and another source has; import them into sets of their own"
        )


def _too_few(card: dict[str, Any]) -> str:
    found = [f"{code} {count:,}" for code, count in card["rejected"].items()]
    found += [f"{count:,} {kind} ignored" for kind, count in card["ignored"].items()]
    if card["files"]["duplicates_dropped"]:
        found.append(f"{card['files']['duplicates_dropped']:,} duplicates dropped")
    return (
        f"{card['name']} has {card['files']['accepted']} usable images, at least {MIN_IMAGES} are "
        f"needed (found otherwise: {', '.join(found) or 'nothing'})"
    )


def _state(path: Path) -> object:
    """What tells a changed source from the one that was imported."""
    if path.is_dir():
        return FolderSource(path).state()
    return path.exists() and (path.stat().st_size, path.stat().st_mtime_ns)


def _stem(name: str) -> str:
    return re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", name, flags=re.IGNORECASE)


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))
