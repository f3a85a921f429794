"""Run directories as training and measuring leave them, without either."""

from pathlib import Path
from typing import Any

import torch

from data.files import sha256_file, write_json, write_with_digest
from data.store import Store
from tests.conftest import TINY, TRAINING
from training.config import resolve
from training.environment import describe
from training.run_dir import METRICS, RunDir

METRIC = "fd_faces5k_heldout"
PROTOCOL = {
    "weights": "ema",
    "psi": 1.0,
    "batch_norm": "re-estimated",
    "extractor": "faces",
    "extractor_sha256": "431a95f6" * 8,
    "feature_precision": "fp32",
    "resize": "bicubic to 64",
    "fakes": 5000,
    "reference": "pictures heldout",
    "reference_sha256": "f830fa09" * 8,
    "reference_images": 2000,
}


def write_run(
    results: Path,
    store: Store,
    seed: int,
    values: dict[float, float],
    settings: dict[str, Any] | None = None,
    status: str = "finished",
    **changed: Any,
) -> RunDir:
    """A run of `seed` whose distance at each kimg is known, on both samples' seeds."""
    config = resolve(
        "dcgan", "simple", {**TINY, **(settings or {})}, TRAINING | {"seed": seed}, store
    )
    run = RunDir.create(results, config)
    (run.path / "snapshots").mkdir()
    for kimg, value in values.items():
        moment = {"nimg": round(kimg * 1000), "kimg": kimg}
        snapshot = run.path / f"snapshots/{moment['nimg']:09d}.safetensors"
        write_with_digest(snapshot, b"weights")
        weights = {"weights_sha256": sha256_file(snapshot)}
        run.append(METRICS, {**moment, "metric": "training", "train_sec": 3600 * kimg})
        for sample_seed in (0, 1):
            measured = {"metric": METRIC, "value": value, "floor": 0.2, "note": "", **PROTOCOL}
            measured |= {**weights, "sample_seed": sample_seed, **changed}
            run.append(METRICS, {**moment, **measured})
    start = {"nimg": 0, **describe(torch.device("cpu"))}
    write_json(run.path / "environment.json", [start])
    run.set_status(status, started=float(seed))
    return run
