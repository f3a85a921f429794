"""The results table: derived from the run directories, so there is nothing to corrupt."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from data.errors import UserError
from models.registry import parameter_counts
from training.config import RunConfig
from training.run_dir import EVENTS, METRICS, RunDir

COLUMNS = (
    "run",
    "status",
    "model",
    "variant",
    "dataset",
    "dataset_sha256",
    "rows_sha256",
    "images",
    "role",
    "recipe",
    "budget",
    "recipe_kimg",
    "options_sha256",
    "seed",
    "metric",
    "value",
    "floor",
    "note",
    "weights",
    "weights_sha256",
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
# Of a run's training: its seed, and what changes its speed alone.
OF_ONE_RUN = ("seed", "device", "memory_format", "save_minutes")


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
        "rows_sha256": config.data["rows_sha256"],
        "images": config.data["images"],
        "role": config.data.get("role"),
        "recipe": config.recipe.get("name"),
        "budget": config.recipe.get("budget"),
        "recipe_kimg": config.recipe.get("kimg"),
        "options_sha256": options_sha256(config),
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


def options_sha256(config: RunConfig) -> str:
    """A digest of what runs have in common that differ in nothing but their seeds and data."""
    training = dataclasses.asdict(config.training)
    alike = {name: value for name, value in training.items() if name not in OF_ONE_RUN}
    asked = [config.recipe.get(name) for name in ("name", "budget")]
    options = dataclasses.asdict(config.options)
    chosen = json.dumps([config.model, config.variant, options, alike, asked], sort_keys=True)
    return hashlib.sha256(chosen.encode()).hexdigest()


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
