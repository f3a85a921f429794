"""Colour augmentations of real images, by the names that recipes use.

They act on real images only, so a generator learns to imitate them: what they do leaks into the
samples. That is how their source used them, and why they are called real-only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from data.errors import UserError

if TYPE_CHECKING:
    from torchvision.transforms.v2 import Transform


def color_jitter() -> "Transform":
    from torchvision.transforms import v2  # importing torchvision takes seconds: when used

    return v2.ColorJitter(
        brightness=(0.8, 1.0), contrast=(0.8, 1.2), saturation=(0.6, 1.4), hue=0.1
    )


def brightness_lift() -> "Transform":
    from torchvision.transforms import v2

    return v2.ColorJitter(brightness=(1.0, 1.1))


def equalize() -> "Transform":
    from torchvision.transforms import v2

    return v2.RandomEqualize(p=1.0)


def animerush() -> "Transform":
    """The AnimeRush report's choice: jitter (weight 0.65) or a lift that acts one time in five."""
    from torchvision.transforms import v2

    lift = v2.RandomApply([brightness_lift()], p=0.2)
    return v2.RandomChoice([color_jitter(), lift], p=[0.65, 0.3])


AUGMENTATIONS: dict[str, Callable[[], "Transform"]] = {
    "animerush": animerush,
    "brightness-lift": brightness_lift,
    "color-jitter": color_jitter,
    "equalize": equalize,
}


@dataclass(frozen=True)
class Augmentation:
    """An augmentation that acts on each image with probability `p`."""

    name: str
    p: float

    @classmethod
    def parse(cls, spec: str) -> "Augmentation":
        """From `NAME` or `NAME:P`.

        Raises:
            UserError: there is no such augmentation, or P is no probability.
        """
        name, _, probability = spec.partition(":")
        if name not in AUGMENTATIONS:
            raise UserError(f"--augment {spec}: choose from {', '.join(AUGMENTATIONS)}")
        try:
            p = float(probability or 1)
        except ValueError:
            p = -1
        if not 0 <= p <= 1:
            raise UserError(f"--augment {spec}: {probability} is not a probability, such as 0.2")
        return cls(name, p)

    @cached_property
    def _transform(self) -> "Transform":
        return AUGMENTATIONS[self.name]()

    def __call__(self, images: Tensor) -> Tensor:
        """Augment uint8 [N, 3, H, W], image by image, drawing from torch's global generator."""
        images = images.clone()
        for index in (torch.rand(len(images)) < self.p).nonzero().flatten().tolist():
            images[index] = self._transform(images[index])
        return images
