//! Whole histories of a node. Each seed is one history of bursts, snapshots, disk faults, power
//! cuts, reboots, failed starts, clock jumps and retention. After each step the node is compared
//! with a model of it, and so is the state that the next start would restore. A fifth of the nodes
//! are recorders: they have no state, so retention by age and by size removes what it likes but the
//! newest run.
//!
//! The node is the real one, in inline mode and on a simulated clock. Its disk is watched, and
//! [`Volume`] says what a crash leaves of it.

use std::fmt::Debug;
use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tapline::internals::{error_chain, run_files};
use tapline::replay::StateCache;
use tapline::session::{EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions};
use tapline::store::{FileError, LogConfig, OpenSealedError, RedbBackend, open_sealed_file};
use tapline::{
    ContentHash, HaltReason, Producer, RunSession, RunStatus, SimulatedClock, UnixNanos,
};

use crate::campaign::Counts;
use crate::crash::Scratch;
use crate::log_check::{check_log, check_sealed, order_of};
use crate::model::Model;
use crate::stores::small_log;
use crate::support::{booking, instance};
use crate::tape::{Fault, Tape};
use crate::volume::{Files, Loss, Volume};

mod starts;

const START: UnixNanos = UnixNanos::new(1_700_000_000_000_000_000);
const PRODUCERS: usize = 3;
const ACCOUNTS: [&str; 4] = ["cash", "margin", "fees", "suspense"];

/// How long histories are, and whether to print their steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Telling {
    pub(crate) steps: u64,
    pub(crate) is_told: bool,
}

/// Plays the history of `seed`.
pub(crate) fn run(
    seed: u64,
    Telling { steps, is_told }: Telling,
    scratch: &Scratch,
    counts: &mut Counts,
) -> Result<(), String> {
    scratch.restore(&Files::new());
    let next_start = Scratch::new();
    let mut node = Node::new(seed, scratch, &next_start, is_told);
    node.boot().map_err(|error| format!("the first boot: {error}"))?;
    for number in 1..=steps {
        let what = node.choose();
        let lived = node.live(what).and_then(|()| node.check_next_start());
        lived.map_err(|error| format!("step {number}, {what:?}: {error}"))?;
    }
    counts.steps += steps;
    counts.reboots += node.boots - 1;
    counts.operations_under_fault += node.operations_under_fault;
    counts.fingerprint ^= node.fingerprint();
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum What {
    Submit {
        producer: usize,
        count: u64,
    },
    Snapshot,
    Read,
    SetClock {
        forward: bool,
        by: Duration,
    },
    /// From now on each disk operation takes this long.
    SlowDisk {
        by: Duration,
    },
    /// One of the next disk operations will fail.
    BreakDisk {
        after: u64,
        kind: ErrorKind,
        lasts: bool,
    },
    Seal,
    /// The run is sealed and the next one opened, in one process.
    Reopen {
        /// Somebody still reads the sealed run.
        is_read: bool,
        /// Opening seals it.
        by_open: bool,
    },
    Crash {
        power: bool,
        partial: bool,
    },
}

struct Node<'a> {
    scratch: &'a Scratch,
    /// Where the next start is tried.
    next_start: &'a Scratch,
    lot: Rng,
    clock: SimulatedClock,
    /// Of a few records, so that it is overwritten many times. Half of the nodes have none.
    log: Option<LogConfig>,
    tape: Tape,
    volume: Volume,
    running: Option<Running>,
    model: Model,
    is_broken: Option<ErrorKind>,
    /// True if only a boot may come next.
    must_crash: bool,
    boots: u64,
    operations_under_fault: u64,
    history: blake3::Hasher,
    is_told: bool,
    /// It never restores, and takes no snapshot. A fifth of the nodes.
    is_recorder: bool,
}

/// A node that is up.
struct Running {
    lifecycle: EventStoreLifecycle,
    producers: Vec<Producer>,
}

impl<'a> Node<'a> {
    fn new(seed: u64, scratch: &'a Scratch, next_start: &'a Scratch, is_told: bool) -> Self {
        Self {
            scratch,
            next_start,
            lot: Rng::with_seed(seed),
            clock: SimulatedClock::new(START),
            log: seed.is_multiple_of(2).then_some(small_log()),
            tape: Tape::default(),
            volume: Volume::default(),
            running: None,
            model: Model::default(),
            is_broken: None,
            must_crash: false,
            boots: 0,
            operations_under_fault: 0,
            history: blake3::Hasher::new(),
            is_told,
            is_recorder: seed % 5 == 1,
        }
    }

