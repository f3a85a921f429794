"""The network: a small residual CNN, an embedding without ReLU, and linear heads that read it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from eval.faces.distort import DISTORTIONS
from eval.faces.targets import TARGETS

WIDTHS = (32, 48, 96, 160)  # at 32, 16, 8 and 4 pixels a side
DIMENSION = 128
POOLED = 48  # channels a place, where the 4x4 places are kept apart: left is not right


class FacesNet(nn.Module):
    """float32 [N, 3, 64, 64] in 0..255 -> embedding [N, 128].

    An embedding's entries are centred and of unit variance over the training images (batch norm
    without scale or shift), and neither rectified nor sparse: a Frechet distance takes them for
    Gaussian. Heads are linear, so a factor that shifts in the images shifts a direction's mean.

    Attributes:
        dimension: of an embedding.
        sha256: of the file that the weights came from; empty if from none.
        card: what is known of them, likewise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dimension = DIMENSION
        self.sha256 = ""
        self.card: dict[str, Any] = {}
        stages: list[nn.Module] = [*_convolution(12, WIDTHS[0], 1), Residual(WIDTHS[0])]
        for before, width in pairwise(WIDTHS):
            stages += [*_convolution(before, width, 2), Residual(width)]
        self.body = nn.Sequential(*stages)
        self.squeeze = nn.Conv2d(WIDTHS[-1], POOLED, 1)
        self.project = nn.Linear(POOLED * 4 * 4, DIMENSION, bias=False)
        self.standardise = nn.BatchNorm1d(DIMENSION, affine=False)
        outputs = sum(target.size for target in TARGETS) + len(DISTORTIONS)
        self.heads = nn.Linear(DIMENSION, outputs)
        nn.init.zeros_(self.heads.weight)  # begin at the middle of every range
        nn.init.zeros_(self.heads.bias)
        self.to(memory_format=torch.channels_last)  # a third quicker on CPUs

    def forward(self, images: Tensor) -> Tensor:
        # Each pixel's 2x2 neighbours become channels: a cheap first layer that loses nothing.
        pixels = functional.pixel_unshuffle(images / 127.5 - 1.0, 2)  # [N, 12, 32, 32]
        features = self.body(pixels.contiguous(memory_format=torch.channels_last))
        places = functional.relu(self.squeeze(features))  # [N, 48, 4, 4]
        return self.standardise(self.project(places.flatten(1)))

    def outputs(self, embedding: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Raw outputs [N, size] of each target, in order, and of all distortions, [N, K]."""
        sizes = [target.size for target in TARGETS]
        *factors, strengths = self.heads(embedding).split([*sizes, len(DISTORTIONS)], dim=1)
        return factors, strengths

    @torch.no_grad()
    def factors(self, embedding: Tensor) -> dict[str, Tensor]:
        """What the embedding [N, 128] says of each factor, in the factor's own unit.

        Scalars are [N] and may run over their ends, hues are [N] in degrees, and categories are
        the probabilities of their values, [N, K].
        """
        read = {}
        for target, output in zip(TARGETS, self.outputs(embedding)[0], strict=True):
            if target.kind == "category":
                read[target.name] = output.softmax(1)
            elif target.kind == "hue":
                read[target.name] = torch.atan2(output[:, 1], output[:, 0]).rad2deg() % 360.0
            else:
                read[target.name] = target.middle + target.deviation * output[:, 0]
        return read

    @torch.no_grad()
    def strengths(self, embedding: Tensor) -> dict[str, Tensor]:
        """How strongly each distortion seems to have been applied: 0 for not at all, [N] each."""
        return dict(zip(DISTORTIONS, self.outputs(embedding)[1].unbind(1), strict=True))


@torch.no_grad()
def embed(net: FacesNet, images: Tensor) -> Tensor:
    """Embeddings [N, D] of images [N, 3, 64, 64], uint8 or float from 0 to 255."""
    return torch.cat([net(batch.float()) for batch in images.split(128)])


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_convolution(width, width, 1))
        self.second = nn.Sequential(*_convolution(width, width, 1)[:2])

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(features + self.second(self.first(features)))


def _convolution(before: int, width: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]
