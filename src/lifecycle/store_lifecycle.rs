use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::session::NewRun;
use super::{
    Environment, EventStoreConfig, KernelEventStore, LifecycleOptions, OpenError, RunSession,
};
use crate::bus::{MessageBus, TapId};
use crate::capture::{BusCaptureAdapter, EncoderRegistry};
use crate::engine::{CloseError, CloseReport, ProducerError, SnapshotAnchorer};
use crate::markers::MarkerScope;
use crate::model::{InstanceId, REPLAY_FLAG, RegisteredComponents, RunId, UnixNanos};
use crate::protocol::HaltSignal;
use crate::replay::StateCache;
use crate::runs::{
    InstanceLock, ParentRestore, SweepError, SweepReport, check_replay_run, restore_parent, sweep,
};

/// A node's runs, one after the other: sweeps up what was left behind, opens, and seals.
///
/// From the first boot or open until the seal it holds the instance's folder for itself. Without a
/// configuration it is inert: nothing is opened, and nothing fails. Lives on the node's main thread;
/// producers and anchorers go to the others. Dropped with an open run, it seals the run as a last resort.
pub struct EventStoreLifecycle {
    config: Option<EventStoreConfig>,
    options: LifecycleOptions,
    boot: Option<Boot>,
    open: Option<OpenRun>,
}

/// What was found when the instance's folder was taken.
struct Boot {
    instance_id: InstanceId,
    sweep: SweepReport,
    /// What the next run continues from.
    parent_run_id: Option<RunId>,
    /// Given back when all else is done.
    _lock: InstanceLock,
}

/// The feature flag of a run that took the place of one that nobody could look into, with its id behind a `=`.
const PASSED_OVER_FLAG: &str = "passed-over";

struct OpenRun {
    session: RunSession,
    halt: HaltSignal,
    registry: Arc<EncoderRegistry>,
    /// The taps it installed.
    tapped: Vec<(Weak<MessageBus>, TapId)>,
}

impl EventStoreLifecycle {
    /// A lifecycle by `config`; inert without. Touches nothing yet.
    pub fn new(config: Option<EventStoreConfig>, options: LifecycleOptions) -> Self {
        Self { config, options, boot: None, open: None }
    }

    /// Takes the folder of `instance_id` and seals every run that was left behind there, unless that was
    /// done since the last seal; returns what came of it. `None` without a configuration. A sweep that takes
    /// longer logs how far it is: about once a second while it checks entries, and at the few moments at which redb
    /// says so while it repairs a file before that.
    ///
    /// Where a run could not be looked into that may hold what happened last, this says so and goes on:
    /// [`SweepReport::passed_over`].
    pub fn boot(&mut self, instance_id: &InstanceId) -> Result<Option<&SweepReport>, OpenError> {
        let Some(config) = &self.config else {
            return Ok(None);
        };
        if self.boot.as_ref().is_none_or(|boot| boot.instance_id != *instance_id) {
            if let Some(open) = &self.open {
                // Its folder must not be given back under it.
                return Err(OpenError::RunOpen { open: open.session.run_id() });
            }
            config.validate()?;
            self.boot = None;
            self.boot = Some(Boot::new(config, instance_id)?);
        }
        Ok(self.boot.as_ref().map(|boot| &boot.sweep))
    }

    /// The open run; its producers and its read side.
    pub fn session(&self) -> Option<&RunSession> {
        self.open.as_ref().map(|open| &open.session)
    }

    /// The open run's halt signal.
    pub fn halt(&self) -> Option<&HaltSignal> {
        self.open.as_ref().map(|open| &open.halt)
    }

    fn open_booted(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
    ) -> Result<(), OpenError> {
        let (Some(config), Some(boot)) = (&self.config, &self.boot) else {
            return Ok(());
        };
        let registry = (self.options.encoder_registry)().map_err(OpenError::Encoders)?;
        let markers = self.marker_scope(config, &registry);
        let store = (self.options.backend_opener)(config).map_err(OpenError::Backend)?;
        let on_halt = Arc::clone(&self.options.on_halt);
        let halt = HaltSignal::with_callback(move |reason| on_halt(reason));
        let new = NewRun {
            instance_id: instance_id.clone(),
            components,
            clock: environment.clock(),
            halt: halt.clone(),
            parent_run_id: boot.parent_run_id,
            newest_run_id: boot.sweep.newest_run_id,
            flags: boot.flags(config),
            is_inline: self.options.is_inline,
            markers: markers.map(|scope| (scope, &*self.options.marker_opener)),
        };
        let session = RunSession::open_on(store, config, new)?;
        let registry = Arc::new(registry);
        self.open = Some(OpenRun { session, halt, registry, tapped: Vec::new() });
        Ok(())
    }

    /// What is marked of market data. Without extractors nothing is, and the run is recorded all the same.
    fn marker_scope(
        &self,
        config: &EventStoreConfig,
        encoders: &EncoderRegistry,
    ) -> Option<MarkerScope> {
        let markers = config.data_markers.as_ref()?;
        match (self.options.extractor_registry)() {
            Ok(extractors) => {
                Some(MarkerScope::new(extractors, |message| encoders.has(message), markers))
            }
            Err(error) => {
                tracing::warn!("no data markers are recorded: {error}");
                None
            }
        }
    }

