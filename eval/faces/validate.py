"""What the network is worth: `python -m eval.faces.validate --help`.

Writes the tables of docs/metrics.md, and their numbers into results/reference. Figures on distances
stand beside the same ones from a network of the same shape that was never trained.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from data.errors import MissingError, UserError
from data.faces.factors import HAIR_SWATCHES
from data.files import write_atomic, write_json
from data.store import Store
from eval.faces import load_faces, random_faces
from eval.faces.colours import hue_chroma, to_hsl
from eval.faces.distort import distort
from eval.faces.drawn import HELDOUT_SEED, TRAINING_SEED, Drawn, draw_faces
from eval.faces.network import FacesNet, embed
from eval.faces.targets import COLUMN, LABELLED, TARGETS, encode
from eval.faces.train import HELDOUT, heldout_scores
from eval.frechet import Moments, frechet_distance

NUMBERS = Path("results/reference/faces-extractor.json")
SEED = 0

# Amounts of a distortion, or parts of the images that are changed.
LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)
DISTORTED = ("blur", "noise", "jpeg", "hue", "occlusion")
HALVINGS = 20  # ways to cut the untouched images: how the floor spreads by chance
LEAST_SATURATION = 0.25  # of a band of hair whose hue is asked for
CLUSTERS, DROPPED = 10, (1, 2, 3, 4, 5)


# Distances on real images.


@dataclass(frozen=True)
class Ladder:
    """One change in five steps.

    Attributes:
        floor: the distance of two untouched halves.
        distances: of the one half to the changed other one, from the mildest change on.
    """

    change: str
    floor: float
    distances: tuple[float, ...]

    @property
    def monotonic(self) -> bool:
        return all(np.diff(self.distances) > 0)

    def separated(self, floors: Sequence[float]) -> bool:
        """Whether every step is farther than any of the `floors` of the same images."""
        return min(self.distances) > max(floors)


def halvings(net: FacesNet, images: Tensor) -> list[float]:
    """Distances of two untouched halves of the images, cut in so many ways."""
    features = embed(net, images)
    found = []
    for seed in range(SEED, SEED + HALVINGS):
        order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
        a, b = features[order].tensor_split([len(features) // 2])
        found.append(frechet_distance(Moments.of(a), Moments.of(b)))
    return found


def ladders(net: FacesNet, a: Tensor, b: Tensor, drawn: Tensor) -> list[Ladder]:
    """Every change of half b against half a; all are uint8 images, those of b in random order."""
    reference, clean = Moments.of(embed(net, a)), embed(net, b)

    def distance(features: Tensor) -> float:
        return frechet_distance(reference, Moments.of(features))

    floor = distance(clean)
    return [
        Ladder(change, floor, tuple(distance(features) for features in steps))
        for change, steps in tqdm(changes(net, b, clean, drawn), "changes", leave=False)
    ]


def changes(
    net: FacesNet, images: Tensor, clean: Tensor, drawn: Tensor
) -> Iterator[tuple[str, Iterator[Tensor]]]:
    """Names of changes, and the features of the changed images step by step.

    Every step draws the same random numbers: it differs from the last one in strength alone.
    """

    def distorted(name: str, amount: float) -> Tensor:
        generator = torch.Generator().manual_seed(SEED)
        amounts = torch.full([len(images)], amount)
        found = []
        for batch, strengths in zip(images.split(500), amounts.split(500), strict=True):
            found.append(embed(net, distort(name, batch.float(), strengths, generator).round()))
        return torch.cat(found)

    def replaced(other: Tensor) -> Iterator[Tensor]:
        for level in LEVELS:
            count = round(level * len(clean))
            yield torch.cat([other[:count], clean[count:]])

    for name in DISTORTED:
        yield name, (distorted(name, level) for level in LEVELS)
    yield "mirrored halves", replaced(distorted("halves", 1.0))
    yield "drawn faces mixed in", replaced(embed(net, drawn))
    yield "shuffled tiles mixed in", replaced(embed(net, shuffle_tiles(images)))
    mode = colour_clusters(images)
    yield "modes dropped", (clean[mode >= count] for count in DROPPED)
    # The same numbers of images as with modes dropped, without the loss of a mode.
    yield "images dropped (control)", (clean[: (mode >= count).sum()] for count in DROPPED)


def shuffle_tiles(images: Tensor) -> Tensor:
    """The 64 tiles of 8x8 pixels of each image in random order: its colours without its shapes."""
    generator = torch.Generator().manual_seed(SEED)
    tiles = functional.unfold(images.float(), 8, stride=8)  # [N, 192, 64]
    order = torch.rand((len(images), 1, 64), generator=generator).argsort(2).expand_as(tiles)
    return functional.fold(tiles.gather(2, order), 64, 8, stride=8).to(torch.uint8)


def colour_clusters(images: Tensor) -> Tensor:
    """Which of ten k-means clusters of 8x8 thumbnails an image is in, the smallest first, [N]."""
    thumbnails = functional.avg_pool2d(images.float(), 8).flatten(1).numpy()
    _, found = kmeans2(thumbnails, CLUSTERS, minit="++", seed=SEED)
    rank = np.bincount(found, minlength=CLUSTERS).argsort().argsort()
    return torch.from_numpy(rank[found])


# Colours, by the heads and by plain pixels.

# Middles of what is called by these names, in degrees and shares.
EYE_COLOURS = {
    "brown": (25.0, 0.50, 0.35),
    "red": (0.0, 0.65, 0.45),
    "pink": (335.0, 0.65, 0.65),
    "violet": (275.0, 0.50, 0.50),
    "blue": (215.0, 0.60, 0.50),
    "green": (140.0, 0.50, 0.45),
    "yellow": (48.0, 0.80, 0.55),
    "grey": (0.0, 0.00, 0.50),
}
HAIR_COLOURS = {
    name: (swatch.hue[0], sum(swatch.saturation) / 2, sum(swatch.lightness) / 2)
    for name, swatch in HAIR_SWATCHES.items()
}


def nearest_name(
    names: dict[str, tuple[float, float, float]], hue: Tensor, saturation: Tensor, light: Tensor
) -> list[str]:
    """The nearest named colour of each, in the double cone of hue, chroma and lightness."""
    centres = _cone(*torch.tensor(list(names.values())).unbind(1))
    nearest = torch.cdist(_cone(hue, saturation, light), centres).argmin(1)
    return [list(names)[index] for index in nearest.tolist()]


def _cone(hue: Tensor, saturation: Tensor, light: Tensor) -> Tensor:
    light = light.clamp(0, 1)
    chroma = saturation.clamp(0, 1) * (1.0 - (2.0 * light - 1.0).abs())
    angle = hue.deg2rad()
    return torch.stack([chroma * angle.cos(), chroma * angle.sin(), 2.0 * light], dim=1)


def hair_band(images: Tensor) -> Tensor:
    """The pixels where hair is most often, [N, 3, 9 * 32] of images [N, 3, 64, 64]."""
    return images[:, :, 8:17, 16:48].flatten(2).float()


def region_hue(images: Tensor) -> Tensor:
    """The hue of the hair in degrees, [N]: the circular mean over its band, weighted by chroma."""
    hue, chroma, _ = hue_chroma(hair_band(images))
    angle = hue.deg2rad()
    return torch.atan2((chroma * angle.sin()).sum(1), (chroma * angle.cos()).sum(1)).rad2deg() % 360


def region_names(images: Tensor) -> list[str]:
    """The colour of the hair by name: of the median of its band, channel by channel."""
    median = hair_band(images).median(dim=2).values  # [N, 3]
    return nearest_name(HAIR_COLOURS, *to_hsl(median))


# The control: an untrained body whose heads are the best that linear heads can be.


def fit_heads(net: FacesNet, drawn: Drawn) -> FacesNet:
    """Fit the heads by least squares to undistorted drawn faces, in place."""
    images, labels, seen = drawn
    design = functional.pad(embed(net, images), (0, 1), value=1.0)  # [N, D + 1]
    fitted = [
        torch.linalg.lstsq(design[visible], encode(target, label[visible])).solution
        for target, label, visible in zip(TARGETS, labels.unbind(1), seen.unbind(1), strict=True)
    ]
    weights = torch.cat(fitted, dim=1).T  # [outputs, D + 1]
    with torch.no_grad():
        net.heads.weight[: len(weights)] = weights[:, :-1]
        net.heads.bias[: len(weights)] = weights[:, -1]
    return net


# Agreement with labels by eye.


def read_labels(path: Path, count: int) -> list[dict[str, str]]:
    """Rows of the table of labels of `count` images; blanks could not be seen.

    Raises:
        MissingError: there is no such file.
        UserError: it speaks of images that are not there.
    """
    if not path.is_file():
        raise MissingError(f"--labels {path}: there is no such file")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    beyond = [row["index"] for row in rows if int(row["index"]) >= count]
    if beyond:
        raise UserError(f"--labels {path}: image {beyond[0]} is not among {count}; is it --real's?")
    return rows


def agreement(said: list[str], labels: list[str]) -> dict[str, float]:
    """Accuracy, and its mean over the labels (balanced); what the best constant has of either."""
    right = np.array([a == b for a, b in zip(said, labels, strict=True)])
    chosen = [np.array(labels) == name for name in sorted(set(labels))]
    return {
        "labelled": len(labels),
        "accuracy": float(right.mean()),
        "accuracy_chance": float(max(rows.mean() for rows in chosen)),
        "balanced": float(np.mean([right[rows].mean() for rows in chosen])),
        "balanced_chance": 1.0 / len(chosen),
    }


def separation(score: Tensor, labels: list[str]) -> dict[str, float]:
    """The area under the ROC curve of a score for labels "0" and "1" (Mann-Whitney's U)."""
    positive = np.array([label == "1" for label in labels])
    ranks = rankdata(score.numpy())
    count, rest = int(positive.sum()), int((~positive).sum())
    area = (ranks[positive].sum() - count * (count + 1) / 2) / (count * rest)
    return {"labelled": len(labels), "positive": count, "auc": float(area), "auc_chance": 0.5}


def against_labels(net: FacesNet, images: Tensor, path: Path) -> dict[str, dict[str, float]]:
    """What heads and pixels say of the labelled images, for each labelled column."""
    rows = read_labels(path, len(images))
    pictures = images[[int(row["index"]) for row in rows]]
    read = net.factors(embed(net, pictures))
    glasses = TARGETS[COLUMN["accessory"]].values.index("glasses")
    names = {
        "hair_colour, heads": nearest_name(
            HAIR_COLOURS, read["hair_hue"], read["hair_saturation"], read["hair_lightness"]
        ),
        "hair_colour, pixels": region_names(pictures),
        "eye_colour, heads": nearest_name(
            EYE_COLOURS, read["eye_left_hue"], read["eye_saturation"], read["eye_lightness"]
        ),
    }
    scores = {
        "mouth_open, heads": read["mouth_openness"],
        "glasses, heads": read["accessory"][:, glasses],
    }
    found = {}
    for key, said in names.items():
        kept = [i for i, row in enumerate(rows) if row[key.split(",")[0]]]
        labels = [rows[i][key.split(",")[0]] for i in kept]
        found[key] = agreement([said[i] for i in kept], labels)
    for key, score in scores.items():
        kept = [i for i, row in enumerate(rows) if row[key.split(",")[0]]]
        labels = [rows[i][key.split(",")[0]] for i in kept]
        if {"0", "1"} <= set(labels):  # there is something to separate
            found[key] = separation(score[kept], labels)
    return found


# The hue of hair, two ways.


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Degrees from 0 to 180 between hues."""
    return ((a - b + 180.0) % 360.0 - 180.0).abs()


def hair_hues(net: FacesNet, drawn: Drawn, real: Tensor) -> dict[str, float]:
    """Median angles in degrees between heads, pixels and the truth, where hair has a hue."""
    images, labels, seen = drawn
    kept = seen[:, COLUMN["hair_hue"]]
    truth = labels[kept, COLUMN["hair_hue"]]
    heads = net.factors(embed(net, images[kept]))["hair_hue"]
    colourful = to_hsl(hair_band(real).mean(2))[1] > LEAST_SATURATION
    real = real[colourful]
    return {
        "drawn, heads to truth": float(angle_between(heads, truth).median()),
        "drawn, pixels to truth": float(angle_between(region_hue(images[kept]), truth).median()),
        "real, heads to pixels": float(
            angle_between(net.factors(embed(net, real))["hair_hue"], region_hue(real)).median()
        ),
        "share of the real ones with a hue": float(colourful.float().mean()),
    }


# The report.


def measure(real: Tensor, labels: Path | None) -> dict[str, Any]:
    """All numbers. `real` is uint8 [N, 3, 64, 64], in the order that the labels' indices mean."""
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(SEED))
    a, b = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    drawn = draw_faces(HELDOUT_SEED, len(b))
    heldout = drawn[0][:HELDOUT], drawn[1][:HELDOUT], drawn[2][:HELDOUT]
    untrained = fit_heads(random_faces(SEED), draw_faces(TRAINING_SEED, HELDOUT))
    networks = {"faces": load_faces(), "untrained": untrained}

    def of_each(figure: Callable[[FacesNet], Any]) -> dict[str, Any]:
        return {name: figure(net) for name, net in networks.items()}

    return {
        "sha256": networks["faces"].sha256,
        "images": [len(a), len(b)],
        "heldout": of_each(lambda net: heldout_scores(net, heldout)),
        "hair_hues": of_each(lambda net: hair_hues(net, heldout, real)),
        "labels": of_each(lambda net: against_labels(net, real, labels)) if labels else {},
        "floors": of_each(lambda net: halvings(net, real)),
        "ladders": of_each(lambda net: [asdict(ladder) for ladder in ladders(net, a, b, drawn[0])]),
    }


