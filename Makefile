# `make demo` and `make test` each work alone on a fresh clone: they make .venv, install everything and do their work.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One thread per process: two single-threaded workers beat one with two threads on small machines, and results do not
# depend on the number of cores.
export OMP_NUM_THREADS ?= 1

.PHONY: help install demo test lint types unit docs bench clean

help:
	@echo "make demo   one policy in a language model, a video model and agents: a page of tables and plots, minutes"
	@echo "make test   lint, types and the whole test suite"
	@echo "make docs   these docs as a site with a search, in site/: open site/index.html, no server needed"
	@echo "make bench  time and memory of every policy against the bare model (benchmarks/results)"
	@echo "make clean  remove the environment and caches"

install: $(STAMP)

# torchao lies beside the environment: transformers imports it wherever it finds it, and it writes warnings to the terminal.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python {v.major}.{v.minor} found, 3.11 or newer needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs,all]'
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

# NO_MKDOCS_2_WARNING: the theme would advertise its successor.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f docs/site/mkdocs.yml
	@echo "open site/index.html"

bench: $(STAMP)
	$(BIN)/python benchmarks/engine.py

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache
