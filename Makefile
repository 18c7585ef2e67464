# Everything a person or a CI job does here is one of these targets. `make` or `make help` lists them.
ifeq ($(origin STACK), undefined)
# The project of the cluster has no dev.
STACK    := $(if $(filter preview-cluster policy-cluster,$(MAKECMDGOALS)),prod,dev)
endif
OUT      ?= rendered/$(STACK)
BASE     ?= origin/main
RUN      ?= .
FUZZTIME ?= 5m

# Values that come from outside, such as the name of a branch, reach recipes only as variables of the environment, in
# double quotes: the shell does not run them. $(value) keeps make from expanding a $ in them, too.
INPUTS := STACK BASE HEAD LIMIT RUN FUZZTIME LOAD SET IMAGE CONTRACT FROM TO YES KIND RESULT FILE PROOF PROOF_DAYS \
	EXPECT NAME HOURS VERSION REPOSITORY KEY SIGNATURE IDENTITY ISSUER COMPONENT FOLLOW CLUSTER HTTP_PORT \
	HTTPS_PORT WORKERS NODE_IMAGE REGISTRY_NAME REGISTRY_PORT REGISTRY_IMAGE CONTEXT GRAFANA_PORT \
	PROMETHEUS_PORT
$(foreach input,$(INPUTS),$(eval override export $(input) := $$(value $(input))))
override export OUT := $(if $(filter file,$(origin OUT)),rendered/$(value STACK),$(value OUT))
# A go.work above this folder does not know its modules, and there is no vendor folder.
export GOWORK := off
export GO111MODULE := on
override export GOFLAGS := $(filter-out -mod=%,$(value GOFLAGS))

PROGRAM         := bin/scaleout
CLUSTER_PROGRAM := bin/cluster
LINT    := go tool -modfile=$(CURDIR)/tools/lint/go.mod golangci-lint
ACTIONLINT := go tool -modfile=$(CURDIR)/tools/actionlint/go.mod actionlint
MODULES := . app balancer e2e load monitoring policy tools/kubeconform
# As in tools/build.sh.
COMPILE = GOGC="$${GOGC:-400}"
# With these variables pulumi and kubectl find the stack of make up.
FIND_STACK = variables="$$(bin/driver env)" && eval "$$variables"
# -set arguments of the words of SET. set -f keeps the shell from matching file names.
SETTINGS = set -f; set --; for setting in $$SET; do set -- "$$@" -set "$$setting"; done

.DEFAULT_GOAL := help
.PHONY: help doctor preview preview-cluster render diff review policy policy-cluster up down env-up env-down \
	env-expire deploy plan drift preflight promote evidence sbom sign rollback status logs env load dashboards \
	test test-all golden golden-check docs bench bench-request e2e upgrade e2e-prod contract fuzz lint release \
	clean driver $(PROGRAM) $(CLUSTER_PROGRAM)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

doctor: ## list what this machine has and lacks, by target, with how to install it
	@sh tools/doctor.sh || true

# --- without cluster, cloud account, Docker or Pulumi -----------------------------------------------------------------

$(PROGRAM): # go build does nothing if nothing has changed
	@sh tools/build.sh . $@

$(CLUSTER_PROGRAM):
	@sh tools/build.sh ./cluster $@

preview: $(PROGRAM) ## show what STACK would deploy (dev, prod, docker); SET="maxReplicas=30 host=a.test" overrides
	@$(SETTINGS); $(PROGRAM) preview -stack "$$STACK" "$$@"

preview-cluster: $(CLUSTER_PROGRAM) ## show what the cluster of STACK (prod) would be, and its network
	@$(SETTINGS); $(CLUSTER_PROGRAM) preview -C cluster -stack "$$STACK" "$$@"

render: $(PROGRAM) ## write the Kubernetes objects of STACK as YAML files for kubectl to OUT (rendered/STACK)
	@$(SETTINGS); $(PROGRAM) render -stack "$$STACK" -out "$$OUT" "$$@"

diff: ## what this working tree changes in the golden files of all stacks against BASE (origin/main)
	@sh tools/diff.sh

