"""Anime-like faces, drawn by code from known factors."""

from data.faces.draw import draw
from data.faces.factors import DISTRIBUTIONS, Factors, factor_table, sample_factors
from data.faces.write import write_faces

__all__ = [
    "DISTRIBUTIONS",
    "Factors",
    "draw",
    "factor_table",
    "sample_factors",
    "write_faces",
]
