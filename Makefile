# `make demo` runs the whole chain on the embedded cohort; `make test` runs the tests.
# Both set up .venv by themselves; all that they need is Python 3.11, pip, git and make.
PYTHON ?= python3.11
CORES ?= 2
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all format clean help

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

demo: $(VENV)/.demo ## run the whole chain on the embedded cohort and check its table
	snakemake --cores $(CORES)
	python -m pmrpipe check-demo config/config.yaml

test: $(VENV)/.test ## run the tests
	python -m pytest -m "not slow and not slurm and not real_data" -n $(CORES) --dist loadfile

test-all: $(VENV)/.test ## run all tests, also slow ones, on real data and on Slurm
	python -m pytest -n 1

format: $(VENV)/.test ## format the sources and the rules
	ruff check --fix src tests && ruff format src tests && snakefmt Snakefile rules workflow

clean: ## remove the environment and every result
	rm -rf $(VENV) .snakemake results data

# The pinned set needs no resolving: --no-deps is quicker, and `pip check` verifies it in the tests.
# Two at once: torch with two fifths of the others, and the rest.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps

$(VENV)/.demo: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	awk '/^torch==/ || NR % 5 < 2' constraints.txt > $(VENV)/first.txt
	awk '!(/^torch==/ || NR % 5 < 2)' constraints.txt > $(VENV)/second.txt
	$(INSTALL) -r $(VENV)/first.txt & first=$$!; \
	$(INSTALL) -r $(VENV)/second.txt; second=$$?; wait $$first && exit $$second
	$(INSTALL) --editable .
	touch $@

$(VENV)/.test: $(VENV)/.demo constraints-test.txt
	$(INSTALL) -r constraints-test.txt
	touch $@
