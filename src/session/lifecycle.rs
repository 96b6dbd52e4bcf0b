use std::rc::Rc;

use super::boot::Boot;
use super::{
    Environment, EventStoreConfig, KernelEventStore, LifecycleOptions, OpenError, RunSession,
};
use crate::bus::MessageBus;
use crate::capture::BusCaptureAdapter;
use crate::engine::{CloseError, CloseReport, ProducerError, SnapshotAnchorer};
use crate::model::{InstanceId, RegisteredComponents, RunId, UnixNanos, error_chain};
use crate::protocol::HaltSignal;
use crate::replay::StateCache;
use crate::runs::{ParentRestore, SweepReport};

/// A node's runs, one after the other, for a kernel that opens and seals them: see
/// [`KernelEventStore`]. A node without such a kernel opens a [`RunSession`].
///
/// It holds the instance's folder from the first boot or open until the seal. Without a
/// configuration it does nothing, and nothing fails. It lives on the node's main thread. Dropped
/// with an open run, it seals the run. But a run without entries of its own and without a snapshot
/// is left for the next start to recover.
pub struct EventStoreLifecycle {
    config: Option<EventStoreConfig>,
    options: LifecycleOptions,
    state: State,
}

enum State {
    /// Nothing is held.
    Idle,
    /// The instance's folder is held for the next run.
    Booted(Box<Boot>),
    /// A run is being recorded.
    Open(Box<RunSession>),
}

impl EventStoreLifecycle {
    /// A lifecycle with `config`. Without one it does nothing. Does not touch the disk yet.
    pub fn new(config: Option<EventStoreConfig>, options: LifecycleOptions) -> Self {
        Self { config, options, state: State::Idle }
    }

    /// Locks the folder of `instance_id` and seals every run that was left behind there, unless
    /// that was done since the last seal. Returns the result; `None` without a configuration. A
    /// long sweep logs its progress: about once a second while it checks entries, and at the few
    /// moments at which redb reports it while it repairs a file.
    ///
    /// If a run that may hold what happened last cannot be continued, this goes on
    /// ([`SweepReport::passed_over`]), but restoring and opening refuse.
    pub fn boot(&mut self, instance_id: &InstanceId) -> Result<Option<&SweepReport>, OpenError> {
        Ok(self.booted(instance_id)?.map(|boot| &boot.sweep))
    }

    fn booted(&mut self, instance_id: &InstanceId) -> Result<Option<&Boot>, OpenError> {
        let Some(config) = &self.config else {
            return Ok(None);
        };
        match &self.state {
            State::Booted(boot) if boot.instance_id == *instance_id => {}
            State::Open(session) if session.boot().instance_id == *instance_id => {}
            // An open run needs its folder.
            State::Open(session) => return Err(OpenError::RunOpen { open: session.run_id() }),
            State::Booted(_) | State::Idle => {
                self.state = State::Idle;
                self.state = State::Booted(Box::new(Boot::new(config, instance_id)?));
            }
        }
        Ok(self.boot_held())
    }

    fn boot_held(&self) -> Option<&Boot> {
        match &self.state {
            State::Booted(boot) => Some(boot),
            State::Open(session) => Some(session.boot()),
            State::Idle => None,
        }
    }

    /// Restores `cache`, opens a run and takes a first snapshot, in one call. Does the work of
    /// [`restore_parent_cache`](KernelEventStore::restore_parent_cache) and
    /// [`open`](KernelEventStore::open), and makes the new run restorable by itself.
    ///
    /// Refused if a newer run cannot be continued (see
    /// [`OnUnreadableRun`](crate::OnUnreadableRun)). After an error no run is open and
    /// the folder is released: the next attempt sweeps again and restores the same state.
    pub fn restore_and_open(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
        cache: &mut dyn StateCache,
    ) -> Result<Option<ParentRestore>, OpenError> {
        self.seal_left_over();
        let Some((boot, config)) = self.take_boot(instance_id)?.zip(self.config.as_ref()) else {
            return Ok(None);
        };
        let options = &self.options;
        let (session, restored) =
            RunSession::restore_and_open(boot, config, components, environment, options, cache)?;
        self.state = State::Open(Box::new(session));
        Ok(restored)
    }

    /// The folder for the next run; `None` without a configuration. If the run does not open, the
    /// folder is released, and the next attempt sweeps again.
    fn take_boot(&mut self, instance_id: &InstanceId) -> Result<Option<Boot>, OpenError> {
        self.booted(instance_id)?;
        Ok(match std::mem::replace(&mut self.state, State::Idle) {
            State::Booted(boot) => Some(*boot),
            State::Idle | State::Open(_) => None,
        })
    }

