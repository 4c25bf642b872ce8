# Every target sets up what it needs: a virtual environment with hash-pinned packages, then the services.
# `make` alone shows what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo dev test test-long chaos check bench clean-data environment services test-services

PYTHON := .venv/bin/python
# The first Python that runs, of any version: the bootstrap looks for a fitting one, or says how to get it.
BARE_PYTHON := $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,$(if $(shell command -v $(name) 2>/dev/null),$(name))))

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: services ## From checkout to bank with one job, live in the terminal (ARGS="--keep", "--jobs 50", "--branches")
	@$(PYTHON) -m demo $(ARGS)

dev: services ## Start everything with its URLs, until Ctrl-C; data survives
	@$(PYTHON) -m devstack dev

test: test-services ## All tests but the long ones, two at a time (ARGS="tests/money -x"; ARGS="-n 0": one at a time)
	@$(PYTHON) -m pytest -n 2 $(ARGS)

test-long: test-services ## The tests that take minutes
	@$(PYTHON) -m pytest -m long --timeout 1800 $(ARGS)

chaos: test-services ## Kill processes for minutes and check that nothing happens twice
	@$(PYTHON) -m pytest -m chaos --timeout 1800 $(ARGS)

check: environment ## Lint, types, import contracts, compose schema, generated files
	@$(PYTHON) -m devstack.check

bench: services ## History events, actions, throughput and latency beside a floor
	@$(PYTHON) -m bench $(ARGS)

clean-data: environment ## Forget the data of make dev
	@$(PYTHON) -m devstack clean-data

environment:
	@if [ -z "$(BARE_PYTHON)" ]; then \
	  echo "Nimmit needs Python 3.11 to 3.13, and no Python is on the PATH." >&2; \
	  echo "  Debian, Ubuntu:  sudo apt-get install python3 python3-venv" >&2; \
	  echo "  Docker:          docker compose up --build   (no Python needed)" >&2; exit 1; fi
	@$(BARE_PYTHON) -m devstack.bootstrap

services: environment
	@$(PYTHON) -m devstack provision

test-services: environment
	@$(PYTHON) -m devstack provision --tests
