# Everything happens in .venv; nothing outside this folder is touched.
PYTHON ?= python3
BENCH := .venv/bin/bench

.PHONY: setup check test demo

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt setup.py
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest

test: setup
	.venv/bin/pytest

# About 6 minutes on two CPU cores, downloads apart.
demo: setup
	$(BENCH) run --kimg 20 --tick 1 --snap 5 --results results/demo
	$(BENCH) table --results results/demo
	@echo "Look at the pictures in results/demo: fakes_*.png, reals.png, losses.png, scores.png"