    /// The open run, with its producers and its read side.
    pub fn session(&self) -> Option<&RunSession> {
        match &self.state {
            State::Open(session) => Some(session),
            State::Idle | State::Booted(_) => None,
        }
    }

    /// The open run's halt signal.
    pub fn halt(&self) -> Option<&HaltSignal> {
        self.session().map(RunSession::halt)
    }

    /// Closes the open run and releases the folder, even on errors.
    fn end(&mut self, ts_init: Option<UnixNanos>) -> Result<Option<CloseReport>, CloseError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle | State::Booted(_) => Ok(None),
            State::Open(session) => match ts_init {
                Some(ts_init) => session.seal_at(ts_init).map(Some),
                None => session.seal().map(Some),
            },
        }
    }

    /// Seals a run that is still open.
    fn seal_left_over(&mut self) {
        if let State::Open(_) = &self.state {
            match self.end(None) {
                Ok(report) => report.iter().for_each(log_seal),
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::warn!("the run that was open is left for the sweep: {error}");
                }
            }
        }
    }
}

impl KernelEventStore for EventStoreLifecycle {
    fn restore_parent_cache(
        &mut self,
        instance_id: &InstanceId,
        cache: &mut dyn StateCache,
    ) -> Result<Option<ParentRestore>, OpenError> {
        if let State::Open(session) = &self.state {
            // The next run will continue this open one, so its state is not complete yet.
            return Err(OpenError::RunOpen { open: session.run_id() });
        }
        self.booted(instance_id)?;
        let (State::Booted(boot), Some(config)) = (&mut self.state, &self.config) else {
            return Ok(None);
        };
        boot.check_whole(config)?;
        Ok(boot.restore(config, cache)?)
    }

    fn open(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
    ) -> Result<(), OpenError> {
        self.seal_left_over();
        if let Some((boot, config)) = self.take_boot(instance_id)?.zip(self.config.as_ref()) {
            let session = RunSession::open(boot, config, components, environment, &self.options)?;
            self.state = State::Open(Box::new(session));
        }
        Ok(())
    }

    fn tap(&mut self, bus: &Rc<MessageBus>) -> Result<(), ProducerError> {
        match self.session() {
            Some(session) => session.tap(bus).map(drop),
            None if self.config.is_some() => Err(ProducerError::Closed),
            None => Ok(()),
        }
    }

    fn adapter(&self) -> Result<Option<BusCaptureAdapter>, ProducerError> {
        match self.session() {
            Some(session) => session.adapter().map(Some),
            None if self.config.is_some() => Err(ProducerError::Closed),
            None => Ok(None),
        }
    }

    fn snapshot_anchorer(&self) -> Option<SnapshotAnchorer> {
        self.session().map(RunSession::snapshot_anchorer)
    }

    fn seal(&mut self, ts_init: UnixNanos) -> Result<Option<CloseReport>, CloseError> {
        self.end(Some(ts_init))
    }

    fn run_id(&self) -> Option<RunId> {
        self.session().map(RunSession::run_id)
    }

    fn parent_run_id(&self) -> Option<RunId> {
        match &self.state {
            State::Idle => None,
            State::Booted(boot) => boot.parent_run_id,
            State::Open(session) => session.parent_run_id(),
        }
    }

    fn is_event_store_replay_configured(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.replay_from_run_id.is_some())
    }

    fn is_halted(&self) -> bool {
        self.halt().is_some_and(HaltSignal::is_halted)
    }
}

impl Drop for EventStoreLifecycle {
    fn drop(&mut self) {
        let State::Open(session) = &self.state else { return };
        // Waits for everything accepted so far, not only for what is durable already. A halt ends
        // this at once.
        let _ = session.flush(session.close_timeout());
        if session.is_empty() {
            tracing::warn!("run {} holds nothing yet and is not sealed", session.run_id());
            return;
        }
        match self.end(None) {
            Ok(report) => report.iter().for_each(log_seal),
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!("the run was not sealed: {error}; the next boot will recover it");
            }
        }
    }
}

/// Logs the report of a seal that nobody requested.
fn log_seal(report: &CloseReport) {
    let CloseReport { watermark, root, manifest, .. } = report;
    tracing::info!("run {} sealed at entry {watermark}, root {root}", manifest.run_id);
}
