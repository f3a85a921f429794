"""`bench progress`: the same latents through every snapshot of a run."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.commands.drawing import (
    measure_options,
    place_options,
    refuse_crowd,
    seeds_of,
    seeds_option,
)
from benchmarks.commands.options import run_argument
from benchmarks.console import item_progress, say
from data.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from training.run_dir import RunDir

FPS = 4
FACES = 64  # measured


@click.command()
@run_argument
@seeds_option("--seeds", "0-7", "A column for each; a seed gives the same z everywhere.")
@click.option(
    "--max-rows",
    metavar="N",
    type=click.IntRange(min=2),
    default=20,
    show_default=True,
    help="Of more snapshots, take N: the first, the last, and others evenly between.",
)
@measure_options
@place_options
def progress(
    run: str,
    seeds: list[int],
    max_rows: int,
    measure: bool,
    seed: int,
    raw: bool,
    device: str,
    out: Path | None,
    results: Path,
) -> None:
    """Draw the same faces after every snapshot: a strip, and an animated WebP beside it.

    \b
    bench progress                               the latest run
    bench progress 00003 --seeds 0-11 --raw
    bench progress 00003 --max-rows 100          more of a long run
    bench progress --measure                     how much faces still change, as numbers

    A row is a snapshot and a column a seed. Prints where both are. RUN is an id, a path or
    `latest`.

    --measure writes how far 64 faces move from each of these snapshots to the next, in the features
    of `faces`, with 95% intervals, and beside it how far apart different faces are.
    """
    import torch

    from benchmarks.animation import write_webp
    from benchmarks.grids import Panel, write_grids
    from training.run_dir import RunDir

    found = RunDir.find(results, run)
    found.snapshot()  # says so where there is none
    every = [int(path.stem) / 1000 for path in found.snapshots]
    chosen = spread(every, max_rows)
    refuse_crowd("--seeds, --max-rows", len(chosen) * len(seeds))
    if measure and len(chosen) < 2:
        raise UserError(f"--measure: {found.id} has one snapshot, and nothing to compare it with")
    labels = [f"kimg {kimg:.10g}" for kimg in chosen]
    words = "the same latents at each snapshot"
    if len(chosen) < len(every):
        words = f"the same latents at {len(chosen)} of {len(every)} snapshots, evenly spread"
        say(f"{words}: kimg {', '.join(f'{kimg:.10g}' for kimg in chosen)}")

    images = torch.stack([faces_at(found, kimg, seeds, raw, device) for kimg in chosen])
    picture = out or found.path / "progress.png"
    title = f"{found.id}, {'raw' if raw else 'EMA'} weights"
    panel = Panel(images, rows=labels, cols=[f"seed {seed}" for seed in seeds])
    write_grids(picture, [title, words], [panel])
    write_webp(picture.with_suffix(".webp"), tiled(images), FPS, labels)
    click.echo(picture)
    click.echo(picture.with_suffix(".webp"))
    if measure:
        measure_changes(found, chosen, raw, device, picture, seed)


def spread(every: list[float], count: int) -> list[float]:
    """All of them; or `count` evenly spread ones, from the first to the last."""
    if len(every) <= count:
        return every
    return [every[round(i * (len(every) - 1) / (count - 1))] for i in range(count)]


def faces_at(
    run: "RunDir", kimg: float, seeds: "list[int] | range", raw: bool, device: str
) -> "Tensor":
    """What seeds give at a snapshot, uint8 [N, 3, H, W]."""
    from benchmarks.trained import load_trained
    from eval.latents import images_of, seeded_z
    from training.sheet import to_uint8

    gan = load_trained(run, kimg, raw, device).gan
    return to_uint8(images_of(gan.G, seeded_z(gan, seeds)))


def tiled(images: "Tensor") -> "Tensor":
    """Frames [T, 3, h, w] of images [T, N, 3, H, W]: about twice as wide as high, and framed."""
    import torch
    from torch.nn.functional import pad

    from benchmarks.grids import PAPER, in_rows

    framed = pad(images, (1, 1, 1, 1), value=PAPER[0])
    cols = min(len(framed[0]), math.ceil(math.sqrt(2 * len(framed[0]))))
    grids = torch.stack([in_rows(each, cols) for each in framed])  # [T, R, C, 3, H, W]
    return grids.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def measure_changes(
    run: "RunDir", kimgs: list[float], raw: bool, device: str, picture: Path, seed: int
) -> None:
    """Write and print how far faces move from each snapshot to the next."""
    import torch

    from benchmarks.studies import attribute_extractor, write_tables
    from eval.measure import protocol_of

    extractor = attribute_extractor(device)
    seeds = seeds_of(seed, FACES)
    found = []
    with item_progress("faces", len(kimgs) * FACES) as progress:
        for kimg in kimgs:
            found.append(extractor.embed(faces_at(run, kimg, seeds, raw, device)).double().cpu())
            progress(FACES)
    table = changes(torch.stack(found), kimgs, seed)
    about: dict[str, Any] = {
        "study": "progress",
        "run": run.id,
        "weights": "raw" if raw else "ema",
        "seeds": list(seeds),
        "seed": seed,
        **protocol_of(extractor),
    }
    for path in write_tables(picture, table, about):
        click.echo(path)
    click.echo(table.to_string(index=False, float_format="{:,.4g}".format))


def changes(features: "Tensor", kimgs: list[float], seed: int = 0) -> "pd.DataFrame":
    """A row for each of features [T, N, D] but the last: how far they are from the next.

    step   the mean distance of a face from itself at the next snapshot, with its interval
    apart  the mean distance between different faces at the next snapshot
    """
    import pandas as pd
    from torch.nn.functional import pdist

    from eval.effects import mean_effect

    steps = (features[1:] - features[:-1]).norm(dim=2).cpu().numpy()  # [T - 1, N]
    moved = {f"{kimg}": step for kimg, step in zip(kimgs, steps, strict=False)}
    means = mean_effect(moved, seed)
    return pd.DataFrame(
        {
            "kimg": kimgs[:-1],
            "next_kimg": kimgs[1:],
            "step": [mean.value for mean in means],
            "low": [mean.low for mean in means],
            "high": [mean.high for mean in means],
            "faces": [mean.count for mean in means],
            "apart": [float(pdist(each).mean()) for each in features[1:]],
        }
    )
