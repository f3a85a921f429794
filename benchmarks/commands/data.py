"""`bench data`: make data sets, look at them, split them, hand them on."""

import json
from pathlib import Path
from typing import Any

import click

from benchmarks.commands.options import json_option
from benchmarks.console import file_progress, item_progress
from benchmarks.datasets import import_lines
from data.errors import UserError

PATH = click.Path(path_type=Path)


class TooManyRejected(UserError):
    """The store is written, and a greater share of the files was rejected than is allowed."""

    exit_code = 4


class Share(click.ParamType[float]):
    """A share of the whole: `1%` or `0.01`."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value).strip()
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1 or text == "1":  # 1 could be meant as 1% or as everything
            self.fail(f"{text!r} is no share; write 1% or 0.01", param, ctx)
        return share


folder_argument = click.argument("folder", metavar="DIR", type=PATH)


@click.group()
def data() -> None:
    """Make data sets, look at them, split them, hand them on.

    \b
    bench data import photos.zip --out datasets/photos
    bench data split datasets/photos --heldout 2000
    bench run --data datasets/photos
    """


@data.command("import")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=PATH)
@click.option("--out", metavar="DIR", required=True, type=PATH)
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Stop after N images.")
@click.option(
    "--max-rejected",
    type=Share(),
    default="1%",
    show_default=True,
    help="Exit with 4 if more files are rejected; the data set is written all the same.",
)
@click.option("--allow-upscale", is_flag=True, help="Take images smaller than 64 pixels, too.")
@click.option("--dedupe", is_flag=True, help="Drop later copies of the same pixels.")
@json_option
def import_(
    sources: tuple[Path, ...],
    out: Path,
    limit: int | None,
    max_rejected: float,
    allow_upscale: bool,
    dedupe: bool,
    as_json: bool,
) -> None:
    """Import folders, zips and tars of images as one data set of 64x64 RGB.

    \b
    bench data import archive.zip --out datasets/photos
    bench data import faces/ more-faces.tar.gz --out datasets/faces --dedupe

    Folders are searched through; an archive is read as it was downloaded. Images are cropped to
    the centre square and resized. A file that cannot be used is counted here by its code, listed
    in DIR/skipped.csv with the reason, and never stops the import. NVIDIA's dataset zip is read
    with its labels.
    """
    from data.importer import import_images, rejected_share

    with file_progress() as progress:
        card = import_images(
            sources,
            out,
            limit=limit,
            allow_upscale=allow_upscale,
            dedupe=dedupe,
            progress=progress,
        )
    share = rejected_share(card)
    if as_json:
        click.echo(json.dumps({"out": str(out), "rejected_share": share, **card}, indent=2))
    else:
        click.echo("\n".join([f"{out}: {card['count']:,} images", *import_lines(card)]))
        if card["rejected"]:
            click.echo(f"the rejected files are listed in {out / 'skipped.csv'}", err=True)
    if share > max_rejected:
        raise TooManyRejected(
            f"{share:.1%} of the files were rejected, --max-rejected is {max_rejected:.1%}; "
            f"{out} is written without them"
        )


@data.command()
@folder_argument
@click.option("--out", metavar="FILE", required=True, type=PATH)
def export(folder: Path, out: Path) -> None:
    """Write a data set as NVIDIA's dataset zip, labels included.

    \b
    bench data export datasets/photos --out photos-64.zip
    """
    from data.nvidia_zip import export_zip
    from data.store import Store

    store = Store(folder)
    with item_progress("exported", len(store)) as progress:
        export_zip(store, out, progress)
    click.echo(f"{out}: {len(store):,} images, {out.stat().st_size:,} bytes")


@data.command()
@folder_argument
@json_option
def info(folder: Path, as_json: bool) -> None:
    """Describe a data set, and check every pixel of it against its SHA-256.

    \b
    bench data info datasets/photos
    """
    from data.store import Store

    store = Store(folder)
    store.verify()
    parts = {part: len(store.rows(part)) for part in ("train", "heldout")}
    factors = factor_names(folder)
    labels = store.labels
    classes = None if labels is None else len(set(labels.tolist()))
    if as_json:
        found = {"intact": True, "parts": parts, "factors": factors, "classes": classes}
        click.echo(json.dumps({"folder": str(folder), **found, "card": store.card}, indent=2))
        return
    click.echo(f"{folder}: {len(store):,} images, intact (SHA-256 {store.card['sha256']})")
    click.echo(f"parts       train {parts['train']:,}, heldout {parts['heldout']:,}")
    if classes is not None:
        click.echo(f"labels      {classes:,} classes")
    if factors:
        click.echo(f"factors     {', '.join(factors)}")
    click.echo("\n".join(import_lines(store.card)))


@data.command()
@folder_argument
@click.option("--heldout", metavar="N", required=True, type=int, help="How many to set aside.")
@json_option
def split(folder: Path, heldout: int, as_json: bool) -> None:
    """Set images aside that no training sees, for honest measurements.

    \b
    bench data split datasets/photos --heldout 2000

    Chosen by the images' content: the same files give the same split, in whatever order, and
    copies of an image go to the same side. A later split replaces an earlier one.
    """
    from data.store import Store

    store = Store(folder)
    store.split(heldout)
    parts = {part: len(store.rows(part)) for part in ("train", "heldout")}
    if as_json:
        click.echo(json.dumps(parts))
    else:
        click.echo(f"{folder}: train {parts['train']:,}, heldout {parts['heldout']:,}")


@data.command()
@click.option("--n", "count", default=20_000, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--out",
    metavar="DIR",
    default=Path("datasets/faces"),
    show_default=True,
    type=PATH,
)
def faces(count: int, seed: int, out: Path) -> None:
    """Draw faces by code: the data set that needs no download, with all its factors known.

    \b
    bench data faces --n 20000 --seed 0 --out datasets/faces

    The same seed draws the same faces; another seed is a test set that no training saw.
    """
    from data.faces import write_faces

    with item_progress("drawn", count, "face") as progress:
        write_faces(out, count, seed, progress)
    click.echo(f"{out}: {count:,} faces of seed {seed}")


def factor_names(folder: Path) -> list[str]:
    """The columns of a data set's factors.csv; none where it has no such file."""
    path = folder / "factors.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().split(",")
