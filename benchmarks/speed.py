"""Speed as a ratio against a named rival, measured side by side in one run."""

import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.speed_fid import fid
from benchmarks.speed_ops import ops
from benchmarks.timing import (
    Result,
    compare,
    interleaved,
    seconds,
    this_device,
    this_hardware,
)
from benchmarks.tutorial_loop import TutorialLoop, loader
from data.batches import Batches
from data.faces import write_faces
from data.importer import import_images
from data.store import Store
from models.registry import Phase
from training.config import resolve
from training.loop import Trainer
from training.precision import without_auto

BATCH = 64
ROUNDS = 15
FACES = 2000


def step() -> list[Result]:
    """A training step of `tutorial` against the tutorial's loop, in fp32 and as `auto` chooses."""
    device = this_device()
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
            times, theirs = interleaved([ours.step, rival.step], ROUNDS)
            what = f"step, {precision} = {chosen}"
            results.append(compare(what, times, name, theirs, BATCH, goal))
    return results


def train() -> list[Result]:
    """A trained image of StyleGAN's `compact`, lazy regularisation included, against the same
    network on plain torch ops in fp32; on a GPU compiled as well.
    """
    on_gpu = this_device().type == "cuda"
    batch, goal = (64, "3,900 img/s") if on_gpu else (8, "3")
    with tempfile.TemporaryDirectory() as folder:
        store = _faces(Path(folder))

        def trainer(ops: str, **training: Any) -> Trainer:
            training = {"batch": batch, **training}
            config, _ = without_auto(
                resolve("stylegan", "compact", {"ops": ops}, training, store), store
            )
            return Trainer(config, store)

        rival = trainer("ref", precision="fp32", memory_format="contiguous")
        results = []
        for compiled in (False, True) if on_gpu else (False,):
            ours = trainer("native", compile=compiled)
            times, theirs = _image_times([ours, rival], batch, ROUNDS if on_gpu else 3)
            chosen = ours.config.training
            what = f"compact, auto = {chosen.precision} {chosen.memory_format}"
            what += ", compiled" * compiled
            results.append(compare(what, times, "plain torch ops, fp32", theirs, 1, goal))
    return results


def _image_times(trainers: list[Trainer], batch: int, rounds: int) -> list[list[float]]:
    """Each trainer's seconds an image, round by round: every phase at its share of the steps."""
    totals = [[0.0] * rounds for _ in trainers]
    for phases in zip(*(trainer.phases for trainer in trainers), strict=True):
        works = [
            partial(_turn, trainer, phase, trainer.real_batch(batch))
            for trainer, phase in zip(trainers, phases, strict=True)
        ]
        for total, times in zip(totals, interleaved(works, rounds), strict=True):
            for index, time in enumerate(times):
                total[index] += time / phases[0].interval / batch
    return totals


def _turn(trainer: Trainer, phase: Phase, reals: torch.Tensor) -> None:
    trainer.begin_turns()
    trainer.update(phase, reals)


def batches() -> list[Result]:
    """Batches from the store against a DataLoader over the same images as JPEG files."""
    with tempfile.TemporaryDirectory() as folder:
        store = _faces(Path(folder))
        _write_jpegs(store, Path(folder) / "files" / "faces")
        ours = Batches(store, torch.device("cpu"))
        rival = loader(Path(folder) / "files", BATCH)
        count = len(store) // BATCH  # an epoch a round: the workers' start is part of it

        def ours_epoch() -> None:
            for index in range(count):
                ours.at(0, index * BATCH, BATCH)

        def rival_epoch() -> None:
            for _ in range(count):
                next(rival)

        times, theirs = interleaved([ours_epoch, rival_epoch], 3)
    rival_name = "DataLoader over JPEG files"
    return [compare("batches", times, rival_name, theirs, count * BATCH, "10")]


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
        taken = seconds(lambda: import_images([archive], folder / "imported"))
    return [Result("import", FACES / taken, "-", None, None, "1500 img/s", this_hardware())]


def faces() -> list[Result]:
    """Drawing faces, all cores."""
    with tempfile.TemporaryDirectory() as folder:
        taken = seconds(lambda: write_faces(Path(folder) / "faces", FACES, 0))
    return [Result("drawn faces", FACES / taken, "-", None, None, "800 img/s", this_hardware())]


SUITE: dict[str, Callable[[], list[Result]]] = {
    "step": step,
    "batches": batches,
    "import": imports,
    "faces": faces,
    "ops": ops,
    "train": train,
    "fid": fid,
}


def _faces(folder: Path) -> Store:
    write_faces(folder / "store", FACES, 0)
    return Store(folder / "store")


def _reals(store: Store) -> torch.Tensor:
    return Batches(store, torch.device("cpu")).at(0, 0, BATCH)


def _write_jpegs(store: Store, folder: Path) -> None:
    folder.mkdir(parents=True)
    for row, image in enumerate(store.images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{row:05d}.jpg", quality=90)
