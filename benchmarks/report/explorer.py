"""The explorer of a report: sliders that choose among images made when the page was written.

A page runs no network, so whatever its sliders can say is drawn beforehand, each as a tile of one
picture, the atlas.

- A StyleGAN: psi, one of PSIS, and for each group of layers the seed that its styles come from, one
  of four: 6 x 4 x 4 x 4 faces, every slider free of the others. At psi 0 they are all the same one:
  5 x 64 + 1 = 321 tiles.
- Other families have no styles to choose: the way along the sphere in z from each of eight seeds to
  the next in five steps, 40 tiles.

Seeds count from 0 and nobody chose them, weights are averaged, noise is constant: a tile is what
`bench mix`, `bench truncate` and `bench interpolate` draw from the same numbers.

The atlas is a JPEG with all of its colour: its blocks of 8 x 8 pixels know nothing of each other,
so that no tile bleeds into the next. On drawn faces, WebP of the same size errs by 6.4 of 255
inside a tile and by 12.7 along its border, which it filters and whose colour it halves; this by 7.0
and 6.4. Without loss it would be 3 MB.
"""

import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from PIL import Image
from torch import Tensor

from benchmarks.grids import in_rows
from benchmarks.report.pictures import data_uri
from benchmarks.trained import STYLEGAN, Trained, load_trained
from data.errors import UserError
from eval.features import Watch, unwatched
from eval.latents import BATCH, images_of, seeded_z
from eval.studies.interpolate import path_images
from models.stylegan.selectors import describe, groups
from training.run_dir import RunDir
from training.sheet import to_uint8

PSIS = (-1.0, -0.5, 0.0, 0.5, 0.7, 1.0)
PSIS_IN_WORDS = {-1.0: " (opposite)", 0.0: " (mean face)", 1.0: " (not truncated)"}
SEEDS = range(4)
WAY_SEEDS, WAY_STEPS = range(8), 5
COLUMNS = 16  # tiles in a row of an atlas
BUDGET = 1_200_000  # characters that all atlases take in the page
QUALITIES = range(85, 0, -5)
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Slider:
    """One of a view's sliders.

    Attributes:
        words: what each position means.
        stride: how far a step goes in the view's `places`.
        start: the position it has at first.
        source: it chooses a seed, whose own face is shown beside it.
        follows: it has a position before the first, -1, that says what the first slider says.
    """

    name: str
    words: Sequence[str]
    stride: int
    start: int = 0
    source: bool = False
    follows: bool = False


@dataclass(frozen=True)
class View:
    """One run's sliders, and every tile they can show.

    Attributes:
        tiles: uint8 [N, 3, H, W].
        places: the tile of each combination of positions.
        table: rows of tiles that are on the page whether it runs scripts or not.
        rows, cols, caption: the table's labels.
    """

    trained: Trained
    about: str
    tiles: Tensor
    places: Sequence[int]
    sliders: Sequence[Slider]
    table: Sequence[Sequence[int]]
    rows: Sequence[str]
    cols: Sequence[str]
    caption: str


@dataclass(frozen=True)
class Explorer:
    """What a page takes in.

    Attributes:
        html: a section's content, below a heading of level 2.
        css: its style, the atlases included.
        js: its script, to run once the page is there.
    """

    html: Markup
    css: str
    js: str


def explore(runs: Sequence[RunDir], device: str, watch: Watch = unwatched) -> Explorer | None:
    """The explorer of each family's newest run that can be drawn; None if none can."""
    newest: dict[str, Trained] = {}
    for run in sorted(runs, key=lambda run: run.status.get("started", 0.0), reverse=True):
        with suppress(UserError):  # no snapshot yet, or a damaged one
            if run.config.model not in newest:
                newest[run.config.model] = load_trained(run, None, False, device)
    views = [
        mixing_view(newest[model], watch) if model == STYLEGAN else way_view(newest[model])
        for model in sorted(newest, reverse=True)
    ]
    return explorer_of(views) if views else None


