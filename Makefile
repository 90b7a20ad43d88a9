PYTHON ?= python3
VENV ?= .venv
DEMO ?= build/demo
DATA ?= data
PEERS ?= .venv-peers
ENGINE ?= podman

export NO_MKDOCS_2_WARNING = 1

PIP = $(VENV)/bin/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: help demo test site docs dist image peers clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed  ## three methods on packaged data, and the page that compares them
	$(VENV)/bin/bench run --task sts --method finetune --method kd --method disco --results $(DEMO)/results
	$(VENV)/bin/bench site build --results $(DEMO)/results --out $(DEMO)/site

test: $(VENV)/installed-dev  ## formatting, lint, types, layers and tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --durations 10 -m "not quiet"
	$(VENV)/bin/python -m pytest -m quiet

site: $(VENV)/installed  ## the leaderboard of the committed records, in build/site; that of grids, in build/grids
	$(VENV)/bin/bench site build --results results --out build/site
	for grid in trec prompts; do $(VENV)/bin/bench site build --results docs/grids/$$grid --out build/grids/$$grid || exit 1; done

docs: $(VENV)/installed-docs  ## the documentation as a site, in build/docs; a broken link fails
	$(VENV)/bin/python -m mkdocs build --strict

dist: $(VENV)/installed-release  ## wheel and sdist in dist, their metadata checked
	$(VENV)/bin/python -m build
	$(VENV)/bin/python -m twine check --strict dist/*

image:  ## a container image, and in it what demo does, without a network (ENGINE=podman or docker)
	$(ENGINE) build --tag bench --file Containerfile .
	$(ENGINE) run --rm --network none --entrypoint sh bench -c \
		'bench doctor && bench run --task sts --method finetune --method kd --method disco && bench site build'

peers: $(PEERS)/installed  ## bench beside other tools at the same work (DATA=folder of the unpacked data sets)
	$(PEERS)/bin/python -m peers --data-dir $(DATA)

clean:  ## remove all that make made
	rm -rf build dist $(VENV) $(PEERS) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Installed again when what is to be installed changes, and at no other time: the checkout itself is read in place.
$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (the first time takes some minutes)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/installed-docs $(VENV)/installed-release: $(VENV)/installed-%: $(VENV)/installed
	$(PIP) --editable '.[$*]'
	@touch $@

# An environment of its own: what the peers bring is not part of the project.
$(PEERS)/installed: pyproject.toml constraints.txt peers/requirements.txt
	@echo "Installing into $(PEERS) (the first time takes some minutes)"
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt \
		--requirement peers/requirements.txt --editable .
	@touch $@
