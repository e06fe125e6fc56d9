# Every target sets up what it needs. On a fresh machine: make demo, make test.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV   ?= .venv
BIN    := $(VENV)/bin
F      := $(BIN)/foresight
SHELL  := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# more retries than pip's default, for unreliable networks
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 5 -c constraints.txt

# Workers for the second half, whose tests mostly wait for other processes: one more than the cores; longest files first
SIDE_BY_SIDE := $(shell echo $$(($$(nproc 2> /dev/null || echo 2) + 1)))
CALM         := $(wildcard $(patsubst %,tests/%/test_*.py,extraction extraction/runners cluster))
SLOWEST      := tests/extraction/runners/test_ray.py tests/extraction/runners/test_ray_cluster.py tests/extraction/runners/test_torture.py

.PHONY: help setup demo test quick lint types format bench bench-scale rehearsal calibration sweep tiny-weights clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.base: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) on this machine; name another with PYTHON=python3.12"; exit 1; }
	@echo "setting up $(VENV) (torch and other packages: a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@

setup: $(VENV)/.dev ## Set up the environment for development
	@echo "ready: $(BIN)/foresight, make demo, make test"

demo: $(VENV)/.base ## All stages on two tiny checkpoints: extract, analyze, adapt, report
	@$(F) extract weights=tiny model=qwen25vl layer=all pooling=all
	@$(F) extract weights=tiny model=ltxv pooling=all
	@$(F) analyze weights=tiny data=shapes
	@$(F) adapt -m weights=tiny data=shapes adapter=linear,lowrank,mlp,query layer=final pooling=flat source.pooling=flat seeds=1
	@$(F) report

test: $(VENV)/.dev ## Run the tests, doctests included
	@$(BIN)/python -m pytest -n logical --dist worksteal --ignore=tests/cluster --ignore=tests/extraction
	@$(BIN)/python -m pytest -n $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder $(SLOWEST) $(filter-out $(SLOWEST),$(CALM))

quick: $(VENV)/.dev ## Run the tests of measures, settings, verdict and extraction: the first look at another Python
	@$(BIN)/python -m pytest -n auto $(patsubst %,tests/%,config results metrics verdict latent_file test_extract.py test_report.py test_imports.py)

lint: $(VENV)/.dev ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types (mypy, strict)
	@$(BIN)/mypy

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

$(VENV)/.bench: $(VENV)/.dev
	@$(PIP_INSTALL) -e '.[bench]'
	@touch $@

bench: $(VENV)/.bench ## Time extraction and analysis against plain scripts; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

bench-scale: $(VENV)/.dev ## A million rows: speed against the machine's limits, memory; writes benchmarks/SCALE.md (8 GB of disk)
	@$(BIN)/python -m benchmarks.scale

rehearsal: $(VENV)/.dev ## The real job at full size with random weights: Qwen2.5-VL-7B, 3B, LTX-Video; writes benchmarks/REHEARSAL.md (17 GB of disk)
	@$(BIN)/python -m benchmarks.rehearsal

calibration: $(VENV)/.dev ## How often the verdict errs, on made-up spaces (hours); writes benchmarks/CALIBRATION.md
	@$(BIN)/python -m benchmarks.calibration

sweep: $(VENV)/.base ## The layer sweep as a Hydra multirun, on the tiny checkpoints
	@$(F) extract weights=tiny model=ltxv pooling=all
	@$(F) extract -m weights=tiny model=qwen25vl layer=4,8,16,24,final
	@$(F) analyze -m weights=tiny data=shapes layer=4,8,16,24,final pooling=channel_mean

tiny-weights: $(VENV)/.dev ## Train the two tiny checkpoints again (about an hour on two cores)
	@$(BIN)/python -m scripts.train_tiny_weights

clean: ## Remove the environment, caches and outputs
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis outputs/* build dist
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
