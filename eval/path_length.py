"""Perceptual path length: how far images move for a small step on a path between two latents."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from data.errors import UserError
from eval.extractors import Extractor, float32_without_tf32
from eval.features import Progress
from eval.images import BATCH, DIVERGED, Samples
from models.stylegan.generator import Generator

EPSILON = 1e-4  # of the whole path


def path_length(samples: Samples, extractor: Extractor, progress: Progress | None = None) -> float:
    """The mean of `path_lengths`."""
    return float(path_lengths(samples, extractor, progress).mean())


@torch.no_grad()
def path_lengths(
    samples: Samples, extractor: Extractor, progress: Progress | None = None
) -> Tensor:
    """|f(G(t + e)) - f(G(t))|^2 / e^2, float64 [N], at a random place t on each of so many paths.

    Karras et al. 2019 (arXiv 1812.04948, section 4.1), with an extractor's features f in the place
    of LPIPS. Paths are straight in w for a StyleGAN, and on the sphere in z for others. Noise is
    constant, images are not rounded, and the least and the greatest percent are left out, as there.
    """
    gan, count = samples.gan, len(samples)
    draws = torch.Generator().manual_seed(samples.seed)
    starts, ends = gan.sample_z(count, draws), gan.sample_z(count, draws)
    places = torch.rand(count, 1, generator=draws).to(starts.device)
    found = []
    for start in range(0, count, BATCH):
        batch = slice(start, start + BATCH)
        a, b, t = starts[batch], ends[batch], places[batch]
        near, far = (extractor.embed(_images(samples, a, b, at)) for at in (t, t + EPSILON))
        found.append((far - near).double().square().sum(1) / EPSILON**2)
        if progress:
            progress(len(t))
    lengths = torch.cat(found)
    low, high = lengths.quantile(lengths.new_tensor([0.01, 0.99]))
    return lengths[(lengths >= low) & (lengths <= high)]


@float32_without_tf32()
def _images(samples: Samples, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Images at t [N, 1] of the way from a to b [N, z_dim], float from 0 to 255."""
    generator = samples.gan.G
    if isinstance(generator, Generator):
        ws_a, ws_b = (generator.map(z, samples.psi) for z in (a, b))
        images = generator.synthesize(ws_a.lerp(ws_b, t[:, None]))
    else:
        images = generator(slerp(a, b, t))
    if not images.isfinite().all():
        raise UserError(DIVERGED)
    return ((images + 1) * 127.5).clamp(0, 255)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Points [N, D] at t [N, 1] of the way from a to b along the sphere; lengths go straight.

    Shoemake 1985, "Animating rotation with quaternion curves".
    """
    from_a, to_b = normalize(a), normalize(b)
    angle = (from_a * to_b).sum(1, keepdim=True).clamp(-1, 1).acos()
    direction = ((1 - t) * angle).sin() * from_a + (t * angle).sin() * to_b
    lengths = torch.lerp(a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), t)
    return direction / angle.sin() * lengths
