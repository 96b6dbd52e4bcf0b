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
use crate::runs::{ParentRestore, SweepReport, restore_parent};

/// A node's runs, one after the other, for a kernel that opens and seals them: see
/// [`KernelEventStore`]. A node without such a kernel opens a [`RunSession`].
///
/// From the first boot or open until the seal it holds the instance's folder for itself. Without a
/// configuration it is inert: nothing is opened, and nothing fails. It lives on the node's main
/// thread. Dropped with an open run, it seals the run as a last resort; a run that tells nothing of
/// its own yet, no entry and no snapshot, is left for the next start to recover.
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
    /// A lifecycle by `config`; inert without. Touches nothing yet.
    pub fn new(config: Option<EventStoreConfig>, options: LifecycleOptions) -> Self {
        Self { config, options, state: State::Idle }
    }

    /// Takes the folder of `instance_id` and seals every run that was left behind there, unless that
    /// was done since the last seal; returns what came of it. `None` without a configuration. A
    /// sweep that takes longer logs how far it is: about once a second while it checks entries, and
    /// at the few moments at which redb says so while it repairs a file before that.
    ///
    /// Where a run could not be looked into that may hold what happened last, this says so and goes
    /// on: [`SweepReport::passed_over`].
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
            // Its folder must not be given back under it.
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

    /// Restores `cache`, opens a run and takes a first snapshot, in one call:
    /// [`restore_parent_cache`](KernelEventStore::restore_parent_cache) and
    /// [`open`](KernelEventStore::open), and what makes the new run restorable by itself.
    ///
    /// Refused where nobody could look into a file that may hold what happened last. After an error
    /// no run is open and the folder is given back: the next attempt sweeps anew, and restores the
    /// same state.
    pub fn restore_and_open(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
        cache: &mut dyn StateCache,
    ) -> Result<Option<ParentRestore>, OpenError> {
        self.seal_left_over();
        let opened = self.restored_run(instance_id, components, environment, cache);
        if opened.is_err() {
            self.state = State::Idle;
        }
        let (session, restored) = opened?.unzip();
        if let Some(session) = session {
            self.state = State::Open(Box::new(session));
        }
        Ok(restored.flatten())
    }

    /// What was restored, and the run that continues it with its first snapshot taken.
    fn restored_run(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
        cache: &mut dyn StateCache,
    ) -> Result<Option<(RunSession, Option<ParentRestore>)>, OpenError> {
        self.booted(instance_id)?.map_or(Ok(()), Boot::check_whole)?;
        let restored = self.restore_parent_cache(instance_id, cache)?;
        let session = self.new_run(instance_id, components, environment)?;
        let with_snapshot = |mut session: RunSession| {
            session.take_first_snapshot(cache)?;
            Ok((session, restored))
        };
        session.map(with_snapshot).transpose()
    }

    /// A run on the folder that is held then; `None` without a configuration. What a failed attempt
    /// leaves behind is for the sweep of the next one.
    fn new_run(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
    ) -> Result<Option<RunSession>, OpenError> {
        self.booted(instance_id)?;
        let booted = std::mem::replace(&mut self.state, State::Idle);
        let (Some(config), State::Booted(boot)) = (&self.config, booted) else {
            return Ok(None);
        };
        RunSession::open(*boot, config, components, environment, &self.options).map(Some)
    }

    /// The open run; its producers and its read side.
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

    /// Lets go of the open run and of the folder, whatever comes of it.
    fn end(&mut self, ts_init: Option<UnixNanos>) -> Result<Option<CloseReport>, CloseError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle | State::Booted(_) => Ok(None),
            State::Open(session) => match ts_init {
                Some(ts_init) => session.seal_at(ts_init).map(Some),
                None => session.seal().map(Some),
            },
        }
    }

    /// Seals the run that is still open, if one is.
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
            // What it records is what the next one continues.
            return Err(OpenError::RunOpen { open: session.run_id() });
        }
        let parent = self.booted(instance_id)?.and_then(|boot| boot.parent_run_id);
        let Some((config, parent)) = self.config.as_ref().zip(parent) else {
            return Ok(None);
        };
        Ok(Some(restore_parent(&config.base_dir, instance_id, parent, cache)?))
    }

    fn open(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
    ) -> Result<(), OpenError> {
        self.seal_left_over();
        if let Some(session) = self.new_run(instance_id, components, environment)? {
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
        self.session().map(|session| session.writer().snapshot_anchorer())
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
        // Until here what was accepted counts too, not only what is durable. A halt has its own end.
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

/// A seal that nobody asked for: its report has nowhere else to go.
fn log_seal(report: &CloseReport) {
    let CloseReport { watermark, root, manifest, .. } = report;
    tracing::info!("run {} sealed at entry {watermark}, root {root}", manifest.run_id);
}
