"""Measurements: the results table now; features, distances and metrics are to join it here."""
