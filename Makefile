# Everything a person or a CI job does here is one of these targets. `make` or `make help` lists them.
STACK    ?= dev
OUT      ?= rendered/$(STACK)
BASE     ?= origin/main
RUN      ?= .
FUZZTIME ?= 5m
LOAD     ?=
SET      ?=
IMAGE    ?=
CONTRACT ?=

PROGRAM         := bin/scaleout
CLUSTER_PROGRAM := bin/cluster
LINT    := go tool -modfile=$(CURDIR)/tools/lint/go.mod golangci-lint
MODULES := . app balancer e2e load monitoring tools/kubeconform
SETTINGS = $(foreach setting,$(SET),-set '$(setting)')
# With these variables pulumi finds the stack of make up.
FIND_STACK = variables="$$(go run ./cmd/scaleout env)" && eval "$$variables"

export STACK IMAGE CONTRACT BASE

.DEFAULT_GOAL := help
.PHONY: help preview preview-cluster render diff up down promote rollback status logs env load dashboards e2e e2e-prod bench-request bench contract fuzz test golden docs lint clean $(PROGRAM) $(CLUSTER_PROGRAM)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- without cluster, cloud account, Docker or Pulumi -----------------------------------------------------------------

$(PROGRAM): # go build does nothing if nothing has changed
	@go build -o $@ .

$(CLUSTER_PROGRAM):
	@go build -o $@ ./cluster

preview: $(PROGRAM) ## show what STACK would be (dev, prod, docker), with other settings: SET="maxReplicas=30 host=a.example.com"
	@$(PROGRAM) preview -stack $(STACK) $(SETTINGS)

preview-cluster: $(CLUSTER_PROGRAM) ## show what the cluster of STACK=prod would be, and the network that it is in
	@$(CLUSTER_PROGRAM) preview -C cluster -stack $(STACK) $(SETTINGS)

render: $(PROGRAM) ## write the Kubernetes objects of STACK as YAML files for kubectl to OUT (rendered/STACK)
	@$(PROGRAM) render -stack $(STACK) -out $(OUT) $(SETTINGS)

diff: ## what this working tree changes against BASE (origin/main) in the objects of all stacks, as make golden rendered them
	@git diff --stat --patch "$$BASE" -- testdata/golden cluster/testdata/golden

# --- for real ---------------------------------------------------------------------------------------------------------

up: ## bring STACK up, and what it runs on: registry, cluster if it has one; then ask it
down: ## remove STACK and what up made for it
promote: ## deploy in STACK the image that runs in FROM, without a build: make promote FROM=staging STACK=prod; YES=1 asks nothing
rollback: ## deploy in STACK the image before, or TO: a number of the list that this prints, a digest, a reference
status: ## what runs: nodes and pods, or containers; URL
logs: ## logs of COMPONENT (web); FOLLOW=1 keeps printing
env: ## shell variables for plain pulumi and kubectl commands: eval "$(make -s env)"
up down promote rollback status logs env: # what is set for make (FROM=staging) is in the environment of its commands
	@go build -o bin/driver ./cmd/scaleout && exec bin/driver $@

load: ## send load to the running STACK and report how it scales; LOAD="-profile blackfriday", LOAD=-h for all flags
	@cd load && go build -o ../bin/load .
	@$(FIND_STACK) && bin/load $(LOAD)

dashboards: ## forward ports to the Grafana and the Prometheus of STACK until Ctrl-C, with kubectl; CONTEXT=NAME if not on kind
	@$(FIND_STACK) && . tools/dashboards.sh

e2e: ## test the running STACK from outside, at last its destroy; RUN=TestScaling runs one test
	@cd e2e && go test -tags e2e -count 1 -timeout 90m -v -run '$(RUN)' .

e2e-prod: ## bring both AWS projects up and down in Pulumi's engine, with a substitute of the providers; needs the Pulumi CLI
	@go test -tags e2e -count 1 -timeout 30m -v ./internal/engine

bench-request: ## time and CPU of a visit on its whole way through the running STACK
	@cd e2e && go test -tags e2e -run '^$$' -bench Request -benchtime 20000x -count 3 .

# The values reach the shell as variables, which it does not run. CONTRACT is split at blanks (a value has none: \s in a
# regular expression); set -f keeps it from matching file names.
contract: ## check whether the container image IMAGE may run as a WebApp; CONTRACT="-port 8080", CONTRACT=-h for all flags
	@go build -o bin/contract ./cmd/contract
	@set -f; bin/contract $$CONTRACT -- "$$IMAGE"

# --- for those who change it ------------------------------------------------------------------------------------------

# The race detector watches the packages that start goroutines of their own. For the others, and those of load/ that talk to a
# cluster, it would compile Pulumi's SDKs or Kubernetes' client, which are most of the time of a first run, once more.
test: ## all tests that need neither a cluster nor Docker
	go vet ./... && go vet -tags e2e ./internal/engine
	go test . ./cluster/... ./components/... ./examples/... ./internal/...
	go test -race ./offline ./cmd/...
	cd app && go vet ./... && go test -race ./...
	cd balancer && go vet ./... && go test -race ./...
	cd e2e && go vet -tags e2e ./... && go test ./report
	cd load && go vet ./... && go test ./... && go test -race ./traffic
	cd monitoring && go vet ./... && go test ./...
	cd tools/kubeconform && go vet ./... && go test ./...

golden: ## update testdata/golden from the stack files, and the dashboards from monitoring/
	cd monitoring && go run . ../internal/counter/dashboards/scaleout.json
	go test -run Golden . ./cluster ./examples/... -update

docs: ## update docs/configuration.md from Pulumi.yaml, docs/reliability.md from its measurements
	go test -run ConfigurationReference . -update
	cd e2e && go test -run Page ./report -update

bench: ## CPU of the app per request, beside a bare handler, and at rest; of the content hash
	cd app && go test -run '^$$' -bench . -benchtime 3s .
	go test -run '^$$' -bench . ./components/image

# With a time, Go up to 1.26 may report its own end as "context deadline exceeded" (https://go.dev/issue/75804). A find
# names the file that holds the input; FUZZTIME=5000000x has a number of inputs in place of the time.
fuzz: ## look for a panic or a message without a key in the decoder for FUZZTIME (5m)
	go test -run '^$$' -fuzz FuzzParse -fuzztime $(FUZZTIME) ./internal/config

lint: ## gofmt, vet, golangci-lint, go mod tidy
	@for m in $(MODULES); do (cd $$m && go mod tidy -diff && $(LINT) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

clean: ## remove what was built, rendered or reported here; state and passphrase in .local stay
	rm -rf bin rendered reports
