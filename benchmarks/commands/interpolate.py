"""`bench interpolate`: from seed to seed and back, as an animation and a strip."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from benchmarks.commands.drawing import (
    finite,
    measure_options,
    refuse_crowd,
    seeds_option,
    source_options,
)
from benchmarks.commands.options import run_argument
from benchmarks.console import item_progress
from data.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.grids import Panel
    from benchmarks.trained import Trained

FPS = 30
STEPS = 6  # from each seed to the next, in the strip
IN_WORDS = {"z": "along the sphere in z", "w": "straight in w"}


@click.command()
@run_argument
@seeds_option("--seeds", "0-3", "Of the faces on the way, in this order; at least two.")
@click.option(
    "--frames",
    metavar="N",
    type=click.IntRange(min=2),
    default=60,
    show_default=True,
    help="From each seed to the next.",
)
@click.option(
    "--psi",
    type=float,
    callback=finite,
    help="Truncation, for a StyleGAN.  [default: 1, which is none]",
)
@click.option(
    "--space",
    type=click.Choice(["z", "w"]),
    help="Along the sphere in z, or straight in w.  [default: w for a StyleGAN, else z]",
)
@measure_options
@source_options
def interpolate(
    run: str,
    seeds: list[int],
    frames: int,
    psi: float | None,
    space: Literal["z", "w"] | None,
    measure: bool,
    seed: int,
    kimg: float | None,
    raw: bool,
    device: str,
    out: Path | None,
    results: Path,
) -> None:
    """Walk from seed to seed and back to the first: an animated WebP, and a strip beside it.

    \b
    bench interpolate                            the latest run
    bench interpolate 00003 --seeds 1,2,3,7 --frames 60
    bench interpolate 00003 --space z --psi 0.7
    bench interpolate --seeds 0-15 --measure     how evenly faces change, as numbers

    A StyleGAN's noise is constant: only the latent moves. The animation runs at 30 frames a second
    and starts again for ever. Prints where both are. RUN is an id, a path or `latest`.

    --measure writes the length of each way in the features of `faces`, what detour that is, and its
    largest step over the mean one (1 is perfectly even), with 95% intervals over three ways or
    more; and the path length of 1,000 random paths of the generator.
    """
    from benchmarks.animation import write_webp
    from benchmarks.grids import write_grids
    from benchmarks.trained import STYLEGAN, load_trained
    from eval.studies.interpolate import path_images
    from training.run_dir import RunDir
    from training.sheet import to_uint8

    refuse_still(seeds)
    refuse_crowd("--seeds, --frames", len(seeds) * frames)
    found = RunDir.find(results, run)
    is_stylegan = found.config.model == STYLEGAN
    if not is_stylegan and (psi is not None or space == "w"):
        raise UserError(f"--psi, --space w: {found.id} is no StyleGAN: it has no w, only z")
    space = space or ("w" if is_stylegan else "z")
    psi = 1.0 if psi is None else psi
    trained = load_trained(found, kimg, raw, device)
    images = path_images(trained.gan, seeds, frames, psi, space)

    picture = out or found.path / "interpolate.png"
    title = trained.title + (f", psi {psi:g}, constant noise" if is_stylegan else "")
    words = f"{frames} frames from each seed to the next, {IN_WORDS[space]}"
    write_grids(picture, [title, words], [strip(to_uint8(images), seeds)])
    write_webp(picture.with_suffix(".webp"), to_uint8(images), FPS)
    click.echo(picture)
    click.echo(picture.with_suffix(".webp"))
    if measure:
        how = {"seeds": seeds, "frames": frames, "psi": psi, "space": space, "seed": seed}
        measure_path(trained, images, picture, device, how)


def refuse_still(seeds: list[int]) -> None:
    """Refuse seeds between which there is nowhere to go."""
    text = ",".join(map(str, seeds))
    if len(seeds) < 2:
        raise UserError(f"--seeds {text}: name at least two, such as {text},{seeds[0] + 1}")
    for seed, following in pairwise([*seeds, seeds[0]]):
        if seed == following:
            raise UserError(
                f"--seeds {text}: {seed} follows itself; after the last seed comes the first again"
            )


def strip(images: "Tensor", seeds: list[int]) -> "Panel":
    """A row for each way, from a seed's own image over some steps to the next seed's.

    Args:
        images: uint8 [len(seeds) * frames, 3, H, W].
    """
    import torch

    from benchmarks.grids import Panel

    ways = images.unflatten(0, (len(seeds), -1))
    frames = ways.shape[1]
    ways = torch.cat([ways, ways[:, :1].roll(-1, 0)], 1)  # [N, frames + 1, 3, H, W]
    shown = min(frames, STEPS)
    steps = [round(step * frames / shown) for step in range(shown + 1)]
    captions = [
        caption
        for start, end in pairwise([*seeds, seeds[0]])
        for caption in (f"seed {start}", *(f"frame {step}" for step in steps[1:-1]), f"seed {end}")
    ]
    return Panel(ways[:, steps], captions=captions)


def measure_path(
    trained: "Trained", images: "Tensor", picture: Path, device: str, how: dict[str, Any]
) -> None:
    """Write the tables of the path that `images` are the frames of, and print their last rows."""
    import pandas as pd

    from benchmarks.studies import attribute_extractor, write_tables
    from eval.measure import protocol_of
    from eval.studies.interpolate import own_path_length, path_features, smoothness

    extractor = attribute_extractor(device)
    seed = how["seed"]
    rows = smoothness(path_features(extractor, images, item_progress), how["seeds"], seed)
    rows.append(own_path_length(trained.gan, how["psi"], extractor, seed, item_progress))
    table = pd.DataFrame(rows, columns=["measure", "way", "value", "low", "high"])
    about = {"study": "interpolate", **trained.about, **how, **protocol_of(extractor)}
    for path in write_tables(picture, table, about):
        click.echo(path)
    short = table.tail(4)  # the three measures' means, or of two seeds their only way
    click.echo(short.to_string(index=False, na_rep="-", float_format="{:,.4g}".format))
