"""DCGAN's networks (Radford et al. 2015, arXiv 1511.06434) and the ones published after it.

Discriminators end in a logit: the sigmoid that some sources put last belongs to the loss.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from data.shard import mine, whole
from ops.conv2d import conv2d, conv_transpose2d
from ops.native import Impl


class Project(nn.ConvTranspose2d):
    """A transposed convolution of a 1x1 map: a matrix product, and several times as fast as one."""

    def __init__(self, z_dim: int, channels: int, bias: bool) -> None:
        super().__init__(z_dim, channels, kernel_size=4, bias=bias)

    def forward(self, z: Tensor) -> Tensor:  # type: ignore[override]
        maps = z @ self.weight.flatten(1)  # [N, z_dim] -> [N, channels * 4 * 4]
        maps = maps.unflatten(1, (self.out_channels, 4, 4))
        return maps if self.bias is None else maps + self.bias[:, None, None]


class Conv2d(nn.Conv2d):
    """`nn.Conv2d`, compiled where that is faster."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        impl: Impl = "auto",
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, bias=bias)
        self.settings = (stride, padding, impl)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, *self.settings)


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` that doubles the size of its maps, compiled where that is faster."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, impl: Impl = "auto") -> None:
        super().__init__(inputs, outputs, kernel_size=4, stride=2, padding=1, bias=bias)
        self.impl: Impl = impl

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return conv_transpose2d(x, self.weight, self.bias, 2, 1, self.impl)


class Generator(nn.Module):
    """4x4 transposed convolutions: the first makes a 4x4 map of z, each other doubles it."""

    def __init__(
        self,
        z_dim: int,
        channels: Sequence[int],
        bias: bool,
        slope: float = 0.0,
        impl: Impl = "auto",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [Project(z_dim, channels[0], bias)]
        for inputs, outputs in pairwise([*channels, 3]):
            activation = nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)
            layers += [nn.BatchNorm2d(inputs), activation]
            layers += [ConvTranspose2d(inputs, outputs, bias, impl)]
        self.layers = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)  # [N, z_dim] -> [N, 3, 64, 64]


class Discriminator(nn.Module):
    """4x4 convolutions that each halve the map, and a last one that makes a 1x1 map of it."""

    def __init__(
        self,
        channels: Sequence[int],
        bias: bool,
        slope: float,
        norm: bool,
        first_norm: bool,
        impl: Impl = "auto",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(zip([3, *channels[:-1]], channels, strict=True)):
            layers += [Conv2d(inputs, outputs, 4, 2, 1, bias, impl)]
            if norm and (index > 0 or first_norm):
                layers += [nn.BatchNorm2d(outputs)]
            layers += [nn.LeakyReLU(slope, inplace=True)]
        # Four layers leave a 4x4 map, five a 2x2 one.
        stride, padding = (1, 0) if len(channels) == 4 else (2, 1)
        layers += [Conv2d(channels[-1], 1, 4, stride, padding, bias, impl)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()  # [N, 1, 1, 1] -> [N]


SAPIENZA_SLOPE = 0.3  # Keras's default for LeakyReLU
SAPIENZA_DROPOUT = 0.4


def sapienza_generator(z_dim: int, impl: Impl) -> nn.Module:
    """The textbook generator for Keras: no batch norm, and most of its work at full resolution."""
    slope = SAPIENZA_SLOPE
    return nn.Sequential(
        nn.Linear(z_dim, 128 * 32 * 32),
        nn.LeakyReLU(slope, inplace=True),
        nn.Unflatten(1, (128, 32, 32)),
        Conv2d(128, 256, 5, padding=2, impl=impl),
        nn.LeakyReLU(slope, inplace=True),
        ConvTranspose2d(256, 256, impl=impl),  # 32 -> 64 px
        nn.LeakyReLU(slope, inplace=True),
        Conv2d(256, 256, 5, padding=2, impl=impl),
        nn.LeakyReLU(slope, inplace=True),
        Conv2d(256, 256, 5, padding=2, impl=impl),
        nn.LeakyReLU(slope, inplace=True),
        Conv2d(256, 3, 7, padding=3, impl=impl),
        nn.Tanh(),
    )


class Dropout(nn.Dropout):
    """Dropout of which every process of a run draws the whole batch's mask."""

    def forward(self, x: Tensor) -> Tensor:
        ones = x.new_ones(whole(len(x)), *x.shape[1:])
        return x * mine(F.dropout(ones, self.p, self.training))


def sapienza_discriminator(impl: Impl) -> nn.Module:
    """The textbook discriminator for Keras: convolutions without padding, and dropout."""
    slope = SAPIENZA_SLOPE
    layers: list[nn.Module] = [Conv2d(3, 128, 3, impl=impl), nn.LeakyReLU(slope, inplace=True)]
    for _ in range(3):  # 62 -> 30 -> 14 -> 6 px
        layers += [Conv2d(128, 128, 4, stride=2, impl=impl), nn.LeakyReLU(slope, inplace=True)]
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        Dropout(SAPIENZA_DROPOUT),
        nn.Linear(128 * 6 * 6, 1),
        nn.Flatten(0),  # [N, 1] -> [N]
    )


def initialise(module: nn.Module, scheme: str) -> None:
    """Draw the weights: `dcgan` is N(0, 0.02) and batch-norm scales N(1, 0.02) (1511.06434 §4);
    `glorot` is Keras's default; `torch` leaves the layers' own.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and scheme != "torch":
            if scheme == "dcgan":
                nn.init.normal_(layer.weight, 0.0, 0.02)
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and scheme == "dcgan":
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
