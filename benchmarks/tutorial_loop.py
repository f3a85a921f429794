"""The rival: the training loop of PyTorch's DCGAN tutorial, as its readers run it.

Float32, default memory format, fresh labels, three `.item()` a step, gradients of D computed in
G's step and thrown away.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import datasets, transforms

Z_DIM = 100


def generator() -> nn.Module:
    layers: list[nn.Module] = [nn.ConvTranspose2d(Z_DIM, 512, 4, 1, 0, bias=False)]
    for inputs, outputs in ((512, 256), (256, 128), (128, 64)):
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
    layers += [nn.BatchNorm2d(64), nn.ReLU(True), nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


def discriminator() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for inputs, outputs in ((64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Sigmoid())


class TutorialLoop:
    """The tutorial's training, one step at a time."""

    def __init__(self, batches: Iterator[Tensor], device: torch.device) -> None:
        """`batches` yields reals, float [N, 3, 64, 64] in [-1, 1], on any device."""
        self.batches = batches
        self.device = device
        self.G, self.D = generator().to(device), discriminator().to(device)
        for layer in [*self.G.modules(), *self.D.modules()]:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
        self.criterion = nn.BCELoss()
        self.g_optimizer = torch.optim.Adam(self.G.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.d_optimizer = torch.optim.Adam(self.D.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(self) -> None:
        self.D.zero_grad()
        real = next(self.batches).to(self.device)
        label = torch.full((len(real),), 1.0, device=self.device)
        output = self.D(real).view(-1)
        self.criterion(output, label).backward()
        output.mean().item()

        fake = self.G(torch.randn(len(real), Z_DIM, 1, 1, device=self.device))
        label.fill_(0.0)
        output = self.D(fake.detach()).view(-1)
        self.criterion(output, label).backward()
        output.mean().item()
        self.d_optimizer.step()

        self.G.zero_grad()
        label.fill_(1.0)
        output = self.D(fake).view(-1)
        self.criterion(output, label).backward()
        output.mean().item()
        self.g_optimizer.step()


def loader(folder: Path, batch: int) -> Iterator[Tensor]:
    """The tutorial's DataLoader over a folder of image files: epochs on end."""
    images = datasets.ImageFolder(
        str(folder),
        transforms.Compose(
            [
                transforms.Resize(64),
                transforms.CenterCrop(64),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        ),
    )
    epochs = torch.utils.data.DataLoader(
        images, batch_size=batch, shuffle=True, num_workers=2, drop_last=True
    )
    while True:
        for reals, _ in epochs:
            yield reals
