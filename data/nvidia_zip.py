"""NVIDIA's dataset zip: PNG files in numbered folders and a dataset.json with their labels."""

import io
import json
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.errors import UserError
from data.files import atomic_file, storage_errors
from data.store import Store

DATASET_JSON = "dataset.json"
OFFENDERS_SHOWN = 5


def export_zip(store: Store, out: Path, progress: Callable[[int], None] | None = None) -> None:
    """Write a store as one uncompressed zip; `progress` is told each image.

    Raises:
        UserError: `out` exists already.
        MissingError: the disk is full or not writable.
    """
    if out.exists():
        raise UserError(f"{out} exists already; choose another --out or remove it first")
    labels = store.labels
    names = [f"{row // 1000:05d}/img{row:08d}.png" for row in range(len(store))]
    pairs = None if labels is None else list(zip(names, labels.tolist(), strict=True))
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(out) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, image in zip(names, store.images, strict=True):
            archive.writestr(_entry(name), _png(image))
            if progress:
                progress(1)
        archive.writestr(_entry(DATASET_JSON), json.dumps({"labels": pairs}))


def parse_labels(
    content: bytes, listed: Collection[str], usable: Collection[str], source: str
) -> dict[str, int] | None:
    """Read a dataset.json; None where it has no labels, or is another program's file.

    Raises:
        UserError: it is damaged, does not give each usable file one integer, or labels a file
            that is not listed.
    """
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: {DATASET_JSON} is damaged ({error})") from error
    pairs = parsed.get("labels") if isinstance(parsed, dict) else None
    if pairs is None:
        return None
    labels: dict[str, int] = {}
    offenders = _collect(pairs, labels)
    offenders += [f"'{name}' has no label" for name in sorted(set(usable) - set(labels))]
    offenders += [f"'{name}' is not in the source" for name in labels if name not in listed]
    if offenders:
        raise UserError(
            f"{source}: {DATASET_JSON} has {len(offenders):,} mistakes: "
            + "; ".join(offenders[:OFFENDERS_SHOWN])
        )
    return labels


def _collect(pairs: Any, labels: dict[str, int]) -> list[str]:
    """Fill `labels` with the pairs that are right, and describe those that are wrong."""
    if not isinstance(pairs, list):
        return ["'labels' is no list"]
    offenders = []
    for pair in pairs:
        match pair:
            case [str(name), int(label)] if type(label) is int and abs(label) < 2**63:
                if name in labels:
                    offenders.append(f"'{name}' has two labels")
                labels[name] = label
            case [str(name), label]:
                offenders.append(f"the label of '{name}' is no integer: {str(label)[:20]}")
                labels[name] = 0
            case _:
                offenders.append(f"no pair of name and label: {str(pair)[:40]}")
    return offenders


def _entry(name: str) -> zipfile.ZipInfo:
    """A member's record, dated 1980 and from Unix: the same store gives the same zip everywhere."""
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


def _png(image: NDArray[np.uint8]) -> bytes:
    """Encode uint8 [3, 64, 64]. Uncompressed, as NVIDIA's are: no zlib has a say in the bytes."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(
        file, "PNG", compress_level=0
    )
    return file.getvalue()
