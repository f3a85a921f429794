"""What a generator makes of chosen latents: of seeds, of mixed styles, of truncated ones.

Images are float [..., 3, H, W] in [-1, 1], made with constant noise: only the latents differ.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.registry import GAN
from models.stylegan.generator import Generator

BATCH = 64  # what fits any memory


def seeded_z(gan: GAN, seeds: Sequence[int]) -> Tensor:
    """A latent for each seed, [N, z_dim]: the same on every machine, whatever its neighbours."""
    return torch.cat([gan.sample_z(1, torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.no_grad()
def images_of(generate: Callable[[Tensor], Tensor], latents: Tensor) -> Tensor:
    """Images [N, 3, H, W] of latents [N, ...], made in batches."""
    return torch.cat([generate(batch).float() for batch in latents.split(BATCH)])


def mixing_grid(generator: Generator, rows: Tensor, cols: Tensor, layers: Sequence[int]) -> Tensor:
    """Images [R, C, 3, H, W]: each row's styles, but the given layers' from its column.

    Args:
        rows: ws [R, num_ws, w_dim].
        cols: ws [C, num_ws, w_dim].
    """
    ws_a = rows.repeat_interleave(len(cols), 0)
    ws_b = cols.repeat(len(rows), 1, 1)
    images = images_of(generator.synthesize, generator.mix(ws_a, ws_b, layers))
    return images.unflatten(0, (len(rows), len(cols)))


def truncation_grid(
    generator: Generator, z: Tensor, psis: Sequence[float], cutoff: int | None = None
) -> Tensor:
    """Images [P, N, 3, H, W] of z [N, z_dim], pulled to the mean style by each psi in turn.

    Args:
        cutoff: pull the first so many layers; all by default.
    """

    def truncated(psi: float) -> Tensor:
        return images_of(lambda batch: generator.synthesize(generator.map(batch, psi, cutoff)), z)

    return torch.stack([truncated(psi) for psi in psis])
