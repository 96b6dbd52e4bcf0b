#!/usr/bin/env bash
# Makes corpora.tar.gz anew of what earlier runs of run.sh have left: the fewest inputs with the same coverage, and
# of those the small ones.
set -euo pipefail
cd "$(dirname "$0")"

out=$(realpath -m "${CARGO_TARGET_DIR:-../target}")/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
small=$(mktemp -d)
trap 'rm -rf "$small"' EXIT
for corpus in "$out"/corpus/*/; do
    target=$(basename "$corpus")
    mkdir "$small/$target"
    "$out/build-none/$triple/release/$target" -merge=1 "$small/$target" "$corpus" >"$out/$target-merge.log" 2>&1
    find "$small/$target" -type f -size +100c -delete
done
tar -C "$small" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . | gzip -9n >corpora.tar.gz
du -b corpora.tar.gz