    fn choose(&mut self) -> What {
        let lot = &mut self.lot;
        if self.must_crash || self.running.is_none() {
            return What::Crash { power: lot.bool(), partial: lot.bool() };
        }
        match lot.u8(..100) {
            0..50 => {
                let count = if lot.u8(..8) == 0 { lot.u64(1..60) } else { lot.u64(1..6) };
                What::Submit { producer: lot.usize(..PRODUCERS), count }
            }
            50..62 => What::Snapshot,
            62..68 => What::Read,
            68..71 => What::SlowDisk { by: Duration::from_millis(lot.u64(1..2_000)) },
            71..78 => {
                // Mostly short, sometimes years.
                let bits = lot.u8(..42);
                let by = Duration::from_millis(lot.u64(..1 << bits));
                What::SetClock { forward: lot.bool(), by }
            }
            78..86 => {
                let kind = if lot.bool() { ErrorKind::StorageFull } else { ErrorKind::Other };
                What::BreakDisk { after: lot.u64(..60), kind, lasts: lot.bool() }
            }
            86..89 => What::Seal,
            89..92 => What::Reopen { is_read: lot.bool(), by_open: lot.bool() },
            _ => What::Crash { power: lot.bool(), partial: lot.bool() },
        }
    }

    fn live(&mut self, what: What) -> Result<(), String> {
        self.note(&what);
        match what {
            What::Submit { producer, count } => self.submit(producer, count),
            What::Snapshot => self.snapshot(),
            What::Read => self.read(),
            What::SetClock { forward, by } => {
                let (now, by) = (self.clock.now().as_u64(), by.as_nanos() as u64);
                let now = if forward { now.saturating_add(by) } else { now.saturating_sub(by) };
                self.clock.set(UnixNanos::new(now.clamp(1, 1 << 62)));
                Ok(())
            }
            What::SlowDisk { by } => {
                self.tape.slow_down(self.clock.clone(), by);
                Ok(())
            }
            What::BreakDisk { after, kind, lasts } => {
                self.tape.arm(Fault { after, kind, lasts });
                self.is_broken = Some(kind);
                Ok(())
            }
            What::Seal => self.seal(),
            What::Reopen { is_read, by_open } => self.reopen(is_read, by_open),
            What::Crash { power, partial } => self.crash(power, partial),
        }
    }

    fn submit(&mut self, producer: usize, count: u64) -> Result<(), String> {
        for _ in 0..count {
            let Some(running) = &mut self.running else { return Ok(()) };
            let account = ACCOUNTS[self.lot.usize(..ACCOUNTS.len())];
            let amount = self.model.next_amount();
            let message = booking(account, amount).order(&order_of(amount));
            let producer = &mut running.producers[producer];
            match message.with_draft(|draft| producer.submit(draft)) {
                Ok(ticket) => {
                    if !producer.durability().is_durable(ticket) {
                        return Err(format!("booking {amount} was accepted, but is not durable"));
                    }
                    self.model.booked(account, amount);
                }
                Err(error) => {
                    self.model.may_have_booked(account, amount);
                    return self.halted(&error);
                }
            }
        }
        let session = self.lifecycle()?.session().ok_or("no run is open")?;
        let (found, expected) = (session.watermark(), self.model.watermark());
        if found == expected {
            return Ok(());
        }
        Err(format!("the watermark is {found}, but {expected} entries were accepted"))
    }

    /// Something was refused. Only a broken disk may be the reason, and everybody has been told it.
    fn halted(&mut self, error: &dyn Debug) -> Result<(), String> {
        self.must_crash = true;
        let reason = self.lifecycle()?.halt().and_then(tapline::HaltSignal::reason);
        self.note(&reason.is_some());
        let is_right = match self.is_broken {
            Some(ErrorKind::StorageFull) => matches!(reason, Some(HaltReason::BackendDisk(_))),
            Some(_) => matches!(reason, Some(HaltReason::BackendError(_))),
            None => false,
        };
        let is_told = self.tape.struck() > 0 && is_right;
        if is_told { Ok(()) } else { Err(format!("{error:?}, and the reason is {reason:?}")) }
    }

    fn snapshot(&mut self) -> Result<(), String> {
        if self.is_recorder {
            return Ok(());
        }
        let blob = self.model.live.to_blob().map_err(|error| error_chain(&*error))?;
        let blob_ref = self.model.live.keep_blob(&blob).map_err(|error| error_chain(&*error))?;
        let anchorer = self.lifecycle()?.snapshot_anchorer().ok_or("no run is open")?;
        match anchorer.record(&blob_ref, ContentHash::of(&blob)) {
            Ok(anchor) if anchor.high_watermark == self.model.watermark() => Ok(()),
            Ok(anchor) => Err(format!("the anchor is {anchor:?}")),
            Err(error) => self.halted(&error),
        }
    }

    /// Checks that everything is in the log, once and in order, and is found by its key.
    fn read(&mut self) -> Result<(), String> {
        let session = self.lifecycle()?.session().ok_or("no run is open")?;
        let reader = session.reader();
        match check_log(&reader, &self.model) {
            Err(error) if self.tape.struck() == 0 => Err(error),
            _ => Ok(()),
        }
    }

    fn seal(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let path = running.lifecycle.session().map(|session| session.path().to_owned());
        running.producers.clear();
        match running.lifecycle.seal(now) {
            Ok(Some(_report)) => {
                match open_sealed_file(&path.ok_or("no run was open")?) {
                    Ok(source) => check_sealed(source, RunStatus::Ended, &self.model)?,
                    // It is sealed, but its file could not be closed. The next boot closes it.
                    Err(OpenSealedError::File(FileError::NotSealed { .. }))
                        if self.tape.struck() > 0 => {}
                    Err(error) => return Err(error_chain(&error)),
                }
            }
            Ok(None) => return Err("there was nothing to seal".to_owned()),
            Err(_) if self.tape.struck() > 0 => {}
            Err(error) => return Err(error_chain(&error)),
        }
        drop(running);
        self.reboot(Loss::Nothing)
    }

