"""What the studies of latents leave besides a picture: a table, as CSV and as JSON."""

import json
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch

from benchmarks.console import item_progress
from benchmarks.datasets import open_data
from benchmarks.evaluation import data_of, real_in, real_of
from data.errors import UserError
from data.files import write_atomic, write_json
from eval.effects import read
from eval.extractors import Extractor, load_extractor
from eval.measure import Real
from eval.metrics import LEAST
from eval.studies.walk import SINGLE_FACTOR_BREADTH, Read
from training.environment import resolve_device
from training.run_dir import RunDir


def attribute_extractor(device: str) -> Extractor:
    """The one whose features attributes are read in."""
    return load_extractor("faces", torch.device(resolve_device(device)))


def reader(extractor: Extractor, what: str) -> Read:
    """Reads the attributes of images, with a bar that says of what."""
    return lambda images: read(extractor, images, what, item_progress)


def real_images(run: RunDir, against: Path | None) -> Real:
    """Those of a data set, or of what a run was trained on.

    Raises:
        MissingError: there is none such any more.
        UserError: it is not what it was, or too small.
    """
    real = real_in(open_data(against)) if against else real_of(data_of(run))
    for pictures in real.parts.values():
        if len(pictures) < LEAST:
            raise UserError(
                f"{pictures.name} has {len(pictures)} images: {LEAST} are needed to measure "
                "against; name other data with --against"
            )
    return real


def write_tables(picture: Path, table: pd.DataFrame, about: dict[str, Any]) -> list[Path]:
    """Write a study's numbers beside its picture; returns where.

    Args:
        about: what they were measured of and how: the JSON has it, and the rows.

    Raises:
        MissingError: the disk is full or not writable.
    """
    as_csv, as_json = picture.with_suffix(".csv"), picture.with_suffix(".json")
    write_atomic(as_csv, table.to_csv(index=False, lineterminator="\n").encode())
    # pandas writes what is not a number as null; json alone would write NaN.
    write_json(as_json, {**about, "rows": json.loads(table.to_json(orient="records"))})
    return [as_csv, as_json]


def in_words(row: Any, digits: int = 2) -> str:
    """`0.31 [0.20, 0.42]` of a row of a table, or `none` where its `effect` is none."""
    if row.get("effect") == "none":
        return "none"
    return f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"


def tell_effects(table: pd.DataFrame, column: str, paths: list[Path]) -> None:
    """Print effects, attributes by the values of a column, and where the whole tables are."""
    shown = table.assign(
        value=table["value"].map("{:.2f}".format).where(table["effect"] != "none", "none")
    )
    wide = shown.pivot(index="attribute", columns=column, values="value")
    wide = wide.reindex(index=table["attribute"].unique(), columns=table[column].unique())
    trust = table.drop_duplicates("attribute").set_index("attribute")[["head_score", "on_real"]]
    click.echo(wide.join(trust).to_string())
    for path in paths:
        click.echo(path)


def tell_lines(table: pd.DataFrame, column: str) -> None:
    """Print what moves on each line, a row for each value of a column."""
    rows = []
    for line, found in table.groupby(column, sort=False):
        whole = found[found["attribute"] == "all"].set_index("measure")
        counted = whole["value"].map("{:.0f}".format)
        moved = found[(found["measure"] == "moved") & (found["effect"] != "none")]
        most = moved.assign(share=moved["value"] / moved["usual"]).nlargest(3, "share")
        rows.append(
            {
                column: line,
                "moved": counted["count"],
                **{name: in_words(whole.loc[name]) for name in ("breadth", "consistency")},
                "consistent": counted["consistent"],
                "moves most": ", ".join(most["attribute"]) or "none",
            }
        )
    click.echo(pd.DataFrame(rows).to_string(index=False))
    click.echo(
        "moved: attributes that move farther than heads err when another factor changes. breadth: "
        "over how many attributes the\nmovement spreads, "
        f"{SINGLE_FACTOR_BREADTH:g} where one factor of drawn faces changes. consistency: 1 if it "
        "is alike in every face, 0\nif it has nothing in common. consistent: attributes that move "
        "alike beyond their interval (one in forty does by\nchance). moves most: as a share of how "
        "different any two faces are"
    )
