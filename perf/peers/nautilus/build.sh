#!/bin/sh
# Builds the peer in release and prints the path of its program, and nothing else, on standard output.
# It goes to target/ beside this script, or to CARGO_TARGET_DIR when that is set. Arguments are handed
# to cargo (`-j1`).
set -eu
# A relative CARGO_TARGET_DIR is meant from where the caller stands.
target=${CARGO_TARGET_DIR:-}
case $target in
'' | /*) ;;
*) target=$PWD/$target ;;
esac
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=${target:-$here/target}

# nautilus-event-store 0.58 declares Rust 1.96 and compiles with 1.95: the declaration is ignored, the
# versions are those of the lock file.
cargo build --release --locked --ignore-rust-version --manifest-path "$here/Cargo.toml" --target-dir "$target" "$@" >&2
printf '%s\n' "$target/release/nautilus-peer"
