"""What the studies of latents leave besides a picture: a table, as CSV and as JSON."""

import json
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch

from data.files import write_atomic, write_json
from eval.extractors import Extractor, load_extractor
from training.environment import resolve_device


def attribute_extractor(device: str) -> Extractor:
    """The one whose features attributes are read in."""
    return load_extractor("faces", torch.device(resolve_device(device)))


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
