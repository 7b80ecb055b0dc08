# Two commands matter: `make run` and `make test`. Both set up what is missing first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
DEMO ?= 1
ARGS ?=

.PHONY: help run build test setup setup-test web fmt lint doc rust-test web-test system-test browser-test bench fuzz-build clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: build ## Build and run the server with a demo channel (DEMO=0: without; ARGS="--ws-port 9000": flags)
	@scripts/run.sh "$(DEMO)" $(ARGS)

build: setup web ## Build the web app and the release program: target/release/heliograph
	$(CARGO) build --release --locked --bin heliograph

setup: ## Install missing system packages for building and running
	@scripts/setup.sh run

setup-test: ## Install missing system packages for testing too
	@scripts/setup.sh test

web: web/dist/index.html

web/node_modules/.installed: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) web/index.html web/package.json web/vite.config.ts
web/dist/index.html: web/node_modules/.installed $(WEB_SOURCES)
	cd web && npm run --silent build
	@touch $@

test: setup-test ## Everything that must hold: format, lints, docs, unit, system and browser tests
	@scripts/test.sh

bench: build ## Measure this machine and write docs/performance.md (ARGS="--seconds 5 --only 0,2")
	@scripts/bench.sh $(ARGS)

fuzz-build: ## Compile the fuzz targets
	fuzz/build

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf web/dist web/node_modules tests/browser/node_modules
