"""Trains each of CASES for some steps and leaves what each process then has in FOLDER:

torchrun --standalone --nproc-per-node 2 -m tests.two_processes FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import torch

from data.shard import rank
from tests.conftest import TINY, TINY_STYLEGAN, TRAINING, write_pictures
from training.config import resolve
from training.loop import Trainer
from training.world import join

STEPS = 3
# (model, variant, settings, training). Groups of D's minibatch statistics hold four images. With
# these eps, gradients that are nothing but rounding move no weight by much; v1's instance norm, of
# what is constant at first, makes 10,000 times as much of it.
EPS, EPS_V1 = 1e-3, 0.1
Case = tuple[str, str, dict[str, Any], dict[str, Any]]
CASES: dict[str, Case] = {
    "stylegan": (
        "stylegan",
        "tiny",
        {**TINY_STYLEGAN, "eps": EPS, "r1_interval": 2},
        {"batch": 8, "mirror": True, "augment": ("animerush:0.8",)},
    ),
    "stylegan-growing": (
        "stylegan",
        "v1",
        {**TINY_STYLEGAN, "eps": EPS_V1, "grow": True, "grow_kimg": 0.03},
        {"batch": 8},
    ),
    # Compiled convolutions round otherwise in a batch of one, and LeakyReLU has a kink at zero.
    "sapienza": (
        "dcgan",
        "sapienza",
        {"eps": EPS, "diffaug": True, "ops": "ref"},
        {"batch": 2},
    ),
    "batch-norm": ("dcgan", "wgan-gp", {**TINY, "eps": EPS, "critic_steps": 2}, {}),
}


def trained(case: Case, folder: Path) -> dict[str, Any]:
    """The weights, and the means of the stats, after training on pictures made in `folder`."""
    model, variant, settings, training = case
    store = write_pictures(folder, 10)
    trainer = Trainer(resolve(model, variant, settings, {**TRAINING, **training}, store), store)
    for _ in range(STEPS):
        trainer.step()
    return {"weights": trainer.weights(), "means": trainer.meter.means()}


def main() -> None:
    join()
    folder = Path(sys.argv[1])
    for name, case in CASES.items():
        result = trained(case, folder / f"pictures-{name}-{rank()}")
        torch.save(result, folder / f"{name}-{rank()}.pt")


if __name__ == "__main__":
    main()
