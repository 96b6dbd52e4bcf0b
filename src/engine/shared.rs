use std::collections::HashMap;
use std::sync::OnceLock;
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::command::Reply;
use super::run_names::RunNames;
use super::writer::{Lane, MarkerOutlet, PublishTime};
use super::{WaitError, WriterConfig};
use crate::model::{Clock, Ticket};
use crate::protocol::{
    HaltReason, HaltSignal, LaneInbox, LaneState, LatestEntry, OrderClock, RunGate, Watermark,
};
use crate::sync::{Arc, AsymmetricBarrier, AtomicU32, Mutex, MutexGuard, Ordering};

/// What the producers, the waiters and the writer of one run share.
///
/// Each part that a push touches is on a cache line of its own.
pub(crate) struct Shared {
    pub(crate) config: WriterConfig,
    /// The node's clock.
    pub(crate) clock: Clock,
    pub(crate) order_clock: OrderClock,
    pub(crate) gate: RunGate,
    pub(crate) halt: HaltSignal,
    pub(crate) watermark: Watermark,
    /// Counts entries for the marks of market data; `None` where none is marked.
    pub(crate) latest_entry: Option<LatestEntry>,
    /// The core that the writer thread is pinned to. Set when the thread starts.
    pub(super) writer_core: OnceLock<Option<usize>>,
    /// The writer thread, to be woken by who waits for it. Set when it starts; never set inline.
    pub(super) writer_thread: OnceLock<Thread>,
    pub(super) names: RunNames,
    /// Where new producers leave their rings for the writer.
    pub(super) inbox: LaneInbox<Lane>,
    /// The run's number among those of this process, for its tickets.
    run: u32,
    producers: Mutex<Producers>,
}

/// The producers whose rings the writer keeps, by number.
#[derive(Default)]
struct Producers {
    next: u32,
    states: HashMap<u32, Arc<LaneState>>,
}

/// What the protocol takes from the machine.
pub(super) struct Machine {
    pub(super) order_clock: OrderClock,
    pub(super) barrier: AsymmetricBarrier,
}

impl Machine {
    /// The fastest that this machine can be trusted with.
    pub(super) fn detect() -> Self {
        Self { order_clock: OrderClock::detect(), barrier: AsymmetricBarrier::new() }
    }

    /// Order stamps that count 1, 2, 3, …: the same in each run of a simulation.
    pub(super) fn counting() -> Self {
        Self { order_clock: OrderClock::counter(), barrier: AsymmetricBarrier::new() }
    }
}

/// Numbers the runs of this process.
static RUNS: AtomicU32 = AtomicU32::new(0);

impl Shared {
    pub(super) fn new(
        config: WriterConfig,
        clock: Clock,
        machine: Machine,
        halt: HaltSignal,
        durable: u64,
        markers: Option<&MarkerOutlet>,
    ) -> Self {
        Self {
            names: RunNames::new(config.run_names_max),
            config,
            clock,
            order_clock: machine.order_clock,
            gate: RunGate::new(machine.barrier),
            halt,
            watermark: Watermark::new(durable),
            latest_entry: markers.map(|_| LatestEntry::new()),
            writer_core: OnceLock::new(),
            writer_thread: OnceLock::new(),
            inbox: LaneInbox::new(),
            // Relaxed: only the number matters.
            run: RUNS.fetch_add(1, Ordering::Relaxed),
            producers: Mutex::new(Producers::default()),
        }
    }

    /// True where the writer, not the producer, fills in `ts_publish`.
    pub(super) fn writer_stamps_publish_time(&self) -> bool {
        PublishTime::is_left_to_writer(&self.clock, &self.order_clock)
    }

    /// Numbers a new producer and keeps its state for whoever holds one of its tickets.
    pub(super) fn add_producer(&self, state: &Arc<LaneState>) -> u32 {
        let mut producers = self.lock_producers();
        let number = producers.next;
        producers.next += 1;
        producers.states.insert(number, Arc::clone(state));
        number
    }

    /// Forgets a producer that is gone. Everything it pushed is durable.
    pub(super) fn remove_producer(&self, number: u32) {
        self.lock_producers().states.remove(&number);
    }

    pub(super) fn ticket(&self, producer: u32, ordinal: u64) -> Ticket {
        Ticket { run: self.run, producer, ordinal }
    }

    /// True for a ticket of this run.
    pub(super) fn issued(&self, ticket: Ticket) -> bool {
        ticket.run == self.run
    }

    /// What the writer says of a ticket's producer; `None` once the producer is gone and everything
    /// it pushed is durable.
    pub(super) fn producer_of(&self, ticket: Ticket) -> Option<Arc<LaneState>> {
        self.lock_producers().states.get(&ticket.producer).cloned()
    }

    fn lock_producers(&self) -> MutexGuard<'_, Producers> {
        self.producers.lock().expect("no holder of this lock can panic")
    }

    /// The reason of a run that is halted.
    pub(crate) fn halt_reason(&self) -> HaltReason {
        self.halt.reason_given()
    }

    /// Blocks until `is_durable`, the run ends, or `timeout` has passed.
    pub(super) fn wait(
        &self,
        timeout: Duration,
        is_durable: impl Fn() -> bool,
    ) -> Result<(), WaitError> {
        if self.gate.is_forked() {
            return Err(WaitError::Forked);
        }
        // A timeout too long for the clock is none.
        let deadline = Instant::now().checked_add(timeout);
        let ended = || self.halt.is_halted() || self.gate.is_closed();
        let done = || is_durable() || ended();
        if !done() {
            // It may be asleep, and looks for work now.
            if let Some(writer) = self.writer_thread.get() {
                writer.unpark();
            }
            self.halt.parking().wait_until(deadline, done);
        }
        // Read before the last look: what was durable when the run ended counts as durable.
        let (closed, halted) = (self.gate.is_closed(), self.halt.is_halted());
        if is_durable() {
            Ok(())
        } else if halted {
            Err(WaitError::Halted(self.halt_reason()))
        } else if closed {
            Err(WaitError::Closed)
        } else {
            Err(WaitError::TimedOut { waited: timeout })
        }
    }

    /// Blocks until the message of `ticket` is durable, for at most `timeout`.
    pub(super) fn wait_durable(&self, ticket: Ticket, timeout: Duration) -> Result<(), WaitError> {
        if self.gate.is_forked() {
            return Err(WaitError::Forked);
        }
        if !self.issued(ticket) {
            return Err(WaitError::ForeignTicket);
        }
        match self.producer_of(ticket) {
            Some(state) => self.wait(timeout, || state.durable() >= ticket.ordinal),
            None => Ok(()),
        }
    }

    /// Blocks until the writer has answered or can answer no more. Halts the run when neither
    /// happens within `threshold`.
    pub(super) fn await_reply<T>(&self, reply: &Reply<T>, threshold: Duration) -> Option<T> {
        let asked = Instant::now();
        let deadline = asked.checked_add(threshold);
        let done = || reply.is_given() || self.gate.is_closing() || self.halt.is_halted();
        if !self.halt.parking().wait_until(deadline, done) {
            let stalled_for = asked.elapsed();
            self.halt.fire(HaltReason::BackpressureStall { stalled_for, threshold });
        }
        reply.take()
    }

    /// Blocks until the writer has ended, for at most `timeout`. False if it has not.
    pub(super) fn await_end(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        self.halt.parking().wait_until(deadline, || self.gate.is_closed())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { gate, halt, watermark, .. } = self;
        let mut shared = f.debug_struct("Shared");
        shared.field("gate", gate).field("halt", halt).field("watermark", watermark);
        shared.finish_non_exhaustive()
    }
}
