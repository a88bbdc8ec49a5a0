# `make demo`, `make pipeline`, `make docs` and `make test` do all their own set-up: they need Python 3.11+,
# make and PyPI. Only the pipeline and the tests need torch. Where PyPI's would bring CUDA,
# `make test TORCH_INDEX=https://download.pytorch.org/whl/cpu` takes the CPU build instead.

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt \
       $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
INPUTS := pyproject.toml constraints.txt
WORKERS ?= 2

# A test process that dies fails the run at once and names its test: replacing it can wait for ever
# (https://github.com/pytest-dev/pytest-xdist/issues/1378).
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0

# Two processes of several threads each on two cores are far slower than one.
export OMP_NUM_THREADS ?= 1

.PHONY: demo pipeline docs test test-all interop check format clean

demo: $(VENV)/.demo
	OMP_NUM_THREADS= $(BIN)/texlens demo --out demo-out --force

pipeline: $(VENV)/.pipeline
	$(BIN)/texlens pipeline pipeline_quick --out pipeline-out

# The documentation site, in build/site. A broken link, a page that the navigation lacks and a name
# without docstring page are errors.
docs: $(VENV)/.docs
	$(BIN)/python tools/docs/gather.py build/docs
	$(BIN)/zensical build --strict --clean

test: $(VENV)/.dev check
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.dev
	$(PYTEST) -m slow

# Other people's software with TexLens, in environments of their own: gigabytes, and minutes for each
# tool. Not part of CI; run it before a release. INTEROP_CACHE names another folder than .interop.
interop:
	$(PYTHON) interop/suite.py

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo-out pipeline-out build dist

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "TexLens needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python $(INPUTS)
	$(PIP) -e '.[score]'
	touch $@

$(VENV)/.pipeline: $(VENV)/bin/python $(INPUTS)
	$(PIP) -e '.[train]'
	touch $@

$(VENV)/.docs: $(VENV)/bin/python $(INPUTS)
	$(PIP) -e '.[docs]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python $(INPUTS)
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.demo $(VENV)/.pipeline
