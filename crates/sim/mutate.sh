#!/usr/bin/env bash
# The test of the simulator: each weakening below changes a line of the engine, and a campaign has
# to fail.
#
#   crates/sim/mutate.sh              all weakenings
#   crates/sim/mutate.sh folder       those whose name has "folder" in it
#
# Prints a line for each: OK and what was found, or FAIL if nothing was, if the weakening no longer
# changes anything, or if it no longer compiles. Ends with status 1 if any failed.
#
# Not in the list: that ids ascend whatever the clock shows, and that names are believed before ids.
# Since both are so, each suffices in these histories; tests/it/session/clock.rs and the tests of
# src/runs/lineage.rs hold each.
set -euo pipefail

pattern=${1:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/../../target}/sim-mutants
# Built over and over: as fast as need be.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0
export CARGO_PROFILE_RELEASE_INCREMENTAL=true
copy=$CARGO_TARGET_DIR/tree
source "$here/../../.ci/weaken.bash"

build() { cargo build --quiet --release --manifest-path "$copy/Cargo.toml" --package sim; }
run() { timeout "$seconds_max" "$CARGO_TARGET_DIR/release/sim" "${campaign[@]}"; }
found() { grep --max-count=1 'FAILED: \|panicked\|aborting' "$1"; }

# weaken NAME CAMPAIGN FILE SED: with SED applied to src/FILE, the campaign fails.
weaken() {
    read -ra campaign <<<"$2"
    weaken_file "$1" "src/$3" "$4" build run found
}

copy_tree
build

weaken 'disk: nothing is synced' 'cuts --seeds 20' store/container/file.rs \
    's/self\.probe\(DiskOp::Sync\)\?;/return Ok(());/'
weaken 'disk: the folder is not synced' 'cuts --seeds 20' store/container/create.rs \
    's/config\.ask\(path, DiskOp::SyncFolder\)\?;//'
weaken 'disk: a file has its name before it is complete' 'cuts --seeds 20' store/container/create.rs \
    's/path\.with_extension\(TEMPORARY_EXTENSION\)/path.to_owned()/'
weaken 'disk: zeros are written over what is there' 'cuts --seeds 20' store/container/fill_ahead.rs \
    's/if self\.touch\(extent\) \{/if self.touch(extent) || true {/'
weaken 'disk: a write that fails passes for one that did not' 'faults --seeds 20' store/container/file.rs \
    's/self\.probe\(DiskOp::Write \{ offset, data \}\)\?;/if self.probe(DiskOp::Write { offset, data }).is_err() { return Ok(()); }/'
weaken 'disk: a sync that fails passes for one that did not' 'faults --seeds 40' store/container/file.rs \
    's/self\.probe\(DiskOp::Sync\)\?;/let _ = self.probe(DiskOp::Sync);/'
weaken 'log: a place is written again before the run file has its frame' 'cuts --seeds 40' store/log/file.rs \
    's/end - needed_from <= self\.bytes/end - needed_from <= self.bytes || true/'
weaken 'log: a frame is durable before it is in the log' 'cuts --seeds 20' store/redb_backend.rs \
    's/log\.append\(frames\)\.map_err\(BackendFault::io\)\?;/let _ = log.append(\&[]);/'
weaken 'log: a write is durable before it is synced' 'cuts --seeds 20' store/log/file.rs \
    's/^            ask\(DiskOp::Sync\)\?;$//'
weaken 'log: a write that fails passes for one that did not' 'faults --seeds 20' store/log/file.rs \
    's/ask\(DiskOp::Write \{ offset, data \}\)\?;/if ask(DiskOp::Write { offset, data }).is_err() { return Ok(()); }/'
weaken 'log: a torn frame counts' 'cuts --seeds 40' store/log/replay.rs \
    's/view\.is_sound\(hasher, hashes, \|_, _\| \{\}\)/{ let _ = (\&view, \&hasher, \&hashes); true }/'
weaken 'log: what it has is not brought into the run file' 'cuts --seeds 20' store/redb_backend.rs \
    's/tree\.write_replayed\(transaction, &frames, end\.tail\.names\)\?;/let _ = (\&frames, \&mut tree);/'
