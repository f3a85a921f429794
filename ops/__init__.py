"""Fused ops, compiled for CPU and CUDA, are to live here; there are none yet."""
