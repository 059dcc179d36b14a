# Two commands: `make demo` runs the main job on real media, `make test` runs the tests.
# Each sets up its own environment in .venv first; nothing else on the machine is touched.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH ?= 2.13.0

.PHONY: demo test check setup clean

demo: setup
	$(BIN)/omnivideo retrain pipelines/recipes/tiny.yaml --out runs/tiny

test: check
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(READY)

# torch first and by itself: a dependency's open range would fetch a build for GPUs that this machine may not have.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[sample,ocr,test]"
	touch $(READY)

clean:
	rm -rf $(VENV) runs
