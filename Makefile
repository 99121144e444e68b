# Everything runs inside .venv, and .venv holds exactly what requirements.lock names. In an image (Dockerfile)
# it lies outside of the checkout, where CAPFLOW_VENV (an absolute path) says.
PYTHON ?= python3
VENV := $(or $(CAPFLOW_VENV),.venv)
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
export PATH := $(or $(CAPFLOW_VENV),$(CURDIR)/.venv)/bin:$(PATH)
export DVC_NO_ANALYTICS ?= true
export MLFLOW_DISABLE_TELEMETRY ?= true
# Each stage is a process of its own: what it imports is compiled once, not nine times.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help repro test test-slow test-browser lint demo notebook ui bench bench-gpu clean lock \
	packages server-packages

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z._-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv: $(VENV)/installed  ## Create or update the environment from requirements.lock

packages: $(VENV)/packages

$(VENV)/packages: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Capflow needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/python -c 'import dvc.repo, mlflow, nltk, pandas, torch, torchvision' # compiled now, for all stages
	touch $@

$(VENV)/installed: $(VENV)/packages pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

repro: $(VENV)/installed  ## Run the whole pipeline (only what changed)
	dvc repro

lint: $(VENV)/installed  ## Check style and types
	ruff check .
	ruff format --check .
	mypy

test: lint  ## Run every check but the slow ones
	OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

EXTRA := $(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps --requirement

test-slow: $(VENV)/installed  ## Run the slow checks
	$(EXTRA) requirements-notebook.lock
	python -m pytest -m slow

test-browser: $(VENV)/installed  ## Look at all pages with a browser (Chromium)
	$(EXTRA) requirements-demo.lock --requirement requirements-browser.lock
	python -m pytest -m browser

server-packages: $(VENV)/packages
	$(EXTRA) requirements-server.lock

demo: $(VENV)/installed  ## Try models on a page, http://127.0.0.1:8080
	$(EXTRA) requirements-demo.lock
	capflow demo

notebook: $(VENV)/installed  ## Open the tour of data, runs and captions in JupyterLab
	$(EXTRA) requirements-notebook.lock
	jupyter lab --allow-root --ServerApp.root_dir=. notebooks/tour.ipynb

ui: $(VENV)/installed  ## Open MLflow's pages, http://127.0.0.1:5000
	@capflow ui

bench: $(VENV)/installed  ## Measure speed against what people use
	$(EXTRA) requirements-bench.lock
	python -m benchmarks

bench-gpu: $(VENV)/installed  ## Measure on a GPU
	python -m benchmarks.gpu

lock: $(VENV)/installed  ## Compile requirements.lock afresh from pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header \
		--python-version 3.11 --upgrade --group dev pyproject.toml --output-file requirements.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade \
		--group bench --output-file requirements-bench.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade \
		--constraint requirements.lock --group browser --output-file requirements-browser.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade \
		--constraint requirements.lock --group server --output-file requirements-server.lock
	for extra in demo notebook; do \
		python -c 'import sys, tomllib; \
		print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]], sep="\n")' $$extra \
		| $(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade \
		--constraint requirements.lock --output-file requirements-$$extra.lock - || exit 1; done

clean:  ## Remove the environment and caches; artifacts and records stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
