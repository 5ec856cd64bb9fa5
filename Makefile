# make run · make test [ARGS=…] · make lint · make bench
SHELL := /bin/bash
PYTHON ?= python3
PY := .venv/bin/python
ARGS ?=
WORKERS ?= 3
export PYTHONUNBUFFERED = 1

.PHONY: run test lint bench journeys format
.DEFAULT_GOAL := run

# One stamp per requirements file: a changed pin reinstalls, nothing else does.
.venv/.ready: requirements.txt console/sandbox/requirements.txt
	@bash .ci/setup $(PYTHON)

.venv/.lint: .ci/requirements-lint.txt .venv/.ready
	@$(PY) -m uv pip install --quiet --python $(PY) -r requirements.txt -r .ci/requirements-lint.txt && touch $@

run: .venv/.ready
	@exec $(PY) -m console.sandbox run

test: .venv/.ready
	@$(PY) -m pytest -m "not sandbox" -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

journeys: .venv/.ready
	@$(PY) -m pytest -m sandbox $(ARGS)

lint: .venv/.lint
	@bash .ci/lint

format: .venv/.lint
	@.venv/bin/ruff format console tests docker/airflow/provider manage.py && .venv/bin/ruff check --fix console tests docker/airflow/provider manage.py

bench: .venv/.ready
	@$(PY) -m tests.bench $(ARGS)
