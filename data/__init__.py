"""Datasets: import, the store, the drawn faces, batches and augmentation."""
