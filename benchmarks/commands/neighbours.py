"""`bench neighbours`: generated faces beside the training images that are most like them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.commands.drawing import measure_options, seeds_option, source_options
from benchmarks.commands.options import run_argument
from benchmarks.console import item_progress
from data.errors import UserError

if TYPE_CHECKING:
    from benchmarks.trained import Trained
    from data.store import Store
    from eval.effects import Floats
    from eval.extractors import Extractor

MOST_ROWS = 64
NUM, LEAST_NUM = 1000, 64


@click.command()
@run_argument
@seeds_option("--seeds", "0-7", "A row for each.")
@click.option(
    "-k",
    "count",
    type=click.IntRange(1, 20),
    default=5,
    show_default=True,
    help="Neighbours of each.",
)
@click.option(
    "--extractor",
    "spec",
    metavar="NAME|FILE",
    default="faces",
    show_default=True,
    help="Whose features say what is near: faces, inception, a .pt or .pt2 file, or "
    "package.module:function.",
)
@click.option(
    "--num",
    type=click.IntRange(min=LEAST_NUM),
    default=NUM,
    show_default=True,
    help="To measure: fakes, and as many held-out images.",
)
@click.option(
    "--against",
    metavar="DATA",
    type=click.Path(path_type=Path),
    help="The training set, if it has moved.  [default: what the run was trained on]",
)
@measure_options
@source_options
def neighbours(
    run: str,
    seeds: list[int],
    count: int,
    spec: str,
    num: int,
    against: Path | None,
    measure: bool,
    seed: int,
    kimg: float | None,
    raw: bool,
    device: str,
    out: Path | None,
    results: Path,
) -> None:
    """Draw generated faces beside their nearest training images: are they new, or remembered?

    \b
    bench neighbours                             eight faces of the latest run
    bench neighbours 00003 --seeds 5,9 -k 10
    bench neighbours 00003 --extractor inception
    bench neighbours 00003 --measure             a score against held-out images

    Near is what an extractor says: the distance in its features is below each image. The nearest
    image by pixels is the second opinion. Features of a training set are found once, and kept.

    --measure compares how far fakes and held-out images are from their nearest training images.
    auc is how often a fake is the nearer one of two: 0.5 if fakes are as new as real images, 1 if
    they are copies, below 0.5 if they are off the data. What cannot be told from new images is
    printed as none. Any family will do. Prints where the picture is: it shows training images, so
    mind where it goes. RUN is an id, a path or `latest`.
    """
    import torch

    from benchmarks.datasets import open_data
    from benchmarks.evaluation import data_of
    from benchmarks.trained import load_trained
    from eval.extractors import load_extractor
    from training.environment import resolve_device
    from training.run_dir import RunDir

    if len(seeds) > MOST_ROWS:
        raise UserError(f"--seeds: {len(seeds)} rows; at most {MOST_ROWS} fit a picture")
    trained = load_trained(RunDir.find(results, run), kimg, raw, device)
    store = open_data(against) if against else data_of(trained.run)
    extractor = load_extractor(spec, torch.device(resolve_device(device)))
    picture = out or trained.run.path / "neighbours.png"
    draw_neighbours(trained, store, extractor, seeds, count, picture)
    click.echo(picture)
    if measure:
        measure_neighbours(trained, store, extractor, num, picture, seed)


def draw_neighbours(
    trained: "Trained",
    store: "Store",
    extractor: "Extractor",
    seeds: list[int],
    count: int,
    picture: Path,
) -> None:
    """A row for each seed: the fake, its nearest by features, and the nearest by pixels."""
    import numpy as np
    import torch

    from benchmarks.grids import Panel, write_grids
    from eval.features import reference
    from eval.images import Pictures
    from eval.latents import images_of, seeded_z
    from eval.studies.neighbours import nearest_features, nearest_pixels
    from training.sheet import to_uint8

    train = Pictures.part(store, "train")
    fakes = to_uint8(images_of(trained.gan.G, seeded_z(trained.gan, seeds))).cpu()
    known = reference(extractor, train, item_progress).features
    near, places = nearest_features(extractor.embed(fakes).cpu().numpy(), known, count)
    near_pixels, pixel_places = nearest_pixels(fakes, train)

    found = np.concatenate([places, pixel_places], axis=1)
    rows = torch.cat([fakes[:, None], torch.from_numpy(store.images[train.rows[found]])], 1)
    captions = [
        caption
        for seed, features, pixels in zip(seeds, near, near_pixels, strict=True)
        for caption in (f"seed {seed}", *(f"{each:.2f}" for each in features), f"{pixels[0]:.1f}")
    ]
    ranks = [f"nearest {rank}" if rank > 1 else "nearest" for rank in range(1, len(near[0]) + 1)]
    panel = Panel(rows, cols=["generated", *ranks, "by pixels"], captions=captions)
    how = (
        f"nearest of {len(train):,} training images by features of {extractor.name} (distances "
        "below), and by pixels (root mean square, 0 to 255)"
    )
    write_grids(picture, [trained.title, how], [panel])


def measure_neighbours(
    trained: "Trained",
    store: "Store",
    extractor: "Extractor",
    num: int,
    picture: Path,
    seed: int,
) -> None:
    """The table of the score against held-out images, where there are any."""
    from benchmarks.console import say
    from benchmarks.evaluation import real_of
    from benchmarks.studies import in_words, write_tables
    from eval.features import extract, reference
    from eval.images import Images, Pictures, Samples
    from eval.measure import protocol_of
    from eval.studies.neighbours import memorisation, nearest_features

    heldout = real_of(store).parts.get("heldout")
    if heldout is None:
        say("no score: without held-out images, nothing says how near is too near")
        return
    train = Pictures.part(store, "train")
    known = reference(extractor, train, item_progress).features

    def distances(what: str, images: Images) -> "Floats":
        features = extract(extractor, images, what, item_progress)
        return nearest_features(features, known, 1)[0][:, 0]

    fakes = distances("fakes", Samples(trained.gan, num, seed))
    new = distances("held-out images", heldout.sample(num, seed))
    table = memorisation(fakes, new, seed).assign(train=len(known))
    about = {
        "study": "neighbours",
        **trained.about,
        "seed": seed,
        "reference": train.name,
        "reference_sha256": train.sha256,
        "heldout_sha256": heldout.sha256,
        **protocol_of(extractor),
    }
    for path in write_tables(picture, table, about):
        click.echo(path)
    shown = table.assign(found=[in_words(row, 3) for _, row in table.iterrows()])
    click.echo(shown[["measure", "found", "if_new", "fakes", "heldout"]].to_string(index=False))
    click.echo("found: with its interval; none where that holds what new images would have, if_new")