def report(numbers: dict[str, Any]) -> str:
    """The tables, as Markdown."""
    heldout = numbers["heldout"]
    scores = []
    for target in TARGETS:
        figures = [f"{found[target.name]:.2f}" for found in heldout.values()]
        scores.append([f"`{target.name}`", target.kind, *figures])
    hues = numbers["hair_hues"]
    angles = [[what, *(f"{found[what]:.3g}" for found in hues.values())] for what in hues["faces"]]
    parts = {
        "Drawn faces of another seed": table(["factor", "kind", *heldout], scores),
        "Distances on real faces": ladder_table(numbers["ladders"], numbers["floors"]),
        "Labels by eye": label_table(numbers["labels"]),
        "The hue of hair, two ways": table(["median angle, degrees", *hues], angles),
    }
    return "\n\n".join(f"### {name}\n\n{part}" for name, part in parts.items()) + "\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ladder_table(found: dict[str, list[dict[str, Any]]], floors: dict[str, Sequence[float]]) -> str:
    """Distances as multiples of the floor, which makes networks of any scale comparable."""
    rows = []
    for pair in zip(*found.values(), strict=True):
        for network, fields in zip(found, pair, strict=True):
            ladder = Ladder(**fields)
            judged = ladder.monotonic, ladder.separated(floors[network])
            rows.append(
                [ladder.change, network, f"{ladder.floor:.3g}"]
                + [f"{distance / ladder.floor:.3g}" for distance in ladder.distances]
                + ["yes" if each else "no" for each in judged]
            )
    steps = [f"step {step}" for step in range(1, len(LEVELS) + 1)]
    return table(["change", "network", "floor", *steps, "monotonic", "above all floors"], rows)


