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
# The operator's image: make docker-build deploy IMG=registry.example.com/prism-operator:dev
IMG ?= ghcr.io/prism/prism-operator:v0.1.0
# The Python that .venv is made with, when python3 is not the one.
PYTHON ?=

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##@ Try it (Python and make are enough)

.PHONY: sim
sim: $(READY) ## Run every scenario in simulated time. SCENARIOS="file …" SEED=n
	@$(BIN)/prism-sim run $(if $(SEED),--seed $(SEED)) $(SCENARIOS)

.PHONY: test
test: $(READY) ## Run the unit and simulator tests. ARGS="-k word"
	@$(BIN)/pytest -q -n auto $(ARGS) tests

.PHONY: test-faults
test-faults: $(READY) ## Every call of the operator gone wrong in every way. ARGS="scale:3:lost"
	@$(BIN)/python -m tests.faults $(ARGS)

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

.PHONY: deploy
deploy: $(READY) ## Install CRDs, RBAC and the operator as a pod. IMG=image:tag
	@$(LOCAL) deploy $(IMG)

.PHONY: undeploy
undeploy: $(READY) ## Remove the operator; CRDs, resources and the namespace stay.
	@$(LOCAL) undeploy

##@ The image (needs Docker)

.PHONY: docker-build docker-push docker-build-local
docker-build: ## Build the operator's image. IMG=image:tag
	@docker build --tag $(IMG) --label org.opencontainers.image.version=$(lastword $(subst :, ,$(IMG))) \
		--label org.opencontainers.image.revision=$(shell git rev-parse HEAD) .
docker-push: ## Push it. IMG=image:tag
	@docker push $(IMG)
docker-build-local: ## Build it as prism-operator:local.
	@docker build --tag prism-operator:local .

##@ On a local cluster only (make cluster-up, kind, Docker Desktop); other contexts are refused

LOCAL_IMG := prism-operator:local

.PHONY: local-check local-deploy local-run local-test local-clean local-logs
local-check: $(READY)
	@$(LOCAL) check
local-deploy: local-check install ## Install CRDs and the operator's image prism-operator:local.
	@$(LOCAL) deploy $(LOCAL_IMG)
local-run: local-check install run ## Install the CRDs and run the operator here.
local-test: local-check ## Apply the first sample and show what came of it.
	@$(LOCAL) exec kubectl apply -f config/samples/prism_v1alpha1_prismstack.yaml
	@$(LOCAL) exec kubectl get prismstack prism-dev
	@$(LOCAL) exec kubectl get all -l stack=prism-dev
local-clean: local-check ## Delete the stacks and patterns of the namespace, and the operator.
	@$(LOCAL) exec kubectl delete prismstack --all
	@$(LOCAL) exec kubectl delete patternrunner --all
	@$(LOCAL) undeploy
local-logs: local-check ## Follow the log of the operator's pod.
	@$(LOCAL) exec kubectl logs -n prism-system deployment/prism-operator-controller-manager -f

.PHONY: kind-create kind-delete
kind-create: ## Create the kind cluster prism-dev, which becomes the current context.
	@kind create cluster --name prism-dev
kind-delete: ## Delete it.
	@kind delete cluster --name prism-dev

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
	@$(BIN)/python -m prism_operator.adapters.provisioning.generate --check
	@$(BIN)/python -m prism_operator.api.crd --check
	@$(BIN)/python -m prism_operator.rbac --check
	@$(BIN)/python -m prism_operator.webhook --check
	@$(BIN)/python -m prism_operator.metrics_reference --check
	@$(BIN)/python -m prism_operator.reference --check
	@$(BIN)/python -m prism_operator.cli.reference --check
	@$(BIN)/python -m simulator.scenario --check
	@$(BIN)/python -m charts.generate --check
	@$(BIN)/uv lock --quiet --check
check-determinism: $(READY)
	@scripts/check-determinism

.PHONY: manifests generate crds
crds generate: manifests
manifests: $(READY) ## Write crds/, config/ and charts/ from the models and the table of permissions.
	@$(BIN)/python -m prism_operator.adapters.provisioning.generate --write
	@$(BIN)/python -m prism_operator.api.crd --write
	@$(BIN)/python -m prism_operator.rbac --write
	@$(BIN)/python -m prism_operator.webhook --write
	@$(BIN)/python -m prism_operator.metrics_reference --write
	@$(BIN)/python -m prism_operator.reference --write
	@$(BIN)/python -m prism_operator.cli.reference --write
	@$(BIN)/python -m simulator.scenario --write
	@$(BIN)/python -m charts.generate --write

.PHONY: goldens
goldens: $(READY) ## Write the golden plans; read the difference before you commit it.
	@$(BIN)/python -m tests.planning.goldens

.PHONY: release-goldens
release-goldens: $(READY) ## Record what this version leaves in clusters. VERSION=v1.2.3
	@$(BIN)/python -m tests.runtime.releases $(VERSION)

.PHONY: fmt
fmt: $(READY) ## Format the code and mend what the linter can.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: test-integration
test-integration: $(READY) ## Run the stories on a real API server (PRISM_TEST_KUBECONFIG, kind, …).
	@$(BIN)/pytest -q $(ARGS) --ignore=e2e/test_docs.py --ignore=e2e/promises \
		--ignore=e2e/with_keda e2e

.PHONY: test-keda
test-keda: $(READY) ## Scale by real servers with the real KEDA, beside the simulator. ARGS="-s"
	@$(BIN)/python -m e2e.with_keda -q $(ARGS)

.PHONY: test-e2e
test-e2e: $(READY) ## What users are promised: on kind if Docker and kind are there, else without.
	@$(BIN)/pytest -q $(ARGS) e2e/promises

.PHONY: test-docs
test-docs: $(READY) ## Run every command of README.md and docs/, a cluster for each page.
	@$(BIN)/pytest -q $(ARGS) e2e/test_docs.py

.PHONY: verify
verify: $(READY) ## Replay what the real components decided. RECORDINGS="file …" of your own
	@$(BIN)/prism-sim verify $(or $(RECORDINGS),$(wildcard tests/vectors/*.gz))

.PHONY: record
record: $(READY) ## Record decisions of the real components. OUT=directory SEED=n
	@$(BIN)/python -m e2e.recordings $(or $(OUT),$(error say where to: make record OUT=directory)) $(SEED)

.PHONY: test-deep
test-deep: $(READY) ## All tests, with the long ones: minutes of idleness, more random cases.
	@PRISM_DEEP=1 $(BIN)/pytest -q $(ARGS) --ignore=e2e/with_keda tests e2e
	@$(BIN)/python -m e2e.with_keda -q $(ARGS)
	@$(BIN)/python -m tests.faults --pairs 60

# How many PrismPatterns the operator is timed with: make bench COUNTS="100 500"
COUNTS ?= 100 500 2000

.PHONY: bench
bench: $(READY) ## Print figures as JSON lines. COUNTS="100 500 2000" patterns for the operator
	@$(BIN)/python -m benchmarks.bench_planner
	@$(BIN)/python -m benchmarks.bench_apiserver
	@$(BIN)/python -m benchmarks.bench_simulator
	@$(BIN)/python -m benchmarks.bench_scheduler
	@$(BIN)/python -m benchmarks.bench_fleet
	@$(BIN)/python -m benchmarks.bench_day
	@$(BIN)/python -m benchmarks.bench_backends
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
