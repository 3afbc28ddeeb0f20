# What CI runs is what you run: the workflows and .ci/run call these targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

FUZZTIME ?= 5s
COUNT ?= 1
SEED ?= 1
ROUNDS ?= 10
ADAPTER ?= classic
INTEROP := test/interop
DIFFERENTIAL := test/differential
# The systems that must compile: "GOOS/GOARCH".
SYSTEMS := linux/amd64 linux/386 darwin/arm64 windows/amd64

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

build: ## build the node as bin/dunlin
	go build -o bin/dunlin ./cmd/node

fmt: bin/golangci-lint ## format Go files
	bin/golangci-lint fmt ./...

# The tests of tools/ read files outside their module, which the test cache does
# not see: hence -count=1.
lint: bin/golangci-lint ## linters, import floors, file sizes, docs/compatibility.md, go.mod, go fix
	bin/golangci-lint run ./...
	cd tools && ../bin/golangci-lint run ./...
	go -C tools run ./shape ..
	go -C tools run ./compat ..
	go -C tools test -count=1 ./...
	go mod tidy -diff
	go fix -diff ./...

test: ## all Go tests, as the README says
	go test ./...

race: bin/noskip $(DIFFERENTIAL)/node_modules ## all Go tests, race detector, shuffled; a skip is a failure
	go test -json -race -shuffle=on -count=$(COUNT) -timeout=15m ./... | bin/noskip -passed bin/ran-go.txt

integration: ## the tests that need Redis
	go test -race -count=1 ./test/integration/... ./adapter/redis/...

interop: $(INTEROP)/node_modules ## official JavaScript and Python clients, Node.js cluster members, Chromium
	@mkdir -p bin
	RESULTS=$(CURDIR)/bin/ran-interop.jsonl npm --prefix $(INTEROP) test

npm: $(INTEROP)/node_modules $(DIFFERENTIAL)/node_modules ## install what the tests need of npm

examples: ## test the programs of docs/examples, a module of their own
	go -C docs/examples vet ./...
	go -C docs/examples test ./...

compat: ## after race and interop: what docs/compatibility.md and docs/clients.md claim passed there
	go -C tools run ./compat -ran ..

conformance: ## the reference's own suites; SUITES=path/to/a/checkout/of/socketio/socket.io
	bash .ci/conformance "$(SUITES)"

fuzz: ## every fuzz target for FUZZTIME each
	bash .ci/fuzz $(FUZZTIME)

cross: ## vet for every system we build for
	@for system in $(SYSTEMS); do \
	  echo "go vet $$system"; \
	  GOOS=$${system%/*} GOARCH=$${system#*/} CGO_ENABLED=0 go vet ./...; \
	done

compose: $(INTEROP)/node_modules ## the compose file, really run: three nodes, HAProxy, Redis
	bash test/compose/run.sh

docs: ## compile the documentation's snippets, check its links and commands
	go test -count=1 ./test/docs

bench: bin/benchstat ## Go benchmarks of the core and the adapters, summarized
	go test -run='^$$' -bench=. -benchmem -count=6 ./core/... ./adapter/... | tee bin/bench.txt
	bin/benchstat bin/bench.txt

nemesis: ## random faults on real processes: SEED=1 ROUNDS=20 ADAPTER=classic
	SEED=$(SEED) ROUNDS=$(ROUNDS) ADAPTER=$(ADAPTER) go test -count=1 -timeout=90m -run=TestNemesis -v ./test/nemesis

faults: ## a few rounds of nemesis in each mode, always the same ones
	for adapter in classic sharded streams; do $(MAKE) nemesis ADAPTER=$$adapter SEED=3 ROUNDS=3; done

night: ## what is too slow for every change: long fuzzing, repeated race runs
	$(MAKE) fuzz FUZZTIME=10m
	$(MAKE) race COUNT=5
	MATRIX=full $(MAKE) interop
	for adapter in classic sharded streams; do $(MAKE) nemesis ADAPTER=$$adapter SEED=$$RANDOM ROUNDS=70; done
	DIFFERENTIAL_INPUTS=1000000 DIFFERENTIAL_SEED=$$RANDOM go test -count=1 -timeout=60m -v ./test/differential

ci: ## everything CI does, on a machine that may be changed (installs packages)
	bash .ci/run

bin/golangci-lint bin/benchstat &: tools/go.mod tools/go.sum
	go -C tools build -o ../bin/ tool
	@touch bin/golangci-lint bin/benchstat

bin/noskip: $(wildcard tools/noskip/*.go)
	go -C tools build -o ../bin/ ./noskip

# npm's own marker of a finished install.
$(INTEROP)/node_modules $(DIFFERENTIAL)/node_modules: %/node_modules: %/package-lock.json
	npm --prefix $* ci --no-audit --no-fund
	@touch $@

.PHONY: help build fmt lint test race integration interop npm examples compat conformance fuzz cross compose docs bench night ci nemesis faults
