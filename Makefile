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
# torch is as large as all the others: it is unpacked beside them.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps

$(VENV)/.demo: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	grep '^torch==' constraints.txt > $(VENV)/torch.txt
	grep -v '^torch==' constraints.txt > $(VENV)/others.txt
	$(INSTALL) -r $(VENV)/torch.txt & torch=$$!; \
	$(INSTALL) -r $(VENV)/others.txt; others=$$?; wait $$torch && exit $$others
	$(INSTALL) --editable .
	touch $@

$(VENV)/.test: $(VENV)/.demo constraints-test.txt
	$(INSTALL) -r constraints-test.txt
	touch $@