review: ## judge that: data loss, outages, replacements, capacity, cost; LIMIT=65536, HEAD=commit
	@go build -o bin/review ./cmd/review && exec bin/review -base "$$BASE" -head "$$HEAD" -limit "$${LIMIT:-0}"

policy: $(PROGRAM) ## check what STACK would deploy: the rules of policy/, and kube-score
	@cd policy && go build -o ../bin/policy .
	@$(SETTINGS); $(call check_policy,$(PROGRAM),.)

policy-cluster: $(CLUSTER_PROGRAM) ## check what the cluster of STACK (prod) would be
	@cd policy && go build -o ../bin/policy .
	@$(SETTINGS); $(call check_policy,$(CLUSTER_PROGRAM),cluster)

# Both checks run, whatever the first one finds.
check_policy = set -- -C $(2) -stack "$$STACK" "$$@"; $(1) golden "$$@" >bin/golden.txtar || exit; failed=; \
	bin/policy -stack-file "$(2)/Pulumi.$$STACK.yaml" <bin/golden.txtar || failed=1; \
	sh policy/kube-score.sh $(1) "$$@" || failed=1; [ -z "$$failed" ]

# --- for real ---------------------------------------------------------------------------------------------------------

up: ## bring STACK up, and what it runs on: registry, cluster if it has one; then request its page
down: ## remove STACK and what up created for it
promote: ## deploy in STACK the image of FROM: make promote FROM=staging STACK=prod; YES=1 asks nothing
evidence: ## attach to the image of STACK what was measured: KIND=e2e RESULT=passed FILE=report.json
sbom: ## list what is in the image of STACK (syft), and attach the list to it
sign: ## sign the image of STACK (cosign): KEY=cosign.key, without it keyless
rollback: ## deploy in STACK the previous image, or TO: a number of the list it prints, digest, reference
env-up: ## the environment of a branch, a copy of STACK in its kind cluster: NAME=pr-123, HOURS=72
env-down: ## remove the environment NAME with its stack
env-expire: ## remove the environments whose time is over; list the others
deploy: ## update a stack that is not on this machine: pulumi preview, then pulumi up
plan: ## what an update would do to the real objects of STACK; FILE=plan.md for a pull request
drift: ## what others changed in STACK, and apart from it what is not deployed yet; fails for drift
status: ## what runs: nodes and pods, or containers; URL
logs: ## logs of COMPONENT (web); FOLLOW=1 keeps printing
env: ## shell variables for plain pulumi and kubectl commands: eval "$(make -s env)"
# Missing tools are reported before the compilation. Pulumi compiles the program again, but finds it in the cache.
up down env-up env-down env-expire deploy plan drift promote evidence sbom sign rollback status logs env:
	@sh tools/doctor.sh $@ && case $@ in up | env-up) sh tools/build.sh . $(PROGRAM) ;; esac && \
		sh tools/build.sh ./cmd/scaleout bin/driver && exec bin/driver $@

preflight: $(PROGRAM) driver ## what in the cluster keeps the autoscaler of STACK from working; CONTEXT=NAME
	@go build -o bin/preflight ./cmd/preflight
	@$(SETTINGS); variables="$$(bin/driver env)" && $(PROGRAM) golden -stack "$$STACK" "$$@" | ( eval "$$variables"; \
		exec bin/preflight -context "$$CONTEXT" )

driver:
	@sh tools/build.sh ./cmd/scaleout bin/driver

load: driver ## send load to STACK and report how it scales; LOAD="-profile blackfriday", LOAD=-h: all flags
	@cd load && go build -o ../bin/load .
	@$(FIND_STACK) && set -f && bin/load $$LOAD

dashboards: driver ## forward ports to Grafana and Prometheus of STACK until Ctrl-C; not on kind: CONTEXT=NAME
	@$(FIND_STACK) && sh tools/dashboards.sh

# The value is split at blanks (a value has none: \s in a regular expression).
contract: ## check whether IMAGE may run as a WebApp; CONTRACT="-port 8080", CONTRACT=-h: all flags
	@go build -o bin/contract ./cmd/contract
	@set -f; bin/contract $$CONTRACT -- "$$IMAGE"

# --- for contributors -------------------------------------------------------------------------------------------------

