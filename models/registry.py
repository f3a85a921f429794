"""What a model is to the rest of the house, and the list of the families there are."""

import dataclasses
import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from data.errors import UserError
from data.shard import mine, whole


@dataclass(frozen=True)
class Phase:
    """One kind of optimiser step: training is phases taken in turn.

    Attributes:
        name: what stats and logs call it, such as "R1"; every family has a "D" and a "G".
        optimizer: moves the weights. Phases may share one.
        loss: takes a batch of reals, float [N, 3, H, W] in [-1, 1], and returns the scalar to
            minimise and the named scalars to record, `loss_d` and `loss_g` among them. It draws
            from torch's global generator only.
        lr: the learning rate, from the images seen and the updates this phase has made.
        interval: a turn every so many steps.
    """

    name: str
    optimizer: torch.optim.Optimizer
    loss: Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]
    lr: Callable[[int, int], float]
    interval: int = 1


class GAN(ABC):
    """A generator, a discriminator, and how they are trained.

    Attributes:
        G: z, float [N, z_dim], to images, float [N, 3, H, W] in [-1, 1].
        D: images to logits, float [N].
        z_dim: numbers in a latent.
    """

    G: nn.Module
    D: nn.Module
    z_dim: int

    def sample_z(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents from N(0, 1), float [count, z_dim], on G's device.

        Drawn there from torch's global generator, as this process's part of a batch, or where the
        given one lives: from a CPU's, they are the same on every device.
        """
        device = next(self.G.parameters()).device
        if generator:
            z = torch.randn(count, self.z_dim, generator=generator, device=generator.device)
            return z.to(device)
        return mine(torch.randn(whole(count), self.z_dim, device=device))

    @abstractmethod
    def phases(self) -> list[Phase]:
        """Make the optimisers, and the phases in the order in which a step takes them."""

    def networks(self) -> list[nn.Module]:
        """The modules that do the work, each always called as a whole: what `--compile` takes."""
        return [self.G, self.D]

    def schedule(self, nimg: int, batch: int) -> int:
        """Get ready for the step after `nimg` images, and say how many reals it shows: `batch`,
        the run's, unless a family that changes as it trains says otherwise. It draws nothing.
        """
        return batch


@dataclass(frozen=True)
class Variant:
    """A published network with its own defaults: they fill only what the user leaves unset."""

    summary: str
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def option(default: Any, help: str, *, network: bool = False) -> Any:
    """A field of a family's options, with the line that explains it.

    Args:
        network: it makes the layers; the others say how they are trained.
    """
    return field(default=default, metadata={"help": help, "network": network})


@dataclass(frozen=True)
class Family:
    """A registered family.

    Attributes:
        options: the frozen dataclass of everything that can be set.
        variants: by name; the first is the default.
        build: makes the GAN from its options, on torch's default device.
    """

    name: str
    options: type
    variants: Mapping[str, Variant]
    build: Callable[[Any], GAN]

    def variant(self, name: str | None) -> tuple[str, Variant]:
        """The variant of that name, or the default for None."""
        name = name or next(iter(self.variants))
        return name, self.variants[known(name, self.variants, "--variant")]

    def resolve(self, variant: str, settings: Mapping[str, Any]) -> Any:
        """The family's options: defaults, then the variant's, then the user's settings."""
        fields = [option.name for option in dataclasses.fields(self.options)]
        for name in settings:
            known(name, fields, "--set")
        return self.options(**{**self.variants[variant].options, **settings})

    def training_of(self, variant: str) -> dict[str, Any]:
        """The options with which a variant is trained: all but those that make its layers."""
        resolved = self.resolve(variant, {})
        return {name: getattr(resolved, name) for name in self.training_options}

    @property
    def training_options(self) -> list[str]:
        """The names of the options that do not make layers."""
        options = dataclasses.fields(self.options)
        return [option.name for option in options if not option.metadata["network"]]


FAMILIES: dict[str, Family] = {}


def register(
    name: str, options: type, variants: Mapping[str, Variant]
) -> Callable[[Callable[[Any], GAN]], Callable[[Any], GAN]]:
    """Register the decorated factory, options -> GAN, as a family."""

    def add(build: Callable[[Any], GAN]) -> Callable[[Any], GAN]:
        assert name not in FAMILIES, f"two families are named {name}"
        FAMILIES[name] = Family(name, options, variants, build)
        return build

    return add


def family(name: str) -> Family:
    """The family of that name."""
    return FAMILIES[known(name, FAMILIES, "--model")]


def known(name: str, names: Iterable[str], flag: str) -> str:
    """`name` itself if it is one of `names`.

    Raises:
        UserError: it is not; the message offers the nearest.
    """
    names = list(names)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(names)}"
    raise UserError(f"{flag} {name}: there is no such thing; {hint}")


def parameter_counts(name: str, options: Any) -> tuple[int, int]:
    """Trainable parameters of a family's G and D; no weight is allocated."""
    with torch.device("meta"):
        gan = family(name).build(options)
    return count_parameters(gan.G), count_parameters(gan.D)


def count_parameters(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
