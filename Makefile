# Everything runs in .venv, made on first use from uv.lock. Needed on the machine: Python ≥ 3.11
# and make; for the targets marked (cluster), Go ≥ 1.26 or the network to fetch it as a wheel.

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCAL = $(BIN)/python -m e2e.local

# make sim SCENARIOS=scenarios/node-loss.yaml SEED=7
SCENARIOS ?=
SEED ?=
# Further arguments of pytest: make test ARGS="-k stack -x"
ARGS ?=
# Flags of the operator: make run FLAGS="--watch-namespaces=default"
FLAGS ?=
FORCE ?=
# The Python that .venv is made with, when python3 is not the one.
PYTHON ?=

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##@ Try it (Python and make are enough)

.PHONY: sim
sim: $(READY) ## Run every scenario in simulated time. SCENARIOS="file …" SEED=n
	@$(BIN)/prism-sim run $(if $(SEED),--seed $(SEED)) $(SCENARIOS)

.PHONY: test
test: $(READY) ## Run the unit and simulator tests. ARGS="-k word"
	@$(BIN)/pytest -q -n auto $(ARGS) tests

##@ On a cluster (install, run and uninstall print the server first; KUBECONFIG as for kubectl)

.PHONY: cluster-up
cluster-up: $(READY) ## Start a real local control plane without Docker.
	@$(LOCAL) up

.PHONY: cluster-down
cluster-down: $(READY) ## End it.
	@$(LOCAL) down

.PHONY: cluster-kubeconfig
cluster-kubeconfig: $(READY) ## Print the path of its kubeconfig (make -s for nothing else).
	@$(LOCAL) kubeconfig

.PHONY: install
install: $(READY) ## Install the CRDs.
	@$(LOCAL) install

.PHONY: run
run: $(READY) ## Run the operator here, against the cluster. FLAGS="--log-level=debug"
	@exec $(LOCAL) exec $(BIN)/prism-operator run --log-format=console $(FLAGS)

.PHONY: uninstall
uninstall: $(READY) ## Remove the CRDs; refuses while Prism resources exist, unless FORCE=1.
	@$(LOCAL) uninstall $(if $(FORCE),--force)

##@ Work on it

.PHONY: check
check: check-format check-lint check-types check-layers check-generated check-determinism ## Format, lint, types, layers, generated files, determinism.

.PHONY: check-format check-lint check-types check-layers check-generated check-determinism
check-format: $(READY)
	@$(BIN)/ruff format --quiet --diff .
check-lint: $(READY)
	@$(BIN)/ruff check .
check-types: $(READY)
	@$(BIN)/mypy
check-layers: $(READY)
	@$(BIN)/lint-imports
check-generated: $(READY)
	@$(BIN)/python -m prism_operator.api.crd --check
	@$(BIN)/python -m prism_operator.rbac --check
	@$(BIN)/uv lock --quiet --check
check-determinism: $(READY)
	@scripts/check-determinism

.PHONY: manifests crds
crds: manifests
manifests: $(READY) ## Write crds/ and config/ from the models and the table of permissions.
	@$(BIN)/python -m prism_operator.api.crd --write
	@$(BIN)/python -m prism_operator.rbac --write

.PHONY: goldens
goldens: $(READY) ## Write the golden plans; read the difference before you commit it.
	@$(BIN)/python -m tests.planning.goldens

.PHONY: fmt
fmt: $(READY) ## Format the code and mend what the linter can.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: test-integration
test-integration: $(READY) ## Run the stories on a real API server (PRISM_TEST_KUBECONFIG, kind, …).
	@$(BIN)/pytest -q $(ARGS) e2e

.PHONY: test-deep
test-deep: $(READY) ## All tests, with the long ones: minutes of idleness, more random cases.
	@PRISM_DEEP=1 $(BIN)/pytest -q $(ARGS) tests e2e

# How many PrismPatterns the operator is timed with: make bench COUNTS="100 500"
COUNTS ?= 100 500 2000

.PHONY: bench
bench: $(READY) ## Print figures as JSON lines. COUNTS="100 500 2000" patterns for the operator
	@$(BIN)/python -m benchmarks.bench_planner
	@$(BIN)/python -m benchmarks.bench_apiserver
	@$(BIN)/python -m benchmarks.bench_simulator
	@$(BIN)/python -m benchmarks.operator_ladder $(COUNTS)

.PHONY: clean
clean: ## Remove .venv, caches and the local cluster.
	@if [ -x $(BIN)/python ]; then $(LOCAL) down; fi
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: quiet when it is up to date.
$(READY): uv.lock pyproject.toml scripts/make-environment
	@PYTHON="$(PYTHON)" scripts/make-environment
	@touch $@
