# Everything happens in .venv; nothing outside this folder is touched.
PYTHON ?= python3
BENCH := .venv/bin/bench
# Most of a test is one process starting: two at a time, each with a core.
TESTS := OMP_NUM_THREADS=1 .venv/bin/pytest --numprocesses 2 --dist loadfile

.PHONY: setup check test demo gpu

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt setup.py
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(TESTS)

test: setup
	$(TESTS)

# Both families on two CPU cores, measured, and one page about them, with the claims that take a
# single run and seconds. The StyleGAN needs about twenty minutes for faces.
demo: setup
	$(BENCH) suite demo --results results/demo
	$(BENCH) claims --results results/demo --claims 4,5,6
	$(BENCH) report --results results/demo
	@echo "Open results/demo/report.html. More of these runs, such as styles that are swapped:"
	@echo "    $(BENCH) mix --results results/demo"
	@echo "For a StyleGAN with faces, about 20 minutes:"
	@echo "    $(BENCH) run --resume stylegan-seed0 --kimg 60 --results results/demo"

# Everything that only a GPU can tell, in stages of at most nine minutes; installs nothing.
# One stage: make gpu STAGES=compact. With another Python: make gpu GPU_PYTHON=python3.
GPU_PYTHON ?= .venv/bin/python
gpu:
	$(GPU_PYTHON) -m benchmarks.gpu $(STAGES)
