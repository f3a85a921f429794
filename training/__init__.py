"""The shared trainer: run directories, checkpoints, the loop, and how a run is loaded again."""
