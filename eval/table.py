"""The results table: derived from the run directories, so there is nothing to corrupt."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from data.files import read_json
from models.registry import count_parameters, family
from training.config import RunConfig
from training.run_dir import ENVIRONMENT, EVENTS, METRICS, RunDir

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
    "collapses",
    "rollbacks",
    "hardware",
    "torch",
    "gan_versus",
    "python",
)


def load(results: Path = Path("results")) -> pd.DataFrame:
    """One row a measurement, with the run that it measures.

    A run that has not been measured yet has one row without a metric. Units are in the names;
    `seed` is the one that the run was started with, and each of its rollbacks adds one to it.

    Raises:
        UserError: a run's configuration cannot be read.
    """
    rows = [row for run in RunDir.all(results) for row in _rows(run)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(run: RunDir) -> list[dict[str, Any]]:
    described = _describe(run)
    return [described | row for row in run.rows(METRICS)] or [described]


def _describe(run: RunDir) -> dict[str, Any]:
    config = run.config
    path = run.path / ENVIRONMENT
    environment = read_json(path)[-1] if path.exists() else {"versions": {}}
    events = [event["event"] for event in run.rows(EVENTS)]
    g_parameters, d_parameters = _sizes(config)
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
        "collapses": events.count("collapse"),
        "rollbacks": events.count("rollback"),
        "hardware": environment.get("hardware"),
        "torch": environment["versions"].get("torch"),
        "gan_versus": environment["versions"].get("gan-versus"),
        "python": environment.get("python"),
    }


def _sizes(config: RunConfig) -> tuple[int, int]:
    """Trainable parameters of G and D; no weight is allocated."""
    with torch.device("meta"):
        gan = family(config.model).build(config.options)
    return count_parameters(gan.G), count_parameters(gan.D)
