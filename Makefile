# Two commands for a newcomer: `make demo` makes maps of four mock galaxies, `make test` runs the
# tests. Both make the environment in .venv on first use; later calls reuse it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ONLY ?=

.PHONY: demo test check docs bench format clean

demo: $(VENV)/.demo
	$(BIN)/pxdask simulate catalogs/demo.ecsv --out demo/images
	$(BIN)/pxdask run catalogs/demo.ecsv catalogs/demo.yaml --data-root demo/images --store demo/run

test: $(VENV)/.test
	$(BIN)/pytest -n auto --dist loadfile

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.test
	$(BIN)/python docs/pages.py
	$(BIN)/sphinx-build -W -b html -c docs . docs/_build

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(ONLY)

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf demo docs/_build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "pxdask needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "cannot make a virtual environment; on Debian: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[bc03]'
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[bc03]' --group test --group docs --group lint
	@touch $@ $(VENV)/.demo
