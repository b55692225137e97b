# `make help` lists what there is. Works on Debian with a Rust toolchain, make and a C compiler.

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
SECONDS ?= 60
ROUNDS ?= 200
KILLS ?= 1000

.DEFAULT_GOAL := help
.PHONY: help demo build test lint format torture kills conformance ovmf fuzz bench tools

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: build ## build, then sign and verify real files with every scheme, on this machine alone
	$(TARGET_DIR)/release/countersign demo

build: ## the release build of the program
	$(CARGO) build --locked --release --package countersign-cli

test: ## install what the tests need, run everything, end with a summary
	scripts/test

lint: ## formatting and clippy, as in `make test`
	scripts/test format lint

format: ## format the sources
	$(CARGO) fmt --all

torture: tools ## kill the process in the signing path many times (ROUNDS=200)
	COUNTERSIGN_TORTURE_ROUNDS=$(ROUNDS) scripts/test torture

kills: tools ## kill the server in its publications while clients of TUF refresh (KILLS=1000)
	COUNTERSIGN_TUF_KILLS=$(KILLS) scripts/test kills

conformance: tools ## the TUF project's tests of clients, on ours (SUITE=its checkout, else cloned)
	CONFORMANCE_SUITE=$(SUITE) scripts/test conformance

ovmf: tools ## boot emulated firmware with our keys: it starts what we signed, and nothing else
	scripts/test ovmf

fuzz: ## mutate the corpus (SECONDS=60), or with TARGET=name run libFuzzer on nightly
	SECONDS_TO_RUN=$(SECONDS) FUZZ_TARGET=$(TARGET) scripts/fuzz

bench: build ## requests per second, latency and CPU a signature, next to the bare operation
	$(CARGO) run --locked --release --package countersign-bench -- $(BENCH)

tools: ## install what the tests need, and nothing else
	scripts/install-test-tools