TESTED := . ./cluster/... ./cmd/... ./components/... ./examples/... ./internal/... ./offline/...

# -vet=all is go vet in the same pass: a command of its own would analyze all dependencies a second time.
test: ## the tests that a change needs; Go and make suffice, it lists what that skips
	@echo "==> a first run compiles Pulumi's SDKs and Kubernetes' types: five to ten minutes on two cores"
	$(COMPILE) go test -vet=all -skip '^TestRendered$$' $(TESTED)
	cd app && go test -vet=all ./...
	cd balancer && go test -vet=all ./...
	@sh tools/doctor.sh test

# The race detector compiles all dependencies once more, so it runs only here.
test-all: test golden-check ## also the race detector, load, monitoring, and the golden files against Kubernetes' API
	go vet -tags e2e ./internal/engine
	go test -race -vet=off -skip '^TestRendered$$' $(TESTED)
	cd app && go test -race -vet=off ./...
	cd balancer && go test -race -vet=off ./...
	cd e2e && go vet -tags e2e ./... && go test .
	cd load && go test -vet=all ./... && go test -race -vet=off ./traffic
	cd monitoring && go test -vet=all ./...
	cd policy && go test -vet=all ./...
	cd tools/kubeconform && go test -vet=all ./...

# A provider would take KUBECONFIG into its golden file.
golden: ## update what is generated: golden files, docs/cost.md, dashboards
	cd monitoring && go run . ../internal/counter/dashboards/scaleout.json
	env -u KUBECONFIG go test -run '^Test(Golden|Rendered)$$' . ./cluster ./examples/... -update
	go test -run '^TestRendered$$' ./internal/cost -update

golden-check: ## fail if the golden files of this project's stacks are stale: run make golden, and commit them
	@env -u KUBECONFIG go test -run '^TestRendered$$' . ./cluster ./internal/cost || \
		{ echo "golden-check: run \`make golden\` and commit the result" >&2; exit 1; }

docs: ## update the configuration reference from Pulumi.yaml, docs/reliability.md from its measurements
	go test -run ConfigurationReference . -update
	cd e2e && go test -run Page . -update

bench: ## CPU of the app per request, beside a bare handler, and at rest; of the content hash
	cd app && go test -run '^$$' -bench . -benchtime 3s .
	go test -run '^$$' -bench . ./components/image

bench-request: ## time and CPU of a request through the running STACK
	@cd e2e && go test -tags e2e -run '^$$' -bench Request -benchtime 20000x -count 3 .

e2e: ## test the running STACK from outside, at last its destroy; RUN=TestScaling runs one test
	@cd e2e && go test -tags e2e -count 1 -timeout 90m -v -run "$$RUN" .

upgrade: ## update BASE to HEAD under load, in a kind cluster of its own; FILE=upgrade.md
	@sh tools/upgrade.sh

e2e-prod: ## bring both AWS projects up and down in Pulumi's engine with substitutes of the providers
	@go test -tags e2e -count 1 -timeout 30m -v ./internal/engine

# With a time, Go up to 1.26 may report its own end as "context deadline exceeded" (https://go.dev/issue/75804). A find
# names the file that holds the input; FUZZTIME=5000000x has a number of inputs in place of the time.
fuzz: ## look for a panic or a message without a key in the decoder for FUZZTIME (5m)
	go test -run '^$$' -fuzz FuzzParse -fuzztime "$$FUZZTIME" ./internal/config

lint: ## gofmt, vet, golangci-lint, go mod tidy, actionlint, no binary file in git
	@! git diff --numstat "$$(git hash-object -t tree /dev/null)" | grep '^-' || \
		{ echo "lint: these binary files are in git: git rm --cached FILE" >&2; exit 1; }
	@for m in $(MODULES); do (cd $$m && go mod tidy -diff && $(LINT) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done
	$(ACTIONLINT)

release: ## check that VERSION=v0.1.0 can be released, and write its notes; REPOSITORY=... pushes images
	@sh tools/release.sh

clean: ## remove what was built, rendered or reported here; state and passphrase in .local stay
	rm -rf bin rendered reports .image-context examples/*/.image-context
