//! Who runs the writer. There is one writer; a thread of its own drives it, or whoever has
//! something for it does so on their own thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{JoinHandle, Thread};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::SpawnError;
use super::command::Command;
use super::shared::Shared;
use super::writer::{Assembler, Committer, Idle, Step, Writer, pin, sleep_as_asked};
use crate::protocol::HaltReason;
use crate::store::panic_text;
use crate::sync::{Arc, Mutex, PoisonError};

/// A handle on the engine of one run, for producers and for whoever asks something of the writer.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    commands: Sender<Command>,
    driver: Driver,
}

#[derive(Clone)]
enum Driver {
    /// A thread of its own, named `tapline-writer`.
    Thread(Thread),
    /// Whoever submits or asks. `None` once the writer has ended: the store is let go of then.
    Inline(Arc<Mutex<Option<Writer>>>),
}

/// What a writer is made of.
pub(super) struct WriterParts {
    pub(super) shared: Arc<Shared>,
    pub(super) assembler: Assembler,
    pub(super) committer: Committer,
}

impl WriterParts {
    fn writer(self, commands: Receiver<Command>) -> Writer {
        Writer::new(self.shared, self.assembler, self.committer, commands)
    }
}

impl Engine {
    /// Starts the writer thread.
    pub(super) fn on_a_thread(parts: WriterParts) -> Result<(Self, JoinHandle<()>), SpawnError> {
        let shared = Arc::clone(&parts.shared);
        // Unbounded, so that sending never blocks: every caller has a time limit of its own.
        let (commands, received) = unbounded();
        let mut writer = parts.writer(received);
        let join = std::thread::Builder::new()
            .name("tapline-writer".to_owned())
            .spawn(move || {
                let core = pin("writer", writer.config().writer_core);
                let _ = writer.shared().writer_core.set(core);
                let _ = writer.shared().writer_thread.set(std::thread::current());
                sleep_as_asked();
                run_to_the_end(&mut writer);
            })
            .map_err(SpawnError::Thread)?;
        let driver = Driver::Thread(join.thread().clone());
        Ok((Self { shared, commands, driver }, join))
    }

    /// Leaves the writer to whoever submits.
    pub(super) fn inline(parts: WriterParts) -> Self {
        let shared = Arc::clone(&parts.shared);
        let (commands, received) = unbounded();
        let writer = Arc::new(Mutex::new(Some(parts.writer(received))));
        Self { shared, commands, driver: Driver::Inline(writer) }
    }

    /// A producer has pushed something. A writer thread sees it by itself, without a system call of
    /// the producer's; inline, the producer has the writer take it now.
    #[inline]
    pub(super) fn pushed(&self) {
        if let Driver::Inline(writer) = &self.driver {
            run_until_idle(writer, &self.shared);
        }
    }

    /// True where whoever submits runs the writer.
    #[inline]
    pub(super) const fn is_inline(&self) -> bool {
        matches!(self.driver, Driver::Inline(_))
    }

    /// Has the writer look for work now. A system call where the writer thread sleeps.
    pub(super) fn wake_writer(&self) {
        match &self.driver {
            Driver::Thread(writer) => writer.unpark(),
            Driver::Inline(writer) => run_until_idle(writer, &self.shared),
        }
    }

    /// Asks something of the writer.
    pub(super) fn ask(&self, command: Command) {
        // A writer that has ended reads no command; the caller finds the gate closed.
        let _ = self.commands.send(command);
        self.wake_writer();
    }

    /// A handle on an engine whose writer the test drives.
    #[cfg(test)]
    pub(super) fn driven_by_a_test(shared: Arc<Shared>) -> (Self, Receiver<Command>) {
        let (commands, received) = unbounded();
        let driver = Driver::Thread(std::thread::current());
        (Self { shared, commands, driver }, received)
    }

    /// True on the writer's own thread, which must not wait for itself: a halt callback runs there.
    pub(super) fn is_writer_thread(&self) -> bool {
        matches!(&self.driver, Driver::Thread(writer) if writer.id() == std::thread::current().id())
    }
}

/// The writer thread.
fn run_to_the_end(writer: &mut Writer) {
    let mut idle = Idle::new(writer.config().wait);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        loop {
            match writer.step() {
                Step::Worked => idle.reset(),
                Step::Idle => idle.wait(),
                Step::Ended => return,
            }
        }
    }));
    let shared = writer.shared();
    if let Err(panic) = outcome {
        shared.halt.set(writer_died(&*panic));
    }
    // Before the store is let go of, which may hang: the node must hear of the halt at once.
    shared.halt.tell();
    writer.end();
}

/// Has the writer do all there is to do, on the calling thread.
#[cold]
fn run_until_idle(writer: &Mutex<Option<Writer>>, shared: &Shared) {
    {
        let mut slot = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = &mut *slot else { return };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            loop {
                match writer.step() {
                    Step::Worked => {}
                    Step::Idle => return Step::Idle,
                    Step::Ended => return Step::Ended,
                }
            }
        }));
        if let Err(panic) = &outcome {
            shared.halt.set(writer_died(&**panic));
        }
        if !matches!(outcome, Ok(Step::Idle)) {
            writer.end();
            *slot = None;
        }
    }
    // Without the lock: the callback may submit, ask, or drop the writer's handle.
    shared.halt.tell();
}

fn writer_died(panic: &(dyn std::any::Any + Send)) -> HaltReason {
    let text = panic_text(panic).unwrap_or("panicked without a message");
    HaltReason::WriterDied(text.to_owned())
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Thread(_) => "Thread",
            Self::Inline(_) => "Inline",
        })
    }
}
