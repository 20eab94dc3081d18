# `make demo` and `make test` each work alone on a fresh clone: they make .venv, install everything and do their work.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One thread per process: two single-threaded workers beat one with two threads on small machines, and results do not
# depend on the number of cores.
export OMP_NUM_THREADS ?= 1

.PHONY: help install demo test lint types unit bench clean

help:
	@echo "make demo   one policy in a language model, a video model and agents: a page of tables and plots, minutes"
	@echo "make test   lint, types and the whole test suite"
	@echo "make bench  time and memory of every policy against the bare model (benchmarks/results)"
	@echo "make clean  remove the environment and caches"

install: $(STAMP)

# torchao lies beside the environment: transformers imports it wherever it finds it, and it writes warnings to the terminal.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python {v.major}.{v.minor} found, 3.11 or newer needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,all]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/beside -c constraints.txt torchao
	@touch $@

demo: $(STAMP)
	$(BIN)/namm-xmodal eval configs/transfer/demo.yaml

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal -q

bench: $(STAMP)
	$(BIN)/python benchmarks/engine.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
