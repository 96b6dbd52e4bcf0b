#!/usr/bin/env bash
# Builds all fuzz targets and runs each for a while, one after the other. Plain stable Rust and a C++ compiler
# are all it needs: the instrumentation is LLVM's own, and what cargo-fuzz passes too.
#
#   fuzz/run.sh                  every target for 10 seconds
#   fuzz/run.sh 60               for 60 seconds
#   fuzz/run.sh 10000000runs     for so many executions
#   fuzz/run.sh 60 frame ndjson  only these
#
# SANITIZER=address fuzz/run.sh  with AddressSanitizer, which stable has behind RUSTC_BOOTSTRAP
#
# New inputs are kept in target/fuzz/corpus, what crashed a target in target/fuzz/artifacts. Exits 1 if anything did.
set -euo pipefail
cd "$(dirname "$0")"

amount=${1:-10}
shift || true
all=(frame frame_round_trip manifest ndjson key_block marker_rows run_rows run_file)
targets=("${@:-${all[@]}}")
case $amount in
    *runs) limit=-runs=${amount%runs} ;;
    *) limit=-max_total_time=$amount ;;
esac

triple=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$option"
done
if [[ -n ${SANITIZER:-} ]]; then
    flags+=" -Zsanitizer=$SANITIZER"
    export RUSTC_BOOTSTRAP=1
fi
# Beside the other builds of this checkout, whose flags are different.
out=$(realpath -m "${CARGO_TARGET_DIR:-../target}")/fuzz
build=$out/build-${SANITIZER:-none}
RUSTFLAGS="$flags" CARGO_TARGET_DIR=$build cargo build --release --locked --target "$triple" "${targets[@]/#/--bin=}"

# What the corpora begin with, besides what earlier runs have found: the files that the format is held to.
mkdir -p "$out"/corpus "$out"/artifacts
tar -xzf corpora.tar.gz -C "$out/corpus" --skip-old-files
golden=../tests/golden
mkdir -p "$out"/corpus/{frame,manifest,ndjson}
for name in frame record; do
    # The target reads the rest of an input that begins with 0 as it is.
    printf "\\\\x00$(tr -d '\n' <$golden/$name.hex | sed 's/../\\x&/g')" >"$out/corpus/frame/golden-$name"
done
cp $golden/manifest.json $golden/anchor.json "$out/corpus/manifest/"
cp seed.ndjson "$out/corpus/ndjson/"
split --lines=1 seed.ndjson "$out/corpus/ndjson/line-"

# The longest input of each target, in bytes. Longer ones find nothing more, and take longer.
max_len() {
    case $1 in
        frame | frame_round_trip) echo 1024 ;;
        manifest | ndjson) echo 2048 ;;
        run_*) echo 256 ;;
        *) echo 4096 ;;
    esac
}

# The memory a target may take, in MiB. In a damaged file, redb takes as much as its largest page has, 4 GiB, for one
# page number it believes; what is ours keeps within the same limit as elsewhere.
rss_limit_mb() {
    case $1 in
        run_file) echo $((4096 + 1024)) ;;
        *) echo 1024 ;;
    esac
}

# Filling such a page with zeros takes seconds, and an input may have several.
timeout_s() {
    case $1 in
        run_file) echo 120 ;;
        *) echo 10 ;;
    esac
}

failed=0
rows=()
for target in "${targets[@]}"; do
    log=$out/$target.log
    result=ok
    mkdir -p "$out/corpus/$target"
    more=()
    [[ ! -f $target.dict ]] || more+=("-dict=$target.dict")
    # Slow ones begin with long inputs, of many changes: they would not come to them otherwise.
    [[ $target != run_* ]] || more+=(-len_control=0)
    began=$SECONDS
    "$build/$triple/release/$target" "$limit" "-max_len=$(max_len "$target")" "-rss_limit_mb=$(rss_limit_mb "$target")" \
        "-timeout=$(timeout_s "$target")" -print_final_stats=1 -artifact_prefix="$out/artifacts/$target-" "${more[@]}" "$out/corpus/$target" >"$log" 2>&1 || {
        result="FAILED, see $log"
        failed=1
    }
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    seconds=$((SECONDS - began))
    rows+=("$target ${executions:-0} $((${executions:-0} / (seconds > 0 ? seconds : 1))) $seconds $result")
done

printf '%-18s %12s %9s %8s  %s\n' target executions exec/s seconds result
for row in "${rows[@]}"; do
    read -r target executions rate seconds result <<<"$row"
    printf '%-18s %12s %9s %8s  %s\n' "$target" "$executions" "$rate" "$seconds" "$result"
done
exit $failed