weaken 'sidecar: a batch is durable before it is synced' 'cuts --seeds 20' store/container/mod.rs \
    's/^        commit\(database\.map_err\(BackendFault::redb\)\?, write\)$/        let database = database.map_err(BackendFault::redb)?; if !self.path.to_string_lossy().contains(".markers.") { return commit(database, write); } let mut transaction = database.begin_write().map_err(BackendFault::redb)?; transaction.set_durability(redb::Durability::None).expect("valid"); write(\&transaction).map_err(BackendFault::redb)?; transaction.commit().map_err(BackendFault::redb)/'
weaken 'sidecar: recovery does not say that markers may be missing' 'cuts --seeds 20' markers/redb_store.rs \
    's/^.*open_table\(BLOCKS\)\?\.insert\(place, .*$/let _ = block;/'
weaken 'sidecar: one that was left behind is not sealed' 'cuts --seeds 20' runs/sweep.rs \
    's/self\.skipped\.extend\(recover_sidecar\(&path, run_id, manifest\.high_watermark\)\);/let _ = recover_sidecar;/'
weaken 'rot: a file that was closed is not compared' 'rot --seeds 60' store/container/reopen.rs \
    's/set_check_integrity_on_open\(true\)/set_check_integrity_on_open(false)/'
weaken 'rot: entries that do not have their hashes are sound' 'rot --seeds 60' format/frame_view.rs \
    's/computed\.as_bytes\(\) == stored/computed.as_bytes() == stored || true/'
weaken 'writer: a commit that fails is durable' 'history --seeds 200' engine/writer/committer.rs \
    's/self\.store\(\)\.append\(&frames\)\?;/let _ = self.store().append(\&frames);/'
weaken 'writer: a commit that fails does not halt' 'history --seeds 200' engine/writer/mod.rs \
    '/fn halt_for_append/,/^    \}/ s/self\.shared\.halt\.set\(/let _ = (/'
weaken 'retention: what a run that stays is restored from goes' 'history --seeds 1000' runs/retention_rule.rs \
    's/^    parents\.keep_all\(\&mut decisions\);/    let _ = Parents::keep_all;/'
weaken 'retention: by size and age the head goes, which is the newest run' 'history --seeds 1000' runs/retention_rule.rs \
    's/^    keep_(head|newest)\(runs, \&mut decisions\);/    let _ = keep_\1;/'
weaken 'retention: by size and age runs go before the first snapshot' 'history --seeds 2000' runs/retention_rule.rs \
    's/let needs_all = .*/let needs_all = false;/; s/^    runs\.iter\(\)\.any\(\|run\| run\.standing\.has_state\(\)\)/    runs.iter().any(|run| run.standing.is_restore_point())/'
weaken 'retention: by size more stays than fits' 'history --seeds 200' runs/retention_rule.rs \
    's/if taken > keep_bytes \{/if taken > keep_bytes.saturating_mul(2) {/'
weaken 'runs: a run that ended is not continued' 'history --seeds 200' runs/lineage.rs \
    's/RunStatus::Ended \| RunStatus::CrashedRecovered/RunStatus::CrashedRecovered/'
weaken 'runs: a run does not name its parent' 'history --seeds 200' session/run_session.rs \
    's/manifest\.parent_run_id = parent_run_id;/let _ = \&mut manifest.parent_run_id;/'
weaken 'start: a run that cannot be read is passed over' 'history --seeds 200' session/boot.rs \
    's/Err\(OpenError::PassedOver \{ run_id: \*run_id, file: file\.clone\(\) \}\)/Ok(())/'
weaken 'start: a file of another version holds no run' 'history --seeds 200' runs/sweep.rs \
    's/reason\.kind != SkipKind::Foreign/!matches!(reason.kind, SkipKind::Foreign | SkipKind::OtherVersion)/'
weaken 'start: the run before a failed start is not restored' 'history --seeds 200' runs/restore_parents.rs \
    's/parent\.filter\(\|_\| !has_snapshot\)/parent.filter(|_| false)/'
weaken 'start: the cache is not restored before the first snapshot' 'history --seeds 200' session/run_session.rs \
    's/let restored = boot\.restore\(config, cache\)\?;/let restored = None;/'
weaken 'restore: entries behind the snapshot are not applied' 'history --seeds 200' replay/restore.rs \
    's/progress\.advance\(cache, reader, to_seq\)\?;//'

finish
