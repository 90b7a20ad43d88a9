PYTHON ?= python3
VENV ?= .venv
DEMO ?= build/demo

PIP = $(VENV)/bin/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: help demo test site clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed  ## three methods on packaged data, and the page that compares them
	$(VENV)/bin/bench run --task sts --method finetune --method kd --method disco --results $(DEMO)/results
	$(VENV)/bin/bench site build --results $(DEMO)/results --out $(DEMO)/site

test: $(VENV)/installed-dev  ## formatting, lint, types and tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile -m "not quiet"
	$(VENV)/bin/python -m pytest -m quiet

site: $(VENV)/installed  ## the leaderboard of the committed records, in build/site
	$(VENV)/bin/bench site build --results results --out build/site

clean:  ## remove all that make made
	rm -rf build dist $(VENV) .mypy_cache .pytest_cache .ruff_cache

# Installed again when what is to be installed changes, and at no other time: the checkout itself is read in place.
$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (the first time takes some minutes)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) --editable '.[dev]'
	@touch $@
