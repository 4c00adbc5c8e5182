# callfunnel. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .uv/bin/uv
STAMP := .venv/.callfunnel-synced

export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
export DAGSTER_HOME := $(CURDIR)
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export PYTHONPATH := $(CURDIR)

REPLAY ?=
SYSTEM ?=
SEED ?= 1
PORT ?= 3000
COMPANY ?= $(or $(CALLFUNNEL_COMPANY),demo)
SWEEP ?=
ENTITY ?=
CONNECTION ?=
FROM ?=
TO ?=
CODE ?=
FORCE ?=
FAULTS ?=
ARGS ?=

RUN = .venv/bin/python -m orchestration
# Tests of one file share a process, files are shared out over the cores; JOBS=0 runs them in turn.
JOBS ?= auto
PARALLEL = -n $(JOBS) --dist loadgroup
REPLAY_OPTION = $(if $(REPLAY),--replay "$(REPLAY)")
SYSTEM_OPTION = $(if $(SYSTEM),--system $(SYSTEM))
FAULTS_OPTION = $(if $(FAULTS),--faults "$(FAULTS)")

.PHONY: help setup demo dev run backfill restore upkeep authorise doctor alert-test dbt mf docs powerbi \
	metabase docs-metrics docs-quality summary test test-long test-servers bench-extract bench-calls \
	bench-transform bench-quality bench-publish lint format clean

help: ## List the targets
	@echo "callfunnel: what does our sales department really do, and what does it bring?"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  make %-15s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make the virtual environment with the locked dependencies

$(UV):
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: install Python 3.11, 3.12 or 3.13 (Debian: apt install python3 python3-venv)."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "$$($(PYTHON) --version) does not fit: callfunnel needs Python 3.11, 3.12 or 3.13; name one with make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "The venv module is missing: apt install python3-venv."; exit 1; }
	@echo "setting up: uv $(UV_VERSION)"
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || { rm -rf .uv; echo "uv could not be installed: is the package registry reachable?"; exit 1; }

$(STAMP): uv.lock pyproject.toml | $(UV)
	@echo "setting up: locked dependencies (about 1 GB in .venv)"
	@$(UV) sync --frozen --quiet --compile-bytecode --python "$$(command -v $(PYTHON))" || { echo "The dependencies could not be installed: is the package registry reachable?"; exit 1; }
	@touch $@

demo: $(STAMP) ## The main job on the demo company (SYSTEM=amocrm serves it as amoCRM, REPLAY=<folder> replays csv files, SEED=<n> invents another, FAULTS=<plan>)
	@$(RUN) demo --seed $(SEED) $(SYSTEM_OPTION) $(REPLAY_OPTION) $(FAULTS_OPTION)

dev: $(STAMP) ## The Dagster UI on 127.0.0.1 with the demo portal beside it (PORT=, SYSTEM=, REPLAY=)
	@$(RUN) dev --seed $(SEED) --port $(PORT) $(SYSTEM_OPTION) $(REPLAY_OPTION)

run: $(STAMP) ## The main job of a real company, once, now (COMPANY=<folder of companies/>, SWEEP=1)
	@$(RUN) run --company $(COMPANY) $(if $(SWEEP),--sweep)

backfill: $(STAMP) ## Read a window again (COMPANY=, ENTITY="deals calls", FROM=2026-01-01, TO=2026-02-01)
	@$(if $(and $(FROM),$(TO)),,echo "Give the window: make backfill FROM=2026-01-01 TO=2026-02-01 (TO is the day after the last one), ENTITY= for single entities."; exit 1)
	@$(RUN) backfill --company $(COMPANY) --from "$(FROM)" --to "$(TO)" $(foreach name,$(ENTITY),--entity $(name)) $(foreach name,$(CONNECTION),--connection $(name))

restore: $(STAMP) ## A new warehouse out of the archive (COMPANY=, FORCE=1 sets an old one aside)
	@$(RUN) restore --company $(COMPANY) $(if $(FORCE),--force)

upkeep: $(STAMP) ## Remove what old runs have left, compact the warehouse, tell free disk (COMPANY=); weekly by its schedule
	@$(RUN) upkeep --company $(COMPANY)

