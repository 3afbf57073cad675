# `make run` and `make test` are all that a fresh machine needs; packaging/setup.sh says what they install. With CUDA=1 that is
# NVIDIA's libraries too, for a card.
PYTHON ?= python3
export PYTHON CUDA
BIN := .venv/bin

.PHONY: run setup setup-tests model test test-core test-ui test-all lint reference bench lock export-env clean

run: setup
	@$(BIN)/python packaging/run.py

setup:
	@bash packaging/setup.sh

setup-tests:
	@bash packaging/setup.sh --for-tests

model:
	@bash packaging/setup.sh system environment project model

# The core's tests and the window's at the same time: two engines at once would take the cores from each other.
test: setup-tests lint
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-core test-ui

test-all: setup-tests lint
	$(BIN)/python -m pytest -m ""

test-core:
	$(BIN)/python -m pytest --ignore=tests/ui

test-ui:
	$(BIN)/python -m pytest tests/ui

lint:
	@bash packaging/setup.sh environment project
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

reference:
	bash tests/reference/make.sh

# Side by side with other programs, on a quiet machine: `make bench`, or `make bench BENCH=--quick`.
bench: model
	@bash benchmarks/run.sh $(BENCH)

# What `models import` needs for checkpoints of other architectures: .venv-export, or what CANOPY_EXPORT names.
export-env:
	@bash packaging/setup.sh environment project
	@$(BIN)/python -m canopy_desktop models import --setup

lock:
	@bash packaging/lock.sh

clean:
	rm -rf build dist pictures .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
