PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
SERVERS := .venv-servers
ENGINES := .venv-engines
CORES := -n auto --maxprocesses 4  # of tests: a broker for each
.DEFAULT_GOAL := help
# For recipes that make a virtual environment: what pip says of an old Python is a riddle, and venv keeps an old one.
version = $(shell $(1) -c 'import sys; print("%s %s" % (sys.version.split()[0], sys.version_info >= (3, 11)))' 2>/dev/null)
new_venv = @$(if $(filter True,$(call version,$(PYTHON))),$(PYTHON) -m venv $(if $(filter True,$(call version,$(1)/bin/python)),,--clear) $(1),$(error $(too_old)))
too_old = Tagstream needs Python 3.11 or newer, and $(PYTHON) is $(or $(firstword $(call version,$(PYTHON))),not to be found): make $(or $(MAKECMDGOALS),run) PYTHON=python3.12

.PHONY: help install run test test-quick programs servers engines schemas docs bench chaos mutants corpus attack check lock audit clean

help: ## print the targets, and how long each takes
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

$(VENV)/.run: .locks/run.txt .locks/build.txt pyproject.toml
	$(call new_venv,$(VENV))
	$(BIN)/python -m pip install --quiet --require-hashes -r .locks/run.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r .locks/build.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-index --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: .locks/dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --require-hashes -r .locks/dev.txt
	@touch $@

install: $(VENV)/.dev ## commands and benchmarks into .venv, nothing else; two minutes, once

run: $(VENV)/.run ## sample photos through a broker and a worker, then stay up until Ctrl-C; two minutes the first time, then 20 seconds
	$(BIN)/tagstream run

test: $(VENV)/.dev ## all tests, against a real broker; some 17 minutes on 2 cores
	$(BIN)/python -m pytest $(CORES)

test-quick: $(VENV)/.dev ## the tests that need no broker, but for the slow ones; under 2 minutes on 2 cores
	$(BIN)/python -m pytest -q $(CORES) -m "not kafka and not slow"

$(VENV)/.docs: .locks/docs.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --require-hashes -r .locks/docs.txt
	@touch $@

docs: $(VENV)/.docs ## the documentation as a site in site/, its links checked; some 20 seconds
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(PEERS)/.ready: .locks/peers.txt
	$(call new_venv,$(PEERS))
	-$(PEERS)/bin/python -m pip install --quiet --require-hashes -r .locks/peers.txt
	@touch $@

$(SERVERS)/.ready: .locks/servers.txt
	$(call new_venv,$(SERVERS))
	-$(SERVERS)/bin/python -m pip install --quiet --require-hashes -r .locks/servers.txt
	@touch $@

servers: $(SERVERS)/.ready ## a model server that one test asks, and skips without, into .venv-servers (Python below 3.13); a minute

$(ENGINES)/.ready: .locks/engines.txt
	$(call new_venv,$(ENGINES))
	-$(ENGINES)/bin/python -m pip install --quiet --require-hashes -r .locks/engines.txt
	@touch $@

engines: $(ENGINES)/.ready ## ClickHouse's engine, which one test asks, and skips without, into .venv-engines (850 MB); a minute

bench: $(VENV)/.dev $(PEERS)/.ready ## measure speed, memory and latency beside others; some 30 minutes (BENCH=--short: 4)
	@$(BIN)/python -m benchmarks --peers-python $(PEERS)/bin/python $(BENCH)

chaos: $(VENV)/.dev ## kill workers and the broker under load, then count; some 3 minutes (SECONDS=90 WORKERS= SEED= UPLOADS= BROKERS= STREAMS=no)
	@$(BIN)/python benchmarks/chaos.py

mutants: $(VENV)/.dev ## break one line at a time, and see that a test notices; some 15 minutes (MUTANTS="fence clamp" JOBS=2)
	@nice $(BIN)/python benchmarks/mutants.py

schemas: $(VENV)/.run ## the JSON Schemas and the AsyncAPI document anew, from the types; seconds
	$(BIN)/python -m schemas

corpus: $(VENV)/.dev ## send hostile images through the pipeline, a good one behind each; seconds for hundreds (DIR= a folder of them)
	@$(BIN)/python benchmarks/corpus.py $(if $(DIR),"$(DIR)",$(error name a folder of images: make corpus DIR=...))

attack: $(VENV)/.dev ## do to a worker what strangers might, and measure what others notice; some 10 minutes (ATTACK="bodies --slack 2")
	@nice $(BIN)/python -m benchmarks.attacks $(ATTACK)

programs: ## Prometheus, Chromium, PostgreSQL, Valgrind and kubectl, which some tests run and skip without; seconds, by apt
	.ci/programs

check: $(VENV)/.dev ## lint, types, the walls between the packages, and schemas against every release; a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas --check

lock: ## resolve the dependencies anew; a minute (needs uv)
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header --upgrade pyproject.toml --extra heif -o .locks/worker.txt
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra embedded --extra heif -c .locks/worker.txt -o .locks/run.txt
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --all-extras --group dev -c .locks/run.txt -o .locks/dev.txt
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group docs -c .locks/dev.txt -o .locks/docs.txt
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header --group servers -o .locks/servers.txt
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header --group engines -o .locks/engines.txt
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group peers -c .locks/worker.txt -o .locks/peers.txt
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header --group build -c .locks/dev.txt -o .locks/build.txt
	uv pip compile -q --no-strip-extras --universal --generate-hashes --no-emit-index-url --no-header --group audit -o .locks/audit.txt

audit: $(VENV)/.dev ## known weaknesses of what the locks pin; a minute (asks PyPI, by pip-audit in an environment of its own)
	$(call new_venv,.venv-audit)
	.venv-audit/bin/python -m pip install --quiet --require-hashes -r .locks/audit.txt
	for lock in worker run dev docs build; do .venv-audit/bin/pip-audit --strict --disable-pip --require-hashes -r .locks/$$lock.txt || exit 1; done

clean: ## forget the virtual environment and the broker's data; at once
	rm -rf $(VENV) $(PEERS) $(SERVERS) $(ENGINES) .venv-audit site .tagstream
