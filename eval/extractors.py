"""Feature extractors: the networks in whose features images are compared, each with its policy.

Numbers of two extractors have nothing to do with each other. What an extractor is, is its files'
SHA-256, the size it takes, how images get that size, and the precision it computes in.
"""

import hashlib
import importlib
import inspect
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass

from data.errors import MissingError, UserError
from data.files import read_json, sha256_file
from eval.faces import load_faces
from eval.inception import DIMENSION, SIZE, load_inception, load_torchscript
from eval.resize import resize
from eval.weights import find_inception

PRECISIONS = ("fp32", "bf16")
RESIZES = ("bicubic", "none")
BUILT_IN = ("inception", "faces")
CHOICES = "inception, faces, FILE.pt or FILE.pt2 with a card FILE.json, or package.module:function"
Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Extractor:
    """A network and how images get into it.

    Attributes:
        name: what metrics are named after: `inception`, `faces`, or the stem of a user's file.
        sha256: of the file that defines the network.
        size: pixels a side that the network takes.
        resize: "bicubic", which is Pillow's in float as clean-fid has it, or "none".
        dimension: of the features.
        precision: "fp32", or "bf16" by autocast.
        network: float32 [N, 3, size, size] in 0..255 -> [N, dimension].
    """

    name: str
    sha256: str
    size: int
    resize: str
    dimension: int
    precision: str
    device: torch.device
    network: Network

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Features, float32 [N, dimension] on `device`, of images [N, 3, H, W] in 0..255.

        Images may be of any type and on any device.

        Raises:
            UserError: images that the policy does not cover, or features that are none.
        """
        with float32_without_tf32(), torch.autocast(self.device.type, enabled=False):
            resized = self._resized(images.to(self.device).float())
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                features = self.network(resized)
        return self._checked(features, len(images))

    def _resized(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != 3:
            raise UserError(
                f"extractor {self.name}: images are [N, 3, H, W], not {list(images.shape)}"
            )
        height, width = images.shape[2:]
        if height == width == self.size:
            return images
        if self.resize == "none":
            raise UserError(
                f"extractor {self.name} takes {self.size}x{self.size} pixels and resizes nothing; "
                f"these images have {width}x{height}"
            )
        return resize(images, self.size)

    def _checked(self, features: Any, count: int) -> Tensor:
        expected = [count, self.dimension]
        if not isinstance(features, Tensor) or list(features.shape) != expected:
            found = list(features.shape) if isinstance(features, Tensor) else type(features)
            raise UserError(f"extractor {self.name} gives {found} where {expected} is needed")
        if not features.is_floating_point():
            raise UserError(f"extractor {self.name} gives {features.dtype}: floats are needed")
        if not features.isfinite().all():
            raise UserError(f"extractor {self.name} gives features that are NaN or infinite")
        return features.float()


def load_extractor(spec: str, device: torch.device, precision: str = "fp32") -> Extractor:
    """The extractor that a spec names, on a device.

    A user's network is tried on a few images at once. Running it runs its author's code.

    Args:
        spec: `inception`, `faces`, a file with a card beside it, or `package.module:function`.
        precision: "fp32" or "bf16".

    Raises:
        MissingError: weights or a file are not there.
        UserError: no such extractor, or one that contradicts its card.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision}: choose {' or '.join(PRECISIONS)}")
    loaders = {"inception": _inception, "faces": _faces}
    if spec in loaders:
        return loaders[spec](device, precision)
    if spec.endswith((".pt", ".pt2")):
        extractor = _from_file(Path(spec), device, precision)
    elif re.fullmatch(r"[\w.]+:\w+", spec):
        extractor = _from_function(spec, device, precision)
    else:
        raise UserError(f'no extractor "{spec}": choose {CHOICES}')
    _try(extractor, spec)
    return extractor


@contextmanager
def float32_without_tf32() -> Iterator[None]:
    """Convolutions and matrix products of float32 in float32, whatever their caller prefers.

    cuDNN rounds to TF32's ten bits by default, and numbers would depend on the kind of GPU.
    """
    convolutions = torch.backends.cudnn.allow_tf32
    products = torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.set_float32_matmul_precision(products)


def _inception(device: torch.device, precision: str) -> Extractor:
    path, sha256 = find_inception()
    network = load_inception(path).to(device)
    return Extractor("inception", sha256, SIZE, "bicubic", DIMENSION, precision, device, network)


