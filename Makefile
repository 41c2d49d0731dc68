# Every way to run, check and prove Interlock. `make` alone prints this list.
#
# Tests belong to lanes (internal/archtest holds them apart): the default lane is
# everything without a build tag, on both database engines; the slow lanes are
# build tags, and their tests carry the name of the lane: TestFaults...

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One private PostgreSQL for all packages of a run; see internal/db/dbtest.
WITH_POSTGRES := go run ./internal/db/dbtest/pgserver --

# The packages with the longest tests come first, so that none of them ends alone.
LONGEST := ./internal/gate/worker ./e2e ./internal/api

# Packages whose reason is concurrency, or that are driven by it. They run in their
# short form: the detector makes them ten times slower, and looks at each access.
RACE := ./internal/db/... ./internal/gate/... ./internal/graphsim/... ./internal/httpx/... ./internal/provider/...

# Tools are built from the source that tools/go.mod pins, once for each version
# of them and of Go, outside the tree.
BIN      := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/interlock/bin
pinned    = $(shell sed -n 's|^.*$(1) \(v[^ ]*\).*|\1|p' tools/go.mod)-$(shell go env GOVERSION)
LINT     := $(BIN)/golangci-lint-$(call pinned,github.com/golangci/golangci-lint/v2)
TEMPL    := $(BIN)/templ-$(call pinned,github.com/a-h/templ)

# The packages that have tests in a lane.
lane = $(sort $(dir $(shell grep -rlE --include='*_test.go' '^//go:build .*\b$(1)\b' cmd conformance e2e internal | sed 's|^|./|')))

# What looks for barriers in pages; see internal/console/browser/package.json.
AXE := internal/console/browser/node_modules/axe-core/axe.min.js

FUZZTIME ?= 1m
COVERAGE ?= coverage.out

##@ Work

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Start the demo: simulator, server and a seeded workspace
	go run ./cmd/interlock demo

.PHONY: build
build: ## Build bin/interlock
	go build -trimpath -o bin/interlock ./cmd/interlock

.PHONY: fmt
fmt: $(LINT) ## Format the code (gofumpt, goimports)
	$(LINT) fmt

.PHONY: generate
generate: $(TEMPL) ## Make again every file that is made from another
	$(TEMPL) generate -log-level warn
	go generate ./...

##@ Before a commit

.PHONY: check
check: lint archtest ## Format, lint, vet and the rules of the house

.PHONY: lint
lint: $(LINT)
	$(LINT) run --allow-serial-runners

.PHONY: lint-fix
lint-fix: $(LINT) ## Let the linter mend what it can
	$(LINT) run --allow-serial-runners --fix

.PHONY: archtest
archtest:
	go test -timeout 10m ./internal/archtest/...

.PHONY: contract
contract: ## The focused suite: words, gate, API and the acceptance table
	$(WITH_POSTGRES) go test -timeout 20m ./internal/op/... ./internal/gate/... ./internal/api/... ./internal/archtest

.PHONY: test
test: ## All tests of the default lane, on SQLite and PostgreSQL; vet and the rule on goroutines are in check
	$(WITH_POSTGRES) go test -vet=off -ldflags='-s -w' -p 3 -timeout 20m $(LONGEST) $$(go list ./... | grep -v /archtest/goroutines)

.PHONY: verify
verify: ## Made files, go.mod and docs are what they should be
	@state() { git status --porcelain; git diff; }; \
	before=$$(state); $(MAKE) --no-print-directory generate; \
	[ "$$before" = "$$(state)" ] || { echo "make generate changed files: commit what it makes" >&2; git status --short >&2; exit 1; }
	go mod tidy -diff
	cd tools && go mod tidy -diff
	go test -timeout 10m ./internal/archtest/...

##@ Longer

.PHONY: race
race: ## The packages that live by concurrency, under the race detector
	$(WITH_POSTGRES) go test -race -short -timeout 30m $(RACE)

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZTIME, a duration or a number of inputs such as 20000x (1m); new inputs land in testdata/fuzz
	@grep -rnoE --include='*_test.go' '^func Fuzz\w+' e2e internal | sed -E 's|^(.*)/[^/]*:[0-9]+:func (.*)|./\1 \2|' | \
	while read -r package target; do \
		echo "== $$target in $$package for $(FUZZTIME)"; \
		go test -timeout 20m -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done

.PHONY: fuzz-short
fuzz-short: ## Each fuzz target on 20000 inputs: with a duration, Go can fail a target whose worker is stopped in the middle
	@$(MAKE) --no-print-directory fuzz FUZZTIME=20000x

.PHONY: conformance
conformance: ## Independent published clients against the simulator (needs npm)
	./conformance/run.sh

.PHONY: conformance-go
conformance-go: ## Microsoft's Go client against the simulator (builds for minutes)
	./conformance/msgraphsdk/run.sh

.PHONY: browser
browser: $(AXE) ## The console in a real Chromium (needs chromium and npm)
	$(WITH_POSTGRES) go test -tags browser -run '^TestBrowser' -timeout 20m $(call lane,browser)

.PHONY: browser-short
browser-short: $(AXE) ## The same, where each page is looked at in two ways instead of four
	$(WITH_POSTGRES) go test -tags browser -run '^TestBrowser' -timeout 20m -short $(call lane,browser)

.PHONY: shots
shots: $(AXE) ## A picture of every page in each of its states, into SHOTS=FOLDER
	SHOTS=$(abspath $(or $(SHOTS),$(error say where: make shots SHOTS=FOLDER))) \
		go test -tags browser -run '^TestBrowserLooks$$' -count 1 -timeout 20m ./internal/console/browser

.PHONY: faults
faults: ## Kills, stops and power cuts, at full length (about an hour)
	$(WITH_POSTGRES) go test -tags faults -run '^TestFaults' -timeout 3h -v $(call lane,faults)

.PHONY: faults-short
faults-short: ## The same proofs with few repetitions
	$(WITH_POSTGRES) go test -tags faults -run '^TestFaults' -short -timeout 30m $(call lane,faults)

.PHONY: mutate
mutate: ## Break guarded places one at a time and see their tests fail; ONLY=REGEXP picks by name
	$(WITH_POSTGRES) go run ./internal/mutate/run -only '$(ONLY)'

.PHONY: bench
bench: ## Benchmarks, one pass each
	$(WITH_POSTGRES) go test -timeout 1h -run '^$$' -bench . -benchmem ./...

.PHONY: auc
auc: ## Whether time tells what one may not see from what is not there: 0.5 is no
	$(WITH_POSTGRES) go test -timeout 1h -run '^$$' -bench TellApart -benchtime 2000x ./internal/api

.PHONY: cover
cover: ## Test coverage, by package and in all
	$(WITH_POSTGRES) go test -timeout 30m -coverpkg ./internal/... -coverprofile $(COVERAGE) ./...
	@go tool cover -func $(COVERAGE) | tail -1

$(AXE): internal/console/browser/package.json
	cd $(<D) && npm install --no-package-lock --no-audit --no-fund --loglevel=error
	touch $@

$(LINT): PACKAGE := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(TEMPL): PACKAGE := github.com/a-h/templ/cmd/templ
$(LINT) $(TEMPL):
	mkdir -p $(@D)
	go build -C tools -trimpath -ldflags '-s -w' -o $@ $(PACKAGE)
