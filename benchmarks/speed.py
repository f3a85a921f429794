"""Speed as a ratio against a named rival, measured side by side in one run."""

import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.tutorial_loop import TutorialLoop, loader
from data.batches import Batches
from data.faces import write_faces
from data.importer import import_images
from data.store import Store
from training.config import resolve
from training.environment import hardware
from training.loop import Trainer
from training.precision import without_auto

BATCH = 64
ROUNDS = 15
FACES = 2000


@dataclass(frozen=True)
class Result:
    """One comparison; rates are images a second, and a ratio above 1 is in our favour."""

    what: str
    images_per_sec: float
    rival: str
    rival_images_per_sec: float | None
    ratio: float | None
    goal: str
    hardware: str


def step() -> list[Result]:
    """A training step of `tutorial` against the tutorial's loop, in fp32 and as `auto` chooses."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        store = _faces(Path(folder))
        _write_jpegs(store, Path(folder) / "files" / "faces")
        batches = loader(Path(folder) / "files", BATCH) if on_gpu else repeat(_reals(store))
        rival = TutorialLoop(batches, device)
        name = "tutorial loop with its DataLoader" if on_gpu else "tutorial loop"
        goals = {"auto": "3" if on_gpu else "1.5", "fp32": "1"}
        results = []
        for precision, goal in goals.items():
            config, _ = without_auto(
                resolve("dcgan", "tutorial", {}, {"batch": BATCH, "precision": precision}, store),
                store,
            )
            ours = Trainer(config, store)
            chosen = f"{config.training.precision} {config.training.memory_format}"
            times = _interleaved(ours.step, rival.step, ROUNDS)
            results.append(_result(f"step, {precision} = {chosen}", name, times, BATCH, goal))
    return results


def batches() -> list[Result]:
    """Batches from the store against a DataLoader over the same images as JPEG files."""
    with tempfile.TemporaryDirectory() as folder:
        store = _faces(Path(folder))
        _write_jpegs(store, Path(folder) / "files" / "faces")
        ours = Batches(store, BATCH, torch.device("cpu"))
        rival = loader(Path(folder) / "files", BATCH)
        count = len(store) // BATCH  # an epoch a round: the workers' start is part of it

        def ours_epoch() -> None:
            for index in range(count):
                ours.at(0, index * BATCH)

        def rival_epoch() -> None:
            for _ in range(count):
                next(rival)

        times = _interleaved(ours_epoch, rival_epoch, 3)
    return [_result("batches", "DataLoader over JPEG files", times, count * BATCH, "10")]


def imports() -> list[Result]:
    """Import of a zip of 64-px JPEGs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = folder / "files"
        _write_jpegs(_faces(folder), files)
        archive = folder / "faces.zip"
        with zipfile.ZipFile(archive, "w") as zipped:
            for path in sorted(files.iterdir()):
                zipped.write(path, path.name)
        seconds = _seconds(lambda: import_images([archive], folder / "imported"))
    return [Result("import", FACES / seconds, "-", None, None, "1500 img/s", _hardware())]


def faces() -> list[Result]:
    """Drawing faces, all cores."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = _seconds(lambda: write_faces(Path(folder) / "faces", FACES, 0))
    return [Result("drawn faces", FACES / seconds, "-", None, None, "800 img/s", _hardware())]


SUITE: dict[str, Callable[[], list[Result]]] = {
    "step": step,
    "batches": batches,
    "import": imports,
    "faces": faces,
}


def _interleaved(
    ours: Callable[[], Any], rival: Callable[[], Any], rounds: int
) -> list[tuple[float, float]]:
    """Seconds of each in turn, after one round to warm up."""
    ours()
    rival()
    return [(_seconds(ours), _seconds(rival)) for _ in range(rounds)]


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _result(
    what: str, rival: str, times: list[tuple[float, float]], images: int, goal: str
) -> Result:
    return Result(
        what,
        images / statistics.median(ours for ours, _ in times),
        rival,
        images / statistics.median(theirs for _, theirs in times),
        statistics.median(theirs / ours for ours, theirs in times),
        goal,
        _hardware(),
    )


def _hardware() -> str:
    return hardware(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _faces(folder: Path) -> Store:
    write_faces(folder / "store", FACES, 0)
    return Store(folder / "store")


def _reals(store: Store) -> torch.Tensor:
    return Batches(store, BATCH, torch.device("cpu")).at(0, 0)


def _write_jpegs(store: Store, folder: Path) -> None:
    folder.mkdir(parents=True)
    for row, image in enumerate(store.images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{row:05d}.jpg", quality=90)