authorise: $(STAMP) ## First tokens of a Bitrix24 application or an amoCRM integration (COMPANY=, CONNECTION=, CODE=)
	@$(RUN) authorise --company $(COMPANY) --connection "$(CONNECTION)" --code "$(CODE)"

doctor: $(STAMP) ## What stands in the way of a good run: access, rights, rules, versions, disk (COMPANY=, ARGS=--json)
	@$(RUN) doctor --company $(COMPANY) $(ARGS)

alert-test: $(STAMP) ## Send a test message to the addresses of the company's alerts (COMPANY=)
	@$(RUN) alert-test --company $(COMPANY)

dbt: $(STAMP) ## dbt on the company's warehouse, under its lock (ARGS="build --select fct_calls")
	@CALLFUNNEL_COMPANY=$(COMPANY) $(RUN) dbt $(ARGS)

mf: $(STAMP) ## MetricFlow on the company's warehouse, under its lock (ARGS="query --metrics won --group-by source__name")
	@CALLFUNNEL_COMPANY=$(COMPANY) $(RUN) mf $(ARGS)

docs: $(STAMP) ## dbt's documentation of all tables, with lineage and exposures, as one page (COMPANY=)
	@$(RUN) docs --company $(COMPANY)

summary: $(STAMP) ## Print the summary of the last run again (COMPANY=)
	@$(RUN) summary --company $(COMPANY)

powerbi: $(STAMP) ## A Power BI project over the published tables (COMPANY=, ARGS="--to FOLDER --language uk")
	@$(RUN) powerbi --company $(COMPANY) $(ARGS)

metabase: $(STAMP) ## Names, keys and dashboards in Metabase (METABASE_URL, METABASE_API_KEY from the environment; COMPANY=, ARGS="--database NAME")
	@$(RUN) metabase --company $(COMPANY) $(ARGS)

docs-metrics: $(STAMP) ## Write the metric catalogue's pages, docs/metrics.*.md, from the yml files
	@$(RUN) catalogue

docs-quality: $(STAMP) ## Write the quality rules' page, docs/data-quality.md, from the seeds and suites
	@$(RUN) rulebook

test: $(STAMP) test-servers ## All tests but the long ones
	@.venv/bin/pytest -m "not long" --durations 40 --durations-min 5 $(PARALLEL) $(ARGS)

test-long: $(STAMP) ## The long tests: 1,500 random portals, the whole fault matrix and 30 kill points of each CRM, a large company
	@.venv/bin/pytest -m long $(PARALLEL) $(ARGS)

test-servers: $(STAMP) ## Install MariaDB, PostgreSQL, systemd and an old DuckDB where tests find none (Debian, as root or with sudo)
	@.venv/bin/python -m tests.support.install_servers

bench-extract: $(STAMP) ## Extraction beside other clients, ratios in one run (ARGS="--system amocrm --runs 2")
	@.venv/bin/python -m tests.benchmarks.extract $(ARGS)

bench-calls: $(STAMP) ## How merging CRM and telephony scales, 1 to 10 million calls (ARGS="--many 2000000 --mixture one-line")
	@.venv/bin/python -m tests.benchmarks.calls $(ARGS)

bench-transform: $(STAMP) ## How dbt scales from raw tables to marts, whole and day by day, to a million deals (ARGS="--deals 100000 --keep")
	@.venv/bin/python -m tests.benchmarks.transform $(ARGS)

bench-quality: $(STAMP) ## What judging a build costs beside making it (ARGS="--deals 200000")
	@.venv/bin/python -m tests.benchmarks.quality $(ARGS)

bench-publish: $(STAMP) ## Writing the widest fact into PostgreSQL beside psql (ARGS="--company NAME --runs 7")
	@.venv/bin/python -m tests.benchmarks.publish $(ARGS)

lint: $(STAMP) ## ruff, mypy, sqlfluff, yamllint
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/sqlfluff lint --processes 2 models expectations/sql
	@.venv/bin/yamllint --strict .

format: $(STAMP) ## Format Python and fix what linters can
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

clean: ## Remove what the demo and the replay produced; real companies' data stay
	@rm -rf data/demo data/demo_amocrm data/replay data/replay_amocrm target logs .pytest_cache .mypy_cache .ruff_cache
