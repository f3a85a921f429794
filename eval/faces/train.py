"""Train the network that ships beside this file: `python -m eval.faces.train --help`.

Its images are drawn here, its labels are what they were drawn from, and no photo set is touched.
The same arguments give the same file on the same machine with the same versions.
"""

import argparse
import math
import platform
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from data.faces.write import GENERATOR_VERSION
from data.files import sha256_file, write_atomic, write_json
from eval.faces import CARD, WEIGHTS
from eval.faces.distort import CLEAN, DISTORTIONS
from eval.faces.drawn import (
    HELDOUT_SEED,
    TRAINING_REDUCTION,
    TRAINING_SEED,
    Drawn,
    distorted_batches,
    draw_faces,
)
from eval.faces.network import FacesNet, embed
from eval.faces.targets import TARGETS, Target, encode

HELDOUT = 4000

BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
WARM_UP_STEPS = 200
STRENGTHS_WEIGHT = 0.5


def loss_of(net: FacesNet, images: Tensor, labels: Tensor, seen: Tensor, amounts: Tensor) -> Tensor:
    """Mean over the factors, plus a share of the mean over the distortions.

    Each term is about 1 for a network that knows nothing, so none of them drowns another.
    """
    factors, strengths = net.outputs(net(images))
    terms = [
        _factor_loss(target, output, label)[visible].sum() / visible.sum().clamp(min=1)
        for target, output, label, visible in zip(
            TARGETS, factors, labels.unbind(1), seen.unbind(1), strict=True
        )
    ]
    variance = torch.tensor([distortion.variance for distortion in DISTORTIONS.values()])
    apart = ((strengths - amounts) ** 2).mean(0) / variance
    return torch.stack(terms).mean() + STRENGTHS_WEIGHT * apart.mean()


def _factor_loss(target: Target, output: Tensor, label: Tensor) -> Tensor:
    """One loss an image, [N]."""
    if target.kind == "category":
        errors = functional.cross_entropy(output, label.long(), reduction="none")
        return errors / math.log(target.size)
    return ((output - encode(target, label)) ** 2).sum(1)


def train(net: FacesNet, drawn: Drawn, steps: int, seed: int) -> list[float]:
    """Train in place, with AdamW and a cosine to 0; the loss of every step."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            min(1.0, (step + 1) / WARM_UP_STEPS) * (1.0 + math.cos(math.pi * step / steps)) / 2.0
        ),
    )
    losses = []
    net.train()
    batches = distorted_batches(drawn, BATCH, generator, curriculum(steps))
    progress = tqdm(batches, "train", total=steps, mininterval=5.0)
    for images, labels, seen, amounts in progress:
        loss = loss_of(net, images, labels, seen, amounts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        progress.set_postfix_str(f"loss {np.mean(losses[-50:]):.3f}", refresh=False)
    net.eval()
    return losses


def curriculum(steps: int) -> list[float]:
    """The share of clean images at each step: all for a third of the training, then fewer.

    What has never seen a brow does not find its angle under noise (Bengio et al. 2009).
    """
    distorted = [min(max(3.0 * step / steps - 1.0, 0.0), 1.0) for step in range(steps)]
    return [1.0 + share * (CLEAN - 1.0) for share in distorted]


def heldout_scores(net: FacesNet, drawn: Drawn) -> dict[str, float]:
    """How well each factor is read: 1 for without error, 0 for no better than a constant.

    R2 for scalars. For hues the same with 1 - cos of the angle between in place of squares. For
    categories the share of errors that remains of those that the most frequent value makes.
    """
    images, labels, seen = drawn
    read = net.factors(embed(net, images))
    scores = {}
    for target, label, visible in zip(TARGETS, labels.unbind(1), seen.unbind(1), strict=True):
        truth, said = label[visible], read[target.name][visible]
        scores[target.name] = float(
            1.0 - _error(target, said, truth) / _error_of_constant(target, truth)
        )
    return scores


def _error(target: Target, said: Tensor, truth: Tensor) -> Tensor:
    if target.kind == "category":
        return (said.argmax(1) != truth).float().mean()
    if target.kind == "hue":
        return (1.0 - (said - truth).deg2rad().cos()).mean()
    return ((said - truth) ** 2).mean()


def _error_of_constant(target: Target, truth: Tensor) -> Tensor:
    if target.kind == "category":
        return 1.0 - truth.long().bincount().max() / len(truth)
    if target.kind == "hue":
        angle = truth.deg2rad()
        return 1.0 - torch.hypot(angle.cos().mean(), angle.sin().mean())
    return truth.var(correction=0)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m eval.faces.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR")
    parser.add_argument("--images", type=int, default=40_000, metavar="N")
    parser.add_argument("--steps", type=int, default=10_000, metavar="N", help="of 64 images")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and batches")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    net = FacesNet()
    drawn = draw_faces(TRAINING_SEED, options.images, TRAINING_REDUCTION)
    train(net, drawn, options.steps, options.seed)
    save(net, options.out, options.images, options.steps, options.seed)


def save(net: FacesNet, out: Path, images: int, steps: int, seed: int) -> None:
    """Write the weights and their card.

    Raises:
        MissingError: the disk is full or not writable.
    """
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.contiguous() for name, weight in net.state_dict().items()}
    write_atomic(out / WEIGHTS, safetensors.torch.save(weights))
    scores = heldout_scores(net, draw_faces(HELDOUT_SEED, HELDOUT))
    card: dict[str, Any] = {
        "name": "faces",
        "what": "embeds 64x64 anime faces; trained on drawn faces, their factors and distortions",
        "license": "MIT",
        "sha256": sha256_file(out / WEIGHTS),
        "dimension": net.dimension,
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "command": f"python -m eval.faces.train --images {images} --steps {steps} --seed {seed}",
        "data": {
            "generator": GENERATOR_VERSION,
            "training_seed": TRAINING_SEED,
            "training_images": images,
            "heldout_seed": HELDOUT_SEED,
            "heldout_images": HELDOUT,
        },
        "heldout": {name: round(score, 4) for name, score in scores.items()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
    }
    write_json(out / CARD, card)


if __name__ == "__main__":
    main()
