#!/usr/bin/env bash
# Everything that must hold before a change lands. Stops at the first failure and says how long each step took.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

step() {
  local name=$1 begin=$SECONDS; shift
  echo "== $name"
  "$@"
  echo "== $name: $((SECONDS - begin)) s"
}

node_modules() { (cd "$1" && npm ci --no-audit --no-fund --loglevel=error); }
in_folder() { local folder=$1; shift; (cd "$folder" && "$@"); }

step "web: install" node_modules web
step "web: types" in_folder web npm run --silent check
step "web: lint" in_folder web npm run --silent lint
step "web: unit tests" in_folder web npm test --silent
step "web: build" in_folder web npm run --silent build
step "rust: format" cargo fmt --all --check
step "rust: lints" cargo clippy --workspace --all-targets --features heliograph-fuzz/fuzzing --locked -- -D warnings
step "rust: docs" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --document-private-items
step "rust: build" cargo build --workspace --all-targets --locked
# Tests use the programs that were just built; building them alone would choose other features and start anew.
built=$(realpath "${CARGO_TARGET_DIR:-target}")/debug
export HELIOGRAPH_BIN=$built/heliograph PATTERN_PUBLISHER_BIN=$built/pattern-publisher
export LINK_EMULATOR_BIN=$built/link-emulator
step "PyAV: install" scripts/pyav.sh
# Scenarios mostly wait: more of them at once than there are processors (tests/scenarios/turn.rs says which may).
step "rust: tests" env RUST_TEST_THREADS="${RUST_TEST_THREADS:-18}" cargo test --workspace --locked
step "browser: install" node_modules tests/browser
step "browser tests" in_folder tests/browser npm test --silent
echo "everything passed in $SECONDS s"
