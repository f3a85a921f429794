"""The Inception of FID, from either of the files in which people have it.

inception-2015-12-05.pt                   TorchScript by NVIDIA: the one that clean-fid runs
pt_inception-2015-12-05-6726825d.pth      the same weights as pytorch-fid's plain state dict

Both are ports of TensorFlow's Inception of 2015-12-05, with which FID was defined (Heusel et al.,
arXiv:1706.08500), and give 2048 features: the last block's, averaged over the image.
"""

import pickle
import sys
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.inception import (
    BasicConv2d,
    Inception3,
    InceptionA,
    InceptionAux,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)

from data.errors import UserError

SIZE = 299  # pixels a side
DIMENSION = 2048
CLASSES = 1008  # TensorFlow's; the weights of the last layer are read, and not used
StateDict = dict[str, Tensor]


class Inception(nn.Module):
    """Features of images: float32 [N, 3, 299, 299] in 0..255 -> [N, 2048].

    Channels last, in which a CPU convolves half as fast again.
    """

    def __init__(self, layers: nn.Module) -> None:
        """`layers` take images of -1 to 1 and give [N, 2048], or [N, 2048, 1, 1]."""
        super().__init__()
        self.layers = layers.eval().to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        scaled = (images - 128) / 128  # clean-fid's, and TensorFlow's, map of 0..255 to -1..1
        return self.layers(scaled.contiguous(memory_format=torch.channels_last)).flatten(1)


def load_inception(path: Path) -> Inception:
    """Inception from TorchScript (.pt), or from a state dict (.pth or .safetensors), on the CPU.

    Raises:
        UserError: the file cannot be read, or holds another network.
    """
    if path.suffix == ".pt":
        return Inception(_layers(load_torchscript(path), path))
    network = fid_inception()
    _load_weights(network, path)
    network.fc = nn.Identity()  # what comes before it are the features
    return Inception(network)


def _layers(script: nn.Module, path: Path) -> nn.Module:
    """The network without its own normalisation and resizing, as clean-fid calls it."""
    layers = getattr(script, "layers", None)
    if not isinstance(layers, nn.Module):
        raise UserError(f"{path} is another network: it has no `layers`")
    return layers


def load_torchscript(path: Path) -> nn.Module:
    """A TorchScript file as a module on the CPU.

    Raises:
        UserError: it is none.
    """
    with warnings.catch_warnings():
        # Deprecated since torch 2.14, and the form in which the reference network is published.
        warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)
        try:
            return torch.jit.load(path, map_location="cpu")
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"{path} is no TorchScript file, or a damaged one: {reason}") from error


def fid_inception() -> Inception3:
    """torchvision's Inception with what TensorFlow's of 2015 has otherwise; weights are random.

    Its average pooling leaves the padding out, its very last block pools the maximum, and it has
    1008 classes. Parameters have torchvision's names.
    """
    blocks = [BasicConv2d, FidA, InceptionB, FidC, InceptionD, FidE, InceptionAux]
    return Inception3(CLASSES, aux_logits=False, inception_blocks=blocks, init_weights=False)


class FidA(InceptionA):
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(average_pool(x)),
        ]


class FidC(InceptionC):
    def _forward(self, x: Tensor) -> list[Tensor]:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return [self.branch1x1(x), once, twice, self.branch_pool(average_pool(x))]


class FidE(InceptionE):
    """Mixed_7b with 1280 channels in, Mixed_7c with 2048: the latter is the odd one."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.pool = max_pool if in_channels == 2048 else average_pool

    def _forward(self, x: Tensor) -> list[Tensor]:
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return [
            self.branch1x1(x),
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
            self.branch_pool(self.pool(x)),
        ]


def average_pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def max_pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


def _load_weights(network: nn.Module, path: Path) -> None:
    found = _read_state_dict(path)
    if aux := [name for name in found if name.startswith("AuxLogits.")]:
        print(f"{path}: AuxLogits is not used", file=sys.stderr, flush=True)
        found = {name: value for name, value in found.items() if name not in aux}
    try:
        network.load_state_dict(found)
    except RuntimeError as error:
        reason = str(error).partition("\n\t")[2].partition("\n")[0] or error
        raise UserError(f"{path} holds the weights of another network: {reason}") from error


def _read_state_dict(path: Path) -> StateDict:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} cannot be read as weights: {reason}") from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise UserError(f"{path} is no state dict: names with tensors are needed")
    return found
