# The table of contents of the work; `make help` prints it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Tests start servers by the hundred: without it each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
STORE ?= embedded
WORKERS ?= 2
PYTEST_ARGS ?=
# Tests of other targets: they need tools that take minutes to build.
ELSEWHERE := --ignore=tests/bench --ignore=tests/chart --ignore=tests/image --ignore=tests/kubernetes --ignore=tests/clients

.PHONY: help demo test test-kubernetes check lint types gen lock bench soak seeded services clients conformance skew chart venv format clean

help: ## List the targets
	@awk 'BEGIN {FS = ":[^#]*## "} /^[a-z][a-zA-Z_-]*:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.stamp ## Train, register, promote and serve a model end to end (STORE=embedded or minio)
	@STORE=$(STORE) scripts/demo

test: .venv/.stamp services ## Run every test against real engines (WORKERS=2, PYTEST_ARGS=…)
	$(BIN)/pytest -n $(WORKERS) $(ELSEWHERE) $(PYTEST_ARGS) || scripts/again $(PYTEST_ARGS)

test-kubernetes: .venv/.stamp ## Run controller and chart against a real kube-apiserver and etcd, built on first use (ten minutes)
	@for tool in etcd kube-apiserver helm; do scripts/tool $$tool >/dev/null || exit 1; done
	$(BIN)/pytest -n $(WORKERS) tests/kubernetes $(PYTEST_ARGS) || scripts/again $(PYTEST_ARGS)

check: lint types ## Everything CI runs: lint, types, generated-code diff, then the tests
	scripts/gen --check
	scripts/docs --check
	scripts/slo --check
	@$(MAKE) test
	@$(MAKE) clients
	@$(MAKE) conformance
	@$(MAKE) chart
	@$(MAKE) test-kubernetes

lint: .venv/.stamp ## Check style, import layers and the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	scripts/buf lint
	scripts/buf format --diff --exit-code
	scripts/buf breaking

types: .venv/.stamp ## Check types (mypy --strict on src)
	$(BIN)/mypy

gen: .venv/.stamp ## Generate src/registry_grpc/v1 and Go's code from proto/, the generated docs, what follows from slo/ and the chart's schema
	scripts/gen
	scripts/docs
	scripts/slo
	scripts/chart
	clients/go/generate

lock: .venv/.stamp ## Pin dependencies by hash after a change in pyproject.toml (UPGRADE=--all or names)
	scripts/lock $(UPGRADE)

bench: .venv/.stamp services ## Measure and write docs/benchmarks.md (WHAT="resolve create push transfer load peers corpus search")
	$(BIN)/python -m tests.bench $(WHAT)

soak: .venv/.stamp ## An hour of faults under load; writes docs/soak.md (MREG_SOAK_MINUTES=60)
	$(BIN)/python -m tests.soak

seeded: .venv/.stamp services ## Put known bugs into a copy and see the proofs notice; writes docs/seeded-bugs.md
	$(BIN)/python -m tests.promises.seeded

services: ## Start this clone's PostgreSQL and MinIO (scripts/services stop ends them)
	@scripts/services start

clients: .venv/.stamp ## Build, lint and test the Go, Java and TypeScript clients (WHAT="go java typescript")
	$(BIN)/python -m tests.clients $(WHAT)

conformance: .venv/.stamp services ## Run every case in four languages against both deployments, then kill servers and measure memory
	$(BIN)/python -m tests.conformance
	$(BIN)/pytest tests/clients $(PYTEST_ARGS) || scripts/again $(PYTEST_ARGS)

skew: .venv/.stamp ## Run the cases by clients built from the contract before its last change (COMMIT=…)
	$(BIN)/python -m tests.clients.skew $(COMMIT)

chart: .venv/.stamp services ## Lint, validate and test the Helm chart and the image; builds Helm on first use
	scripts/chart --check
	@for tool in helm helm-unittest compose-spec; do scripts/tool $$tool >/dev/null || exit 1; done
	$(BIN)/pytest -n $(WORKERS) tests/chart tests/image $(PYTEST_ARGS) || scripts/again $(PYTEST_ARGS)

format: .venv/.stamp ## Rewrite Python and proto files in the house format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	scripts/buf format

clean: ## Stop the engines and remove what can be made again
	-@scripts/services stop
	rm -rf .venv .build node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

venv: .venv/.stamp ## Make .venv from the locks, when they changed

# The one file that says .venv matches the locks.
.venv/.stamp: requirements/dev.txt requirements/demo.txt requirements/uv.txt pyproject.toml scripts/venv
	@scripts/venv
