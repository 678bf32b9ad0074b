# make build, test, race, lint, fuzz, bench. Needs Go alone; what else a target can use it names when it is missing.

GO ?= go
GOLANGCI ?= $(shell command -v golangci-lint 2>/dev/null || echo $(shell $(GO) env GOPATH)/bin/golangci-lint)
FUZZTIME ?= 10s

# Where goroutines share state; the pure cores have none.
RACE = ./backend/... ./gateway/... ./auth/... ./server/... ./storage/... ./transport/... ./admin/... ./cli/... ./mirror/... ./cmd/... ./internal/...

.PHONY: build test race lint fuzz sim mutants etcd-suites etcd-robustness bench generate clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/zebu ./cmd/zebu

# All tests, those against Apache ZooKeeper and other clients' libraries included where these are installed. Tests
# that had to be left out are listed at the end; with CI=true a missing peer is a failure. The others start servers that are
# built anew, of which the cache of test results knows nothing.
test:
	$(GO) run ./internal/gotest ./...
	cd mvcc/etcdtest && $(GO) test -mod=mod -count=1 ./...
	cd mirror/etcdtest && $(GO) test -mod=mod -count=1 ./...
	cd gateway/etcdtest && $(GO) test -mod=mod -count=1 ./...
	cd interop/etcdrobustness && $(GO) test -mod=mod -count=1 ./...

race:
	$(GO) run ./internal/gotest -race $(RACE)

lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt needed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GOLANGCI) run
	@if command -v shellcheck >/dev/null; then shellcheck -x -P dist dist/*.sh dist/java; \
	elif [ -n "$$CI" ]; then echo "shellcheck is missing"; exit 1; \
	else echo "*** LEFT OUT: shellcheck is not installed"; fi

# Every fuzz target for FUZZTIME, one after the other.
fuzz:
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
			echo "$$(dirname $$file) $$target"; \
			$(GO) test -run='^$$' -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) $$(dirname $$file); \
		done; \
	done

# Simulated ensembles on all cores for as long as told, or the seeds told; see sim/README.md.
MINUTES ?= 10
SEEDS ?=
sim: build
	bin/zebu sim $(if $(SEEDS),--seeds $(SEEDS),--minutes $(MINUTES)) --shrink

# Puts back one bug after the other and looks for scenarios and seeds that see it: half an hour.
mutants:
	$(GO) test -tags mutants ./sim -run 'TestDisastersSeeTheirBugs|TestMutants' -timeout 0 -v

# All of etcd's own tests that zebu can run, docs/compatibility.md: five minutes.
etcd-suites:
	ETCD_SUITES=all $(GO) test ./interop -run '^TestEtcdSuite$$' -count=1 -v -timeout 30m

# etcd's traffic and model on ensembles whose servers are killed, stopped, cut off and robbed of their disks, for as long as told.
etcd-robustness:
	cd interop/etcdrobustness && ROBUSTNESS_MINUTES=$(MINUTES) $(GO) test -run TestRobustness -count=1 -v -timeout 0 .

bench: build
	$(GO) run ./bench compare --out bench/RESULTS.md
	$(GO) run ./bench ensemble --out bench/ENSEMBLE.md
	$(GO) run ./bench recovery --out bench/RECOVERY.md
	$(GO) run ./bench etcd --out bench/ETCD.md

generate:
	$(GO) generate ./...

clean:
	rm -rf bin
