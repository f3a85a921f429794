"""The `faces` network: features of 64x64 anime faces, learnt from drawn ones.

Import what you need from here; `python -m eval.faces.train` makes the shipped file again, and
`python -m eval.faces.validate` the tables of docs/metrics.md.
"""

import json
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from data.errors import MissingError, UserError
from data.files import read_json, sha256_file
from eval.faces.drawn import (
    TRAINING_REDUCTION,
    TRAINING_SEED,
    distorted_batches,
    draw_faces,
)
from eval.faces.network import FacesNet

WEIGHTS = "faces.safetensors"
CARD = "card.json"

__all__ = ["CARD", "WEIGHTS", "FacesNet", "load_faces", "random_faces"]


def load_faces(folder: Path = Path(__file__).parent) -> FacesNet:
    """The trained network of a folder, the shipped one by default, in eval mode.

    Raises:
        MissingError: a file is not there.
        UserError: the weights are not those that the card describes.
    """
    try:
        card = read_json(folder / CARD)
        sha256 = sha256_file(folder / WEIGHTS)
        if sha256 != card["sha256"]:
            raise UserError(
                f"{folder / WEIGHTS} has changed: its SHA-256 is not the one in {CARD}; install "
                "gan-versus again, or train with `python -m eval.faces.train`"
            )
        net = FacesNet()
        net.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    except FileNotFoundError as error:
        raise MissingError(
            f"{error.filename} is missing: install gan-versus again, or train with "
            "`python -m eval.faces.train`"
        ) from error
    except (json.JSONDecodeError, KeyError, RuntimeError) as error:
        raise UserError(f"{folder} holds no faces network of this version: {error}") from error
    net.sha256, net.card = sha256, card
    return net.eval()


def random_faces(seed: int, images: int = 512) -> FacesNet:
    """The control: the same shape, never trained, in eval mode.

    Its batch norms take their statistics from drawn faces that are distorted as in training, all
    in one batch, so that it standardises its features as the trained network does.
    """
    drawn = draw_faces(TRAINING_SEED, images, TRAINING_REDUCTION)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = FacesNet()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of the one batch that follows
    batch = next(distorted_batches(drawn, images, torch.Generator().manual_seed(seed)))
    with torch.no_grad():
        net.train()(batch[0])
    return net.eval()
