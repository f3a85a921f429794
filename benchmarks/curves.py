"""Curves of one run, from its stats."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from data.errors import MissingError
from data.files import write_atomic
from training.run_dir import STATS, RunDir

PANELS = {
    "losses": ({"loss_g": "G", "loss_d": "D"}, "loss"),
    "scores": ({"d_real": "real images", "d_fake": "fakes"}, "D's probability of “real”"),
    "logits": ({"logit_real": "real images", "logit_fake": "fakes"}, "D's score"),
}


def draw_curves(run: RunDir) -> list[Path]:
    """Draw losses, and probabilities where the loss has them (scores otherwise), against kimg.

    Returns:
        The PNG files, in the run's folder.

    Raises:
        MissingError: the run has no stats yet.
    """
    rows = run.rows(STATS)
    if not rows:
        raise MissingError(f"{run.path} has no stats to draw yet: it ended before its first tick")
    stats = pd.DataFrame(rows)
    panels = ("losses", "scores" if "d_real" in stats else "logits")
    return [_draw(run, stats, name) for name in panels]


def _draw(run: RunDir, stats: pd.DataFrame, name: str) -> Path:
    columns, label = PANELS[name]
    present = stats.reindex(columns=["kimg", *columns])
    long = present.melt("kimg", list(columns), var_name="", value_name=label)
    long[""] = long[""].map(columns)
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    with sns.axes_style("whitegrid"):
        axes = figure.subplots()
    sns.lineplot(long, x="kimg", y=label, hue="", ax=axes)
    axes.set_title(run.id)
    if name == "scores":
        axes.set_ylim(0, 1)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120)
    path = run.path / f"{name}.png"
    write_atomic(path, buffer.getvalue())
    return path
