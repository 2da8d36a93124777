# Kompensa. `make help` lists what can be made; the work is done by `python3 -m images` (set-up) and `kompensa`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
SHOP := $(shell cat services/shop.txt)
DISTRIBUTIONS := operator operator/dev cdc services/common services/consumer services/kit services/eventstore $(addprefix services/,$(SHOP))
ARGS ?=
N ?= 50
BESIDE := --no-print-directory --jobs=2 --output-sync=target
# Hundreds of processes start from this checkout: they may keep their bytecode, whatever the shell says.
export PYTHONDONTWRITEBYTECODE =

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: up ## a cluster, the charts, and the main job on it: orders placed, undone, replicated
	@$(PY) -m kompensa demo $(ARGS)

try: ## the same stages on local processes, no cluster; stays up until Ctrl-C
	@python3 -m images prepare try
	@$(PY) -m kompensa dev $(ARGS)

up: ## a kind cluster with the charts installed (found, repaired or made)
	@python3 -m images up

images: ## build the container images that are not in the engine yet
	@python3 -m images build

down: ## delete the cluster; caches stay
	@python3 -m images down

# mypy computes on one core, so the images are built next to it. A new cluster mostly waits, so it comes up next to the
# unit tests; not before the integration tests, because an idle cluster takes a sixth of two cores from them.
test: ## everything
	@python3 -m images prepare demo
	@$(MAKE) $(BESIDE) lint images
	@$(MAKE) --no-print-directory test-integration
	@$(MAKE) $(BESIDE) test-unit up
	@$(MAKE) --no-print-directory test-e2e

lint: ## ruff, mypy, import layers, spelling, plain English
	@python3 -m images prepare lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy $(addsuffix /src,$(DISTRIBUTIONS)) $(addsuffix /tests,$(DISTRIBUTIONS)) charts images tests
	.venv/bin/lint-imports
	.venv/bin/codespell
	$(PY) -m tests.prose

test-unit: ## pure tests, under a minute
	@python3 -m images prepare unit
	$(PY) -m pytest -q -n 2 --dist loadfile $(addsuffix /tests,$(DISTRIBUTIONS)) images/tests charts/tests tests/support tests/prose $(ARGS)

test-unit-repeat: ## the unit tests N times in a row, until one fails: make test-unit-repeat N=50
	@for run in $$(seq $(N)); do echo "run $$run of $(N)"; $(MAKE) --no-print-directory test-unit || exit 1; done

test-integration: ## real PostgreSQL, Kafka, Connect and Debezium on this host
	@python3 -m images prepare integration
	$(PY) -m pytest -q --durations=10 -n 2 --dist loadfile tests/integration $(ARGS)

test-e2e: ## the charts on a real kind cluster
	@python3 -m images prepare demo
	$(PY) -m pytest -q --durations=10 tests/e2e $(ARGS)

watch: ## follow a topic: make watch ARGS=orders.customer-created
	@$(PY) -m kompensa watch $(ARGS)

chaos: up ## kill pods under load, then check the invariants: make chaos ARGS="--minutes 2"
	@$(PY) -m tests.chaos $(ARGS)

bench: up ## measure on the running cluster
	@$(PY) -m tests.bench $(ARGS)

lock: ## pin requirements.lock again
	.venv/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
	  $(addsuffix /pyproject.toml,$(DISTRIBUTIONS)) --group pyproject.toml:dev \
	  --no-emit-package kompensa --no-emit-package kompensa-common --no-emit-package kompensa-consumer --no-emit-package kompensa-cdc --no-emit-package kompensa-participant --no-emit-package kompensa-eventstore -o requirements.lock

venv: ## the Python environment, from requirements.lock
	@python3 -m images prepare lint

.PHONY: help demo try up images down test lint test-unit test-unit-repeat test-integration test-e2e watch chaos bench lock venv
