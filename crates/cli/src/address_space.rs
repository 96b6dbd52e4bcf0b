//! A limit on the address space (`ulimit -v`) ends a program that reaches it: an allocation that
//! fails cannot be handled. So the program warns when it starts.

use tapline::engine::WriterConfig;
use tapline::internals::format::LINE_BYTES;

use super::stderr::tell;
use super::words;

/// Threads of a recording beside the producers.
const THREADS: u64 = 8;
/// What the allocator reserves for each thread, with its stack. It uses little of it.
const THREAD_BYTES: u64 = 72 << 20;
/// For pages of the run file, batches and the program itself.
const REST_BYTES: u64 = 256 << 20;

/// Says so on stderr if recording may need more address space than this process may have.
#[cfg(target_os = "linux")]
pub(super) fn warn_if_low(producers: u64, writer: &WriterConfig) {
    use rustix::process::{Resource, getrlimit};

    let Some(limit) = getrlimit(Resource::As).current else { return };
    let may_need = may_need(producers, writer);
    if limit < may_need {
        let (limit, may_need) = (words::bytes(limit), words::bytes(may_need));
        tell(format_args!(
            "warning: this process may use {limit} of address space (`ulimit -v`), and recording \
             may need {may_need}; if it ends with \"memory allocation failed\", what was durable is \
             kept; then raise the limit"
        ));
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn warn_if_low(_producers: u64, _writer: &WriterConfig) {}

fn may_need(producers: u64, writer: &WriterConfig) -> u64 {
    let ring_bytes = (writer.ring_lines as u64).saturating_mul(LINE_BYTES as u64);
    let rings = producers.saturating_mul(ring_bytes);
    (THREADS + producers)
        .saturating_mul(THREAD_BYTES)
        .saturating_add(rings)
        .saturating_add(REST_BYTES)
}
