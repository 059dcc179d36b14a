# Two commands: `make demo` runs the main job on real media, `make test` runs the tests.
# Each sets up its own environment in .venv first; nothing else on the machine is touched.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH ?= 2.13.0
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
QUIETLY := 2> $(VENV)/install.log || { cat $(VENV)/install.log; exit 1; }

.PHONY: demo test check setup clean

demo: setup
	$(BIN)/omnivideo retrain pipelines/recipes/tiny.yaml --out runs/tiny

test: check
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(READY)

# torch first and by itself: a dependency's open range would fetch a build for GPUs that this machine may not have.
$(READY): pyproject.toml constraints.txt
	@echo "setting up $(VENV) (two to four minutes, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --upgrade pip setuptools wheel $(QUIETLY)
	@$(INSTALL) "torch==$(TORCH)" $(QUIETLY)
	@$(INSTALL) --constraint constraints.txt --editable ".[sample,ocr,models,s3,lora,test]" $(QUIETLY)
	@touch $(READY)

clean:
	rm -rf $(VENV) runs