    fn reopen(&mut self, is_read: bool, by_open: bool) -> Result<(), String> {
        if self.is_broken.is_some() {
            // The sweep of this process would not see what the disk has lost.
            return self.seal();
        }
        let now = self.clock.now();
        let Some(Running { mut lifecycle, producers }) = self.running.take() else { return Ok(()) };
        drop(producers);
        let reader = lifecycle.session().map(RunSession::reader).filter(|_| is_read);
        if !by_open {
            lifecycle.seal(now).map_err(|error| error_chain(&error))?;
        }
        self.open(lifecycle)?;
        drop(reader);
        Ok(())
    }

    fn crash(&mut self, power: bool, partial: bool) -> Result<(), String> {
        let loss = match (power, partial) {
            (false, _) => Loss::Nothing,
            (true, false) => Loss::Everything,
            (true, true) => Loss::Some(self.lot.fork()),
        };
        self.reboot(loss)
    }

    /// The process is gone. Its disk is as `loss` leaves it, and the next process boots.
    fn reboot(&mut self, loss: Loss) -> Result<(), String> {
        for step in self.tape.take() {
            self.volume.apply(&step, &mut self.lot);
        }
        if self.is_broken.take().is_some() {
            self.operations_under_fault += self.tape.operations();
        }
        let files = self.volume.after(loss, &mut self.lot);
        // What the old process does to its disk while it is dropped does not reach the disk that is
        // left.
        self.running = None;
        self.tape = Tape::default();
        self.must_crash = false;
        self.scratch.restore(&files);
        self.boot()
    }

    /// One of the next operations of the disk will fail.
    fn break_disk(&mut self) {
        let lot = &mut self.lot;
        let kind = if lot.bool() { ErrorKind::StorageFull } else { ErrorKind::Other };
        let fault = Fault { after: lot.u64(..90), kind, lasts: lot.bool() };
        self.note(&fault);
        self.tape.arm(fault);
        self.is_broken = Some(kind);
    }

    fn new_lifecycle(&self) -> EventStoreLifecycle {
        let mut config = EventStoreConfig::new(self.scratch.base_dir());
        config.writer.dedup_window = 0;
        let (tape, log) = (self.tape.clone(), self.log);
        let options = LifecycleOptions {
            backend_opener: Box::new(move |config: &EventStoreConfig, _manifest| {
                let files = RedbBackend::with_disk_mode(&config.base_dir, config.disk_mode);
                Ok(Box::new(files.logged(log).probed(Arc::new(tape.clone()))))
            }),
            on_halt: Arc::new(|_| {}),
            is_inline: true,
            ..LifecycleOptions::default()
        };
        EventStoreLifecycle::new(Some(config), options)
    }

    /// Checks that the run that was left behind is recovered as a whole.
    fn sweep(&mut self, lifecycle: &mut EventStoreLifecycle) -> Result<(), String> {
        let swept = lifecycle.boot(&instance()).map_err(|error| error_chain(&error))?;
        let swept = swept.ok_or("there is no configuration")?;
        if let Some(skipped) = swept.skipped.first() {
            return Err(format!("{} was left alone: {}", skipped.path.display(), skipped.error));
        }
        let statuses: Vec<RunStatus> = swept.recovered.iter().map(|run| run.status).collect();
        for run in &swept.recovered {
            let source = open_sealed_file(&run.path).map_err(|error| error_chain(&error))?;
            check_sealed(source, run.status, &self.model)?;
        }
        if statuses.len() > 1 {
            return Err(format!("{} runs were left behind", statuses.len()));
        }
        self.note(&statuses);
        Ok(())
    }

    fn files_there(&self) -> Files {
        let paths = run_files(&self.scratch.base_dir(), &instance()).expect("it is readable");
        let read = |(_, path)| {
            let content = fs::read(&path).expect("it is readable");
            (path, content)
        };
        let logs = paths.iter().map(|(run_id, path)| (*run_id, path.with_extension("log")));
        let logs: Vec<_> = logs.filter(|(_, path)| path.exists()).collect();
        paths.into_iter().chain(logs).map(read).collect()
    }

    fn lifecycle(&self) -> Result<&EventStoreLifecycle, String> {
        Ok(&self.running.as_ref().ok_or("the node is down")?.lifecycle)
    }

    fn note(&mut self, what: &impl Debug) {
        let what = format!("{what:?}");
        if self.is_told {
            println!("{what}");
        }
        self.history.update(what.as_bytes());
    }

    /// Equal histories have equal fingerprints.
    fn fingerprint(&self) -> u64 {
        u64::from_le_bytes(self.history.finalize().as_bytes()[..8].try_into().expect("eight bytes"))
    }
}
