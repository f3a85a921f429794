"""Fused ops, compiled for CPU and CUDA, each with the same thing in plain torch beside it."""
