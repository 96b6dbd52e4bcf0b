#!/usr/bin/env bash
# The test of the models: each weakening below changes one line of a production file that the models
# include, and the one model that guards that line has to fail.
#
#   loom-tests/mutate.sh             all weakenings
#   loom-tests/mutate.sh parking     those whose name has "parking" in it
#
# Prints a line for each: OK and why the model failed, or FAIL if the model passed, if the weakening
# no longer changes anything, or if it no longer compiles. Ends with status 1 if any failed. The tree
# is copied into the target folder and weakened there; it is never changed itself.
#
# Not in the list, because the models rightly pass: Release and Acquire on `LaneInbox::has_new`. A
# producer registers before it takes a stamp, so the order clock already orders the flag.
set -euo pipefail

pattern=${1:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/../target}
copy=$CARGO_TARGET_DIR/loom-mutants
source "$here/../.ci/weaken.bash"

run_models() {
    timeout "$seconds_max" cargo test --quiet --manifest-path "$copy/Cargo.toml" \
        --package loom-tests --lib "$@"
}

build() { run_models --no-run; }
run_model() { run_models -- --exact "$model"; }
# The line after that of the panic says what was found.
found() { grep --text --max-count=1 --after-context=1 ' panicked at ' "$1" | tail -n 1; }

# weaken NAME MODEL FILE SED: with SED applied to src/protocol/FILE, MODEL fails.
weaken() {
    model=$2
    weaken_file "$1" "src/protocol/$3" "$4" build run_model found
}

copy_tree
if ! run_models >"$output" 2>&1; then
    echo "the models fail without any weakening, see $output" >&2
    exit 1
fi

weaken 'watermark: advance without Release' \
    watermark::the_watermark_is_never_ahead_of_the_commits watermark.rs \
    's/store\(seq, Ordering::Release\)/store(seq, Ordering::Relaxed)/'
weaken 'watermark: get without Acquire' \
    watermark::the_watermark_can_be_passed_on watermark.rs \
    's/load\(Ordering::Acquire\)/load(Ordering::Relaxed)/'
weaken 'watermark: advance by way of 0' \
    watermark::the_watermark_only_rises watermark.rs \
    's/^( *)self\.0\.store\(seq/\1self.0.store(0, Ordering::Release);\n&/'

weaken 'parking: no fence in wait_until' \
    parking::a_waiter_is_woken parking.rs \
    '/fn wait_until/,/fn block/ s/^ *fence\(.*$//'
weaken 'parking: no fence in wake_all' \
    parking::a_waiter_is_woken parking.rs \
    '/fn wake_all/,$ s/^ *fence\(.*$//'
weaken 'parking: the lock is not taken before the notice' \
    parking::a_waiter_is_woken parking.rs \
    '/fn wake_all/,$ s/^ *drop\(self\.0\.lock.*$//'
weaken 'parking: a waiter does not check under the lock before it sleeps' \
    parking::a_waiter_is_woken parking.rs \
    '/fn block/,$ { s/^        loop \{/        let mut woken = false;\n&/; s/if is_done\(\)/if std::mem::replace(\&mut woken, true) \&\& is_done()/ }'
weaken 'parking: one of the waiters is woken' \
    parking::two_waiters_are_woken parking.rs \
    's/notify_all/notify_one/'
weaken 'parking: a woken waiter does not check again' \
    parking::a_waiter_woken_too_early_is_woken_again parking.rs \
    's/None => self\.0\.changed\.wait\(guard\)(.*),$/None => { drop(self.0.changed.wait(guard)\1); return true; }/'

weaken 'halt: the flag before the reason' \
    halt::a_halted_run_has_a_reason halt.rs \
    's/^ *let mut kept = self\.lock_reason\(\);/self.0.halted.store(true, Ordering::Release);\n&/'
weaken 'halt: fire without Release' \
    halt::who_sees_the_halt_sees_what_came_before halt.rs \
    's/store\(true, Ordering::Release\)/store(true, Ordering::Relaxed)/'
weaken 'halt: is_halted without Acquire' \
    halt::who_sees_the_halt_sees_what_came_before halt.rs \
    's/load\(Ordering::Acquire\)/load(Ordering::Relaxed)/'
weaken 'halt: the last reason wins' \
    halt::the_first_reason_wins halt.rs \
    's/if kept\.is_some\(\)/if false/'
weaken 'halt: nobody is woken' \
    halt::a_halt_wakes_waiters halt.rs \
    's/^ *self\.0\.parking\.wake_all\(\);//'

weaken 'lane: set_durable without Release' \
    lane_state::a_durable_message_is_in_the_log lane_state.rs \
    's/durable\.store\(ordinal, Ordering::Release\)/durable.store(ordinal, Ordering::Relaxed)/'
weaken 'lane: durable without Acquire' \
    lane_state::a_durable_message_is_in_the_log lane_state.rs \
    's/durable\.load\(Ordering::Acquire\)/durable.load(Ordering::Relaxed)/'
weaken 'lane: set_last_admitted without Release' \
    lane_state::the_verdict_comes_after_what_it_admits lane_state.rs \
    's/last_admitted\.store\(ordinal, Ordering::Release\)/last_admitted.store(ordinal, Ordering::Relaxed)/'
weaken 'lane: last_admitted without Acquire' \
    lane_state::the_verdict_comes_after_what_it_admits lane_state.rs \
    's/last_admitted\.load\(Ordering::Acquire\)/last_admitted.load(Ordering::Relaxed)/'

weaken 'gate: no barrier on the side of the producer' \
    close::a_push_that_races_with_close_is_in_the_log_or_refused gate.rs \
    's/^ *self\.barrier\.light\(\);//'
