# Everything happens in .venv; nothing outside this folder is touched.
PYTHON ?= python3
BENCH := .venv/bin/bench

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
	.venv/bin/pytest

test: setup
	.venv/bin/pytest

# Both families, in nine minutes on two CPU cores: a half-width DCGAN at a high learning rate, which
# draws faces by then, and the smallest StyleGAN, which needs about twenty minutes.
demo: setup
	$(BENCH) run --variant r1 --batch 16 --kimg 33 --tick 3 --snap 11 \
	    --set g_channels=256,128,64,32 --set d_channels=32,64,128,256 \
	    --set lr_d=8e-4 --set lr_g=8e-4 --results results/demo
	$(BENCH) fid --extractor faces --num 2000 --results results/demo
	$(BENCH) run --model stylegan --variant tiny --kimg 8 --tick 1 --snap 4 --results results/demo
	$(BENCH) fid --extractor faces --num 2000 --results results/demo
	$(BENCH) mix --results results/demo
	$(BENCH) table --results results/demo
	@echo "Look at the two newest folders in results/demo: fakes_*.png, reals.png, losses.png, mix.png"
	@echo "The StyleGAN has faces after some 50 kimg, about 20 minutes in all:"
	@echo "    $(BENCH) run --resume latest --kimg 60 --results results/demo"

# Everything that only a GPU can tell, in stages of at most nine minutes; installs nothing.
# One stage: make gpu STAGES=compact. With another Python: make gpu GPU_PYTHON=python3.
GPU_PYTHON ?= .venv/bin/python
gpu:
	$(GPU_PYTHON) -m benchmarks.gpu $(STAGES)