def mixing_view(trained: Trained, watch: Watch = unwatched) -> View:
    """A StyleGAN's: psi, and for each group of layers the seed of its styles."""
    generator = trained.generator
    layers = {name: found for name, found in groups(generator.resolutions).items() if found}
    faces = [face(*each) for each in product(PSIS, product(SEEDS, repeat=len(layers)))]
    tiles = {each: tile for tile, each in enumerate(dict.fromkeys(faces))}

    z = seeded_z(trained.gan, SEEDS)
    styles = {psi: generator.map(z, psi) for psi in PSIS}  # each [seeds, num_ws, w_dim]
    ws = [mixed(styles[psi], layers.values(), sources) for psi, sources in tiles]
    images = []
    with watch(f"explorer, {trained.run.id}", len(ws)) as progress:
        for batch in torch.stack(ws).split(BATCH):
            images.append(to_uint8(images_of(generator.synthesize, batch)).cpu())
            progress(len(batch))

    what = [f"{name} {describe(of, generator.resolutions)}" for name, of in layers.items()]
    return View(
        trained,
        "Each face takes its styles from one seed of four, or each group of layers from a seed of "
        f"its own: {'; '.join(what)}. Psi pulls styles to their mean: 1 not at all, 0 all the way, "
        "-1 as far beyond. The noise is constant.",
        torch.cat(images),
        [tiles[each] for each in faces],
        mixing_sliders(list(layers)),
        [[tiles[face(psi, [seed] * len(layers))] for psi in PSIS] for seed in SEEDS],
        [f"seed {seed}" for seed in SEEDS],
        [f"psi {psi:g}" for psi in PSIS],
        "Seeds with all styles their own, at each psi",
    )


def face(psi: float, sources: Sequence[int]) -> tuple[float, tuple[int, ...]]:
    """What tells one face from another: at psi 0, no source does."""
    return psi, tuple(source if psi else 0 for source in sources)


def mixed(ws: Tensor, layers: Iterable[Sequence[int]], sources: Sequence[int]) -> Tensor:
    """Styles [num_ws, w_dim]: each group of layers from its own one of ws [S, num_ws, w_dim]."""
    styles = ws[0].clone()
    for group, source in zip(layers, sources, strict=True):
        styles[group] = ws[source, group]
    return styles


def mixing_sliders(names: Sequence[str]) -> list[Slider]:
    """A seed for the whole face, psi, and a seed for each group of layers."""
    seeds = [f"seed {seed}" for seed in SEEDS]
    psis = [f"psi {psi:g}{PSIS_IN_WORDS.get(psi, '')}" for psi in PSIS]
    strides = [len(SEEDS) ** power for power in range(len(names), -1, -1)]
    return [
        Slider("Seed", seeds, 0, source=True),
        Slider("Psi", psis, strides[0], PSIS.index(1.0)),
        *(
            Slider(
                f"{name.capitalize()} styles",
                [f"{name} its own", *(f"{name} from {seed}" for seed in seeds)],
                stride,
                start=-1,
                source=True,
                follows=True,
            )
            for name, stride in zip(names, strides[1:], strict=True)
        ),
    ]


def way_view(trained: Trained) -> View:
    """Any family's: the way from each seed to the next, and from the last to the first."""
    images = to_uint8(path_images(trained.gan, WAY_SEEDS, WAY_STEPS)).cpu()
    ends = [*WAY_SEEDS[1:], WAY_SEEDS[0]]
    ways = [f"seed {start} to {end}" for start, end in zip(WAY_SEEDS, ends, strict=True)]
    steps = [f"{step}/{WAY_STEPS}" for step in range(WAY_STEPS)]
    places = range(len(images))
    return View(
        trained,
        "The way from each of eight seeds to the next, and from the last to the first, along the "
        "sphere in z. This network has neither styles to mix nor a mean style to pull to.",
        images,
        places,
        [Slider("Way", [f"{way}, {step} of the way" for way in ways for step in steps], 1)],
        [places[start : start + WAY_STEPS] for start in places[::WAY_STEPS]],
        ways,
        steps,
        "Steps from seed to seed",
    )


def explorer_of(views: Sequence[View]) -> Explorer:
    """Views as a page takes them in, in the best quality that BUDGET allows."""
    for quality in QUALITIES:
        atlases = [atlas(view.tiles, quality) for view in views]
        if sum(map(len, atlases)) <= BUDGET:
            break
    css = (HERE / "explorer.css").read_text()
    for number, uri in enumerate(atlases):
        css += f".explorer-{number} .tile {{ background-image: url({uri}) }}\n"
    templates = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    html = templates.get_template("explorer.html").render(
        views=views, columns=COLUMNS, quality=quality
    )
    return Explorer(Markup(html), css, (HERE / "explorer.js").read_text())


def atlas(tiles: Tensor, quality: int) -> str:
    """Tiles uint8 [N, 3, H, W] in rows of COLUMNS, as a JPEG's data URI."""
    grid = in_rows(tiles, COLUMNS).permute(0, 3, 1, 4, 2)  # [rows, H, COLUMNS, W, 3]
    picture = Image.fromarray(grid.flatten(2, 3).flatten(0, 1).numpy())
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling="4:4:4")
    return data_uri("image/jpeg", buffer.getvalue())