    /// Lets go of the open run, whatever comes of it.
    fn end(&mut self, ts_init: Option<UnixNanos>) -> Result<Option<CloseReport>, CloseError> {
        let sealed = match self.open.take() {
            None => Ok(None),
            Some(open) => open.end(ts_init).map(Some),
        };
        self.boot = None;
        sealed
    }
}

impl Boot {
    fn new(config: &EventStoreConfig, instance_id: &InstanceId) -> Result<Self, OpenError> {
        let base_dir: &Path = &config.base_dir;
        let lock = InstanceLock::acquire(base_dir, instance_id).map_err(SweepError::from)?;
        let sweep = sweep(base_dir, instance_id, config.disk_mode, |progress| {
            let (path, scanned) = (progress.path.display(), progress.entries_scanned);
            tracing::info!("recovering {path}: {scanned} entries scanned");
        })?;
        for skipped in &sweep.skipped {
            tracing::warn!("{} is left alone: {}", skipped.path.display(), skipped.error);
        }
        let parent_run_id = match config.replay_from_run_id {
            Some(run_id) => {
                check_replay_run(base_dir, instance_id, run_id)?;
                Some(run_id)
            }
            None => sweep.parent_run_id,
        };
        let instance_id = instance_id.clone();
        let boot = Self { instance_id, sweep, parent_run_id, _lock: lock };
        for run_id in boot.passed_over(config) {
            tracing::error!(
                "run {run_id} cannot be looked into, and may hold what happened last: \
                 the next run does not continue from it, and once that is open none will"
            );
        }
        Ok(boot)
    }

    /// The runs whose place the one takes that opens. A node that replays takes nobody's.
    fn passed_over(&self, config: &EventStoreConfig) -> &[RunId] {
        let is_replay = config.replay_from_run_id.is_some();
        if is_replay { &[] } else { &self.sweep.passed_over }
    }

    /// What the manifest of the next run says of how it began.
    fn flags(&self, config: &EventStoreConfig) -> Vec<String> {
        let replay = config.replay_from_run_id.map(|_| REPLAY_FLAG.to_owned());
        let passed_over = self.passed_over(config).iter();
        let passed_over = passed_over.map(|run_id| format!("{PASSED_OVER_FLAG}={run_id}"));
        replay.into_iter().chain(passed_over).collect()
    }
}

impl OpenRun {
    fn adapter(&self) -> Result<BusCaptureAdapter, ProducerError> {
        let producer = self.session.producers().producer()?;
        let adapter = BusCaptureAdapter::new(Arc::clone(&self.registry), producer);
        Ok(match self.session.marker_tap() {
            Some(markers) => adapter.marking(markers),
            None => adapter,
        })
    }

    fn end(self, ts_init: Option<UnixNanos>) -> Result<CloseReport, CloseError> {
        for (bus, tap) in &self.tapped {
            if let Some(bus) = bus.upgrade() {
                bus.remove_tap(*tap);
            }
        }
        if let Some(reason) = self.halt.reason() {
            return Err(CloseError::Halted(reason));
        }
        match ts_init {
            Some(ts_init) => self.session.seal_at(ts_init),
            None => self.session.seal(),
        }
    }
}

impl KernelEventStore for EventStoreLifecycle {
    fn restore_parent_cache(
        &mut self,
        instance_id: &InstanceId,
        cache: &mut dyn StateCache,
    ) -> Result<Option<ParentRestore>, OpenError> {
        if let Some(open) = &self.open {
            // What it recorded is what the next one continues.
            return Err(OpenError::RunOpen { open: open.session.run_id() });
        }
        self.boot(instance_id)?;
        let (Some(config), Some(boot)) = (&self.config, &self.boot) else {
            return Ok(None);
        };
        let restore = |run_id| restore_parent(&config.base_dir, instance_id, run_id, cache);
        Ok(boot.parent_run_id.map(restore).transpose()?)
    }

    fn open(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
    ) -> Result<(), OpenError> {
        if self.open.is_some() {
            match self.end(None) {
                Ok(report) => report.iter().for_each(log_seal),
                Err(error) => {
                    tracing::warn!("the run that was open is left for the sweep: {error}");
                }
            }
        }
        self.boot(instance_id)?;
        let opened = self.open_booted(instance_id, components, environment);
        if opened.is_err() {
            // What the attempt may have left behind is for the sweep of the next one.
            self.boot = None;
        }
        opened
    }

    fn tap(&mut self, bus: &Rc<MessageBus>) -> Result<(), ProducerError> {
        match &mut self.open {
            Some(open) => {
                bus.set_tap(Box::new(open.adapter()?));
                open.tapped.extend(bus.tap_id().map(|tap| (Rc::downgrade(bus), tap)));
                Ok(())
            }
            None if self.config.is_some() => Err(ProducerError::Closed),
            None => Ok(()),
        }
    }

    fn adapter(&self) -> Result<Option<BusCaptureAdapter>, ProducerError> {
        match &self.open {
            Some(open) => open.adapter().map(Some),
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
        let open = self.session().map(RunSession::parent_run_id);
        open.unwrap_or_else(|| self.boot.as_ref().and_then(|boot| boot.parent_run_id))
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
        match self.end(None) {
            Ok(report) => report.iter().for_each(log_seal),
            Err(error) => {
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
