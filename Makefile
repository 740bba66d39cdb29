# `make run` and `make test` are all one needs; each makes .venv itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test test-long test-outcome demo lint audit setup clean help

run: $(VENV)/.ready  ## take the default line, or LINE=name, from its sources to a release
	@tidegate run $(LINE)

test: $(VENV)/.ready  ## the fast tests
	@python -m pytest -m "not outcome and not long" -n auto --dist loadgroup

test-long: $(VENV)/.ready  ## kills, edits and rivals in mid-run: minutes
	@python -m pytest -m long -n auto --dist loadgroup

test-outcome: $(VENV)/.ready  ## what a real `make run` left: accuracy, verdicts, release
	@python -m pytest -m outcome

demo: $(VENV)/.ready  ## the whole loop on real texts, in little and then ended: ten minutes after `make run`
	@tidegate demo --reduced --stop

lint: $(VENV)/.ready  ## ruff, mypy, import-linter
	@ruff check . && ruff format --check . && mypy && lint-imports

audit: $(VENV)/.ready  ## pinned versions with known vulnerabilities; packages that do not fit together
	@python -m pip check && python .ci/audit.py

setup: $(VENV)/.ready  ## make .venv from pyproject.toml and constraints.txt

# torch first, at its pinned version: a free choice would bring gigabytes of CUDA where there is a CPU build.
$(VENV)/.ready: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip setuptools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@$(BIN)/tidegate init
	@touch $@

clean:  ## remove .venv and caches; data and releases stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache *.egg-info

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'
