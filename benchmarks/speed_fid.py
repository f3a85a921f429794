"""FID's stages beside clean-fid's, each alone: reading, resizing, features, distance.

Inception's own weights are not needed: a network of its shape with random weights takes as long.
"""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from cleanfid.fid import frechet_distance as clean_distance
from cleanfid.inception_torchscript import InceptionV3W
from cleanfid.resize import build_resizer
from cleanfid.utils import ResizeDataset
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks.timing import Result, compare, interleaved, seconds, this_device
from data.faces import write_faces
from data.store import Store
from eval.extractors import PRECISIONS, Extractor
from eval.frechet import Floats, Moments, frechet_distance
from eval.images import BATCH, Pictures
from eval.inception import DIMENSION, SIZE, fid_inception, load_inception
from eval.resize import resize

FACES = 2000
RESIZED = 16  # a batch; larger ones leave the processor's cache, on both sides
FEATURES = {"cpu": 8, "cuda": 256}  # images a round
COUNT = 5000  # features on either side of a distance
SCRIPT = "inception-2015-12-05.pt"  # the name by which clean-fid finds it


def fid() -> list[Result]:
    """Every stage of an FID, against clean-fid's."""
    return [reading(), resizing(), *features(), *distance()]


def reading() -> Result:
    """Pictures of a store, against the same as PNG files through clean-fid's loader."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_faces(folder / "store", FACES, 0)
        pictures = Pictures.whole(Store(folder / "store"))
        paths = [folder / f"{row:05d}.png" for row in range(FACES)]
        for path, image in zip(paths, pictures.store.images, strict=True):
            Image.fromarray(image.transpose(1, 2, 0)).save(path)
        files = ResizeDataset(paths, mode="clean")
        files.fn_resize = as_it_is  # resizing is another stage
        workers = os.cpu_count() or 1

        def ours() -> None:
            for _ in pictures.batches():
                pass

        def theirs() -> None:
            for _ in torch.utils.data.DataLoader(files, batch_size=BATCH, num_workers=workers):
                pass

        times, rival = interleaved([ours, theirs], 3)
    return compare("read", times, f"clean-fid, PNG, {workers} workers", rival, FACES, "-")


def resizing() -> Result:
    """From 64 pixels to Inception's 299, until a batch is made: on one core, or on the GPU."""
    device = this_device()
    images = torch.randint(0, 256, (RESIZED, 3, 64, 64), dtype=torch.uint8)
    arrays = [image.permute(1, 2, 0).numpy() for image in images]
    clean = build_resizer("clean")

    def ours() -> Tensor:
        return resize(images.to(device).float(), SIZE)

    def theirs() -> Tensor:
        resized = [torch.from_numpy(clean(array)).permute(2, 0, 1) for array in arrays]
        return torch.stack(resized).to(device)

    with one_thread():
        times, rival = interleaved([ours, theirs], 30)
    place = "one core" if device.type == "cpu" else "GPU"
    return compare(f"resize 64 to {SIZE}, {place}", times, "clean-fid", rival, RESIZED, "3")


def features() -> list[Result]:
    """A network of Inception's shape as we call it, against clean-fid's call of the same file."""
    device = this_device()
    count = FEATURES[device.type]
    images = torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8, device=device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, SCRIPT)
        write_inception_shape(path)
        network = load_inception(path).to(device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch.jit.load
            rival = InceptionV3W(folder, download=False).to(device)

    @torch.no_grad()
    def theirs() -> None:
        rival(images.float())

    results = []
    for precision in PRECISIONS:
        ours = Extractor("random", "", SIZE, "none", DIMENSION, precision, device, network)
        times, rivals = interleaved([partial(ours.embed, images), theirs], 5)
        what = f"features, Inception-shaped, random, {precision}"
        results.append(compare(what, times, "clean-fid", rivals, count, "-"))
    return results


def distance() -> list[Result]:
    """Features to moments, and the moments of two sets to their distance."""
    rng = np.random.default_rng(0)
    sets = [random_features(rng) for _ in range(2)]
    fakes, reals = (Moments.of(features) for features in sets)
    theirs = [(features.mean(0), np.cov(features, rowvar=False)) for features in sets]
    times, rival = interleaved(
        [lambda: Moments.of(sets[0]), lambda: (sets[0].mean(0), np.cov(sets[0], rowvar=False))], 3
    )
    size = f"{COUNT:,} x {DIMENSION}"
    results = [compare(f"moments, {size}", times, "clean-fid", rival, COUNT, "-")]
    frechet_distance(fakes, reals)
    # Once: it takes the rival up to two minutes.
    rival = [seconds(lambda: clean_fids_distance(*theirs[0], *theirs[1]))]
    times = [seconds(lambda: frechet_distance(fakes, reals))]
    return [*results, compare(f"distance, {size}", times, "clean-fid", rival, COUNT, "10")]


def clean_fids_distance(mean_a: Floats, cov_a: Floats, mean_b: Floats, cov_b: Floats) -> float:
    """clean-fid's distance of means [D] and covariances [D, D].

    From scipy 1.18 on its call of `sqrtm(disp=False)` fails, and its formula stands in.
    """
    try:
        return float(clean_distance(mean_a, cov_a, mean_b, cov_b))
    except TypeError:
        root = scipy.linalg.sqrtm(cov_a @ cov_b).real
        return float(np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * root))


def as_it_is(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


def write_inception_shape(path: Path) -> None:
    """A TorchScript file that is called as NVIDIA's is; its weights are random."""

    class Base(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = fid_inception()
            self.layers.fc = nn.Identity()

        def forward(self, images: Tensor) -> Tensor:
            return self.layers(images)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated
        traced = torch.jit.trace(Base().eval(), torch.zeros(1, 3, SIZE, SIZE))
        torch.jit.save(traced, path)


def random_features(rng: np.random.Generator) -> NDArray[np.float32]:
    """Rectified and of falling spread, as Inception's are: float32 [COUNT, DIMENSION]."""
    spread = np.arange(1, DIMENSION + 1) ** -0.5
    mixed = (rng.standard_normal((COUNT, DIMENSION)) * spread) @ rng.standard_normal(
        (DIMENSION, DIMENSION)
    )
    return np.maximum(mixed, 0).astype(np.float32)


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
