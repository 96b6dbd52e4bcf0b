use std::thread::Thread;

use crossbeam_channel::Sender;

use super::{AnchorRequestError, CloseError, CloseReport, InlineRecord};
use crate::model::{ContentHash, SnapshotAnchor};
use crate::sync::{Arc, Mutex};

/// What the handle asks of the writer thread.
pub(super) enum Command {
    /// Commit what was submitted before, then answer with the watermark.
    Flush { reply: Reply<u64> },
    /// Commit what was submitted before, then record an anchor at `at`, or else at the watermark.
    Anchor {
        at: Option<u64>,
        blob_ref: String,
        content_hash: ContentHash,
        reply: Reply<Result<SnapshotAnchor, AnchorRequestError>>,
    },
    /// Drain, commit the final entry, seal, and end.
    Close { run_ended: InlineRecord, reply: Reply<Result<CloseReport, CloseError>> },
    /// Drain, commit, and end without a seal.
    Abandon,
}

/// The way of commands to the writer thread.
#[derive(Debug, Clone)]
pub(super) struct CommandSender {
    commands: Sender<Command>,
    writer: Thread,
}

impl CommandSender {
    pub(super) fn new(commands: Sender<Command>, writer: Thread) -> Self {
        Self { commands, writer }
    }

    pub(super) fn send(&self, command: Command) {
        // A writer that has ended reads no command; the caller finds the gate closed.
        let _ = self.commands.send(command);
        self.writer.unpark();
    }
}

/// Where the writer leaves its answer. Who waits for it waits at the run's parking, where the end of
/// the run wakes them too: a writer that ends with a command unread leaves nobody waiting.
#[derive(Debug)]
pub(super) struct Reply<T>(Arc<Mutex<Option<T>>>);

impl<T> Reply<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    pub(super) fn give(&self, answer: T) {
        *self.lock() = Some(answer);
    }

    pub(super) fn is_given(&self) -> bool {
        self.lock().is_some()
    }

    pub(super) fn take(&self) -> Option<T> {
        self.lock().take()
    }

    fn lock(&self) -> crate::sync::MutexGuard<'_, Option<T>> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