weaken 'gate: no barrier on the side of the writer' \
    close::a_push_that_races_with_close_is_in_the_log_or_refused gate.rs \
    's/^ *self\.barrier\.heavy\(\);//'
weaken 'gate: the barrier of the writer before its store' \
    close::so_is_a_second_push gate.rs \
    's/^ *self\.state\.store\(CLOSING.*$/self.barrier.heavy();\n&/; /fn begin_close/,/fn is_closed/ s/^        self\.barrier\.heavy\(\);//'
weaken 'gate: a push is admitted until the end' \
    close::so_are_the_pushes_of_two_producers gate.rs \
    '/fn admit/,/await_verdict/ s/== OPEN/!= CLOSED/'
weaken 'gate: the end is asked for last' \
    close::nobody_hears_a_falsehood_when_the_store_fails_while_closing gate.rs \
    's/if closed/if self.is_closed()/'
weaken 'gate: an open run that is halted meanwhile is not asked for its verdict' \
    close::a_halt_after_the_end_changes_no_answer gate.rs \
    's/^( *)if self.*== OPEN && .*$/\1if self.state.load(Ordering::Relaxed) == OPEN {\n\1    if halt.is_halted() { return Admission::Halted; }/'
weaken 'gate: the halt is asked for last' \
    close::a_halt_after_the_end_changes_no_answer gate.rs \
    's/if halted \{/if halt.is_halted() {/'
weaken 'gate: close without Release' \
    close::nobody_hears_a_falsehood_when_the_store_fails_while_closing gate.rs \
    's/store\(CLOSED, Ordering::Release\)/store(CLOSED, Ordering::Relaxed)/'
weaken 'gate: is_closed without Acquire' \
    close::nobody_hears_a_falsehood_when_the_store_fails_while_closing gate.rs \
    '/fn is_closed/,$ s/load\(Ordering::Acquire\)/load(Ordering::Relaxed)/'
weaken 'gate: begin_close without Release' \
    close::who_sees_the_close_begin_sees_what_was_answered_before gate.rs \
    's/store\(CLOSING, Ordering::Release\)/store(CLOSING, Ordering::Relaxed)/'
weaken 'gate: is_closing without Acquire' \
    close::who_sees_the_close_begin_sees_what_was_answered_before gate.rs \
    '/fn is_closing/,/fn is_closed/ s/load\(Ordering::Acquire\)/load(Ordering::Relaxed)/'
weaken 'gate: a halt is called a refusal' \
    close::nobody_hears_a_falsehood_when_a_halt_races_with_close gate.rs \
    '/fn await_verdict/,$ s/Admission::Halted/Admission::Refused/'
weaken 'gate: close does not end' \
    close::a_waiter_for_the_end_is_woken gate.rs \
    's/store\(CLOSED, /store(CLOSING, /'

weaken 'order clock: no horizon' \
    horizon::an_effect_is_never_taken_before_its_cause order_clock.rs \
    's/counter\.load\(Ordering::SeqCst\)/counter.load(Ordering::SeqCst) + 9/'
weaken 'order clock: a horizon one too late' \
    horizon::effects_of_effects_come_in_order_too order_clock.rs \
    's/counter\.load\(Ordering::SeqCst\)/counter.load(Ordering::SeqCst) + 1/'
weaken 'order clock: horizon without Acquire' \
    horizon::an_effect_is_never_taken_before_its_cause order_clock.rs \
    's/counter\.load\(Ordering::SeqCst\)/counter.load(Ordering::Relaxed)/'
weaken 'order clock: stamp without Release' \
    horizon::an_effect_is_never_taken_before_its_cause order_clock.rs \
    's/fetch_add\(1, Ordering::SeqCst\)/fetch_add(1, Ordering::Acquire)/'
weaken 'order clock: two stamps of one value' \
    horizon::nor_when_the_writer_looks_at_the_effect_first order_clock.rs \
    's/counter\.fetch_add\(1, Ordering::SeqCst\)/(counter.fetch_add(1, Ordering::SeqCst) - 1) \& !1/'

weaken 'inbox: the flag is taken back after the lock' \
    registration::nor_when_both_rings_are_new inbox.rs \
    's/^ *lanes\.append\(.*$/&\ndrop(new);\nself.has_new.store(false, Ordering::Relaxed);/'
weaken 'inbox: the flag is not set' \
    registration::an_effect_is_never_taken_before_its_cause_in_a_new_ring inbox.rs \
    's/^ *self\.has_new\.store\(true, .*$//'
weaken 'inbox: a closed one takes rings' \
    registration::a_registration_that_races_with_close_is_drained_or_refused inbox.rs \
    's/if lanes\.closed/if false/'
weaken 'inbox: one ring more than allowed' \
    registration::never_more_rings_than_allowed inbox.rs \
    's/>= max/> max/'

weaken 'mark stamp: one for all marks' \
    mark_stamp::data_stands_behind_the_entry_that_caused_it latest_entry.rs \
    's/if found != self\.found/if self.found.is_none()/'
weaken 'mark stamp: entries are not noted' \
    mark_stamp::data_stands_behind_the_entry_that_caused_it latest_entry.rs \
    's/self\.0\.fetch_add\(1, Ordering::Release\);//'
weaken 'mark stamp: an entry ends what earlier ones have released' \
    mark_stamp::so_it_does_when_another_entry_was_noted_since latest_entry.rs \
    's/self\.0\.fetch_add\(1, /self.0.store(1 + self.0.load(Ordering::Relaxed), /'

finish