def _faces(device: torch.device, precision: str) -> Extractor:
    network = load_faces().to(device)
    return Extractor(
        "faces", network.sha256, 64, "bicubic", network.dimension, precision, device, network
    )


def _from_file(path: Path, device: torch.device, precision: str) -> Extractor:
    if not path.is_file():
        raise MissingError(f"extractor {path}: no such file")
    card = path.with_suffix(".json")
    policy = _read_card(card)
    network = (
        load_torchscript(path).eval() if path.suffix == ".pt" else _load_exported(path, device)
    )
    return _user_extractor(
        path.stem, sha256_file(path), str(card), policy, network.to(device), precision, device
    )


def _read_card(path: Path) -> dict[str, Any]:
    example = '{"size": 64, "resize": "bicubic", "dimension": 128}'
    try:
        card = read_json(path)
    except OSError as error:
        raise MissingError(
            f"{path} cannot be read ({error.strerror}): an extractor needs a card such as {example}"
        ) from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from error
    if not isinstance(card, dict):
        raise UserError(f"{path} is no card such as {example}")
    return card


def _load_exported(path: Path, device: torch.device) -> nn.Module:
    try:
        with zipfile.ZipFile(path) as archive:
            exported = any(name.endswith("/archive_format") for name in archive.namelist())
        if not exported:
            raise ValueError("it was not written by torch.export.save")
        return move_to_device_pass(torch.export.load(path), device).module()
    except Exception as error:  # of many kinds, by what is wrong with the file
        raise UserError(f"{path} cannot be loaded: {_reason(error)}") from error


def _from_function(spec: str, device: torch.device, precision: str) -> Extractor:
    module_name, _, function = spec.partition(":")
    try:
        module = importlib.import_module(module_name)
        network = getattr(module, function)()
    except Exception as error:  # whatever its author's code raises
        raise UserError(f"extractor {spec}: {type(error).__name__}: {_reason(error)}") from error
    if not module.__file__ or not callable(network):
        raise UserError(f"extractor {spec}: a function in a file that returns a network is needed")
    if isinstance(network, nn.Module):
        network = network.eval().to(device)
    policy = {key: getattr(network, key, None) for key in ("size", "resize", "dimension")}
    sha256 = _sha256_of(network, Path(module.__file__))
    return _user_extractor(function, sha256, spec, policy, network, precision, device)


def _sha256_of(network: Any, source: Path) -> str:
    """Of a function's file, of its network's, and of the weights that it has from elsewhere."""
    digest = hashlib.sha256(source.read_bytes())
    with suppress(TypeError, OSError):  # of what has no file, such as compiled code
        defined = network if inspect.isfunction(network) else type(network)
        if not source.samefile(found := inspect.getfile(defined)):
            digest.update(Path(found).read_bytes())
    if isinstance(network, nn.Module):
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _user_extractor(
    name: str,
    sha256: str,
    card: str,
    policy: dict[str, Any],
    network: Network,
    precision: str,
    device: torch.device,
) -> Extractor:
    """An extractor whose policy is what `card` says."""
    resize = policy.get("resize")
    if resize not in RESIZES:
        raise UserError(f"{card}: resize is {resize!r}: choose {' or '.join(RESIZES)}")
    size, dimension = (_whole(card, key, policy.get(key)) for key in ("size", "dimension"))
    if name in BUILT_IN or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise UserError(
            f'{card}: metrics cannot be named after "{name}": give it another name, of letters, '
            f"digits, - and _, that is not {' or '.join(BUILT_IN)}"
        )
    return Extractor(name, sha256, size, resize, dimension, precision, device, network)


def _whole(card: str, key: str, value: object) -> int:
    if type(value) is not int or value < 1:
        raise UserError(f"{card}: {key} is {value!r}: a whole number above 0 is needed")
    return value


def _try(extractor: Extractor, spec: str) -> None:
    """Run a user's network on a few images, so that what is wrong with it is said at once."""
    size = extractor.size
    for count in (2, 3):  # what was exported for one batch size takes no other
        images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 255
        try:
            extractor.embed(images)
        except UserError:
            raise
        except Exception as error:  # whatever a network raises
            raise UserError(
                f"extractor {spec} does not take {count} images of {size}x{size} pixels: "
                f"{_reason(error)}"
            ) from error


def _reason(error: Exception) -> str:
    """One line of an error; TorchScript says what happened in the last."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