def label_table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = []
    for name, figures in found.get("faces", {}).items():
        for metric in figures.keys() & {"accuracy", "balanced", "auc"}:
            of_each = [f"{networks[name][metric]:.2f}" for networks in found.values()]
            chance = f"{figures[f'{metric}_chance']:.2f}"
            rows.append([name, f"{figures['labelled']:.0f}", metric, *of_each, chance])
    head = ["label, read from", "images", "figure", *found, "a constant"]
    unlabelled = ", ".join(f"`{name}`" for name in COLUMN if name not in LABELLED)
    return f"{table(head, sorted(rows))}\n\nUnvalidated on real: {unlabelled}."


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m eval.faces.validate", description=__doc__)
    parser.add_argument("--real", type=Path, required=True, metavar="DIR", help="a data set")
    parser.add_argument("--labels", type=Path, metavar="CSV", help="of its images, by eye")
    parser.add_argument("--out", type=Path, metavar="FILE", help="of the tables; else printed")
    options = parser.parse_args()
    numbers = measure(torch.from_numpy(Store(options.real).images), options.labels)
    NUMBERS.parent.mkdir(parents=True, exist_ok=True)
    write_json(NUMBERS, numbers)
    if options.out is None:
        print(report(numbers))
    else:
        write_atomic(options.out, report(numbers).encode())


if __name__ == "__main__":
    main()
