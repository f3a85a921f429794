"""The results table: derived from the run directories, so there is nothing to corrupt."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from data.errors import UserError
from models.registry import parameter_counts
from training.run_dir import EVENTS, METRICS, RunDir

COLUMNS = (
    "run",
    "status",
    "model",
    "variant",
    "dataset",
    "dataset_sha256",
    "images",
    "seed",
    "metric",
    "value",
    "floor",
    "note",
    "weights",
    "psi",
    "batch_norm",
    "fakes",
    "sample_seed",
    "reference",
    "reference_sha256",
    "reference_images",
    "extractor",
    "extractor_sha256",
    "feature_precision",
    "resize",
    "kimg",
    "g_updates",
    "train_sec",
    "images_per_sec",
    "peak_memory_bytes",
    "g_parameters",
    "d_parameters",
    "batch",
    "precision",
    "memory_format",
    "compile",
    "ops",
    "collapses",
    "rollbacks",
    "hardware",
    "torch",
    "gan_versus",
    "python",
)

RESULT = ("value", "floor", "note")  # of a measurement; the rest of its row is its protocol


def load(results: str | Path = "results") -> pd.DataFrame:
    """One row a measurement, with the run that it measures and what it ran on.

    A run that has not been measured yet has one row without a metric, and one whose configuration
    cannot be read has the status `unreadable`. Units are in the names; `seed` is the one that the
    run was started with, and each of its rollbacks adds one to it.
    """
    rows = [row for run in RunDir.all(Path(results)) for row in _rows(run)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(run: RunDir) -> list[dict[str, Any]]:
    try:
        described = _describe(run)
    except (UserError, KeyError, TypeError):
        return [{"run": run.id, "status": "unreadable"}]
    starts = run.environments
    rows = run.rows(METRICS)
    costs = {row["nimg"]: row for row in rows if row["metric"] == "training"}
    # What was measured twice is one row: all that tells rows apart is in them.
    distinct = {json.dumps({**row, **dict.fromkeys(RESULT)}): row for row in rows} or {"": {}}
    return [
        described | _environment(starts, row.get("nimg", 0)) | costs.get(row.get("nimg"), {}) | row
        for row in distinct.values()
    ]


def _describe(run: RunDir) -> dict[str, Any]:
    config = run.config
    events = [event["event"] for event in run.rows(EVENTS)]
    g_parameters, d_parameters = parameter_counts(config.model, config.options)
    return {
        "run": run.id,
        "status": run.status["state"],
        "model": config.model,
        "variant": config.variant,
        "dataset": config.data["name"],
        "dataset_sha256": config.data["sha256"],
        "images": config.data["images"],
        "seed": config.training.seed,
        "g_parameters": g_parameters,
        "d_parameters": d_parameters,
        "batch": config.training.batch,
        "precision": config.training.precision,
        "memory_format": config.training.memory_format,
        "compile": config.training.compile,
        "collapses": events.count("collapse"),
        "rollbacks": events.count("rollback"),
    }


def _environment(starts: list[dict[str, Any]], nimg: int) -> dict[str, Any]:
    """What the run ran on when it reached `nimg` images: each start or resumption has a record."""
    before = [start for start in starts if start["nimg"] < nimg] or starts[:1]
    if not before:
        return {}
    found = before[-1]
    versions = found["versions"]
    return {
        "hardware": found["hardware"],
        "torch": versions["torch"],
        "gan_versus": versions["gan-versus"],
        "python": found["python"],
    }
