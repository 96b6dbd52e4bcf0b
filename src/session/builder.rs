use std::sync::Arc;

use super::boot::Boot;
use super::{Environment, EventStoreConfig, LifecycleOptions, OpenError, RunSession};
use crate::capture::EncoderRegistry;
use crate::markers::ExtractorRegistry;
use crate::model::{InstanceId, RegisteredComponents};
use crate::protocol::HaltReason;
use crate::replay::StateCache;
use crate::runs::ParentRestore;

/// Opens a run safely, which is also the shortest way. Made by [`RunSession::builder`].
///
/// Opening locks the instance's folder, recovers and seals what a crash left there, and links the
/// new run to the one it continues. [`restore_and_open`](Self::restore_and_open) also restores the
/// node's state and takes the first snapshot.
#[must_use = "a run is opened by `open` or `restore_and_open`"]
pub struct SessionBuilder {
    config: EventStoreConfig,
    instance_id: InstanceId,
    components: RegisteredComponents,
    environment: Environment,
    options: LifecycleOptions,
    starts_fresh: bool,
}

impl RunSession {
    /// Begins to open a run of `instance_id`. [`SessionBuilder`] has the settings.
    pub fn builder(config: EventStoreConfig, instance_id: InstanceId) -> SessionBuilder {
        SessionBuilder::new(config, instance_id)
    }
}

impl SessionBuilder {
    fn new(config: EventStoreConfig, instance_id: InstanceId) -> Self {
        Self {
            config,
            instance_id,
            components: RegisteredComponents::default(),
            environment: Environment::Live,
            options: LifecycleOptions::default(),
            starts_fresh: false,
        }
    }

    /// Which message types the taps capture, and how. Default: none.
    pub fn encoders(mut self, registry: EncoderRegistry) -> Self {
        self.options.encoder_registry = Box::new(move || Ok(registry.clone()));
        self
    }

    /// Which market data is marked. Used if the configuration has `data_markers`. Default: none.
    pub fn extractors(mut self, registry: ExtractorRegistry) -> Self {
        self.options.extractor_registry = Box::new(move |_classes| Ok(registry.clone()));
        self
    }

    /// What to do if the run halts. Called once, see
    /// [`HaltSignal::with_callback`](crate::HaltSignal::with_callback). Default: the reason is
    /// logged.
    pub fn on_halt(mut self, on_halt: impl Fn(&HaltReason) + Send + Sync + 'static) -> Self {
        self.options.on_halt = Arc::new(on_halt);
        self
    }

    /// What is registered with the node. It goes into the run's manifest and first entry. Default:
    /// nothing.
    pub fn components(self, components: RegisteredComponents) -> Self {
        Self { components, ..self }
    }

    /// Where the node runs, which decides its clock. Default: live.
    pub fn environment(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }

    /// Sets everything else that the node's code decides.
    pub fn options(mut self, set: impl FnOnce(&mut LifecycleOptions)) -> Self {
        set(&mut self.options);
        self
    }

    /// Continues no earlier run, even if there are some: the node begins with an empty state on
    /// purpose. The run's manifest says so.
    pub fn fresh_start(self) -> Self {
        Self { starts_fresh: true, ..self }
    }

    /// Opens the run. `RunStarted` is durable when this returns.
    ///
    /// Blocks while it recovers what a crash left behind, and then for at most
    /// `run_started_timeout`, also where the store hangs.
    pub fn open(self) -> Result<RunSession, OpenError> {
        let boot = self.boot()?;
        let Self { config, components, environment, options, .. } = self;
        RunSession::open(boot, &config, components, &environment, &options)
    }

    /// Brings `cache` to the node's last state, opens the run, and takes a first snapshot. From
    /// then on the run can be restored without the runs before it. Returns the run and what was
    /// restored; `None` if the node has no earlier run.
    ///
    /// The state is that of the newest sound run and of those it continues, back to the nearest
    /// snapshot, however they ended. Nothing is opened if any part of it cannot be read, or if a
    /// newer run's file cannot be looked into. Then repair the file that the error names, or begin
    /// with an empty state by [`fresh_start`](Self::fresh_start). After an error the cache must not
    /// be used. If the new run fails on the way, the next start recovers it and restores the same
    /// state.
    pub fn restore_and_open(
        self,
        cache: &mut dyn StateCache,
    ) -> Result<(RunSession, Option<ParentRestore>), OpenError> {
        let boot = self.boot()?;
        let Self { config, components, environment, options, .. } = self;
        RunSession::restore_and_open(boot, &config, components, &environment, &options, cache)
    }

    fn boot(&self) -> Result<Boot, OpenError> {
        let mut boot = Boot::new(&self.config, &self.instance_id)?;
        if self.starts_fresh {
            boot.start_fresh();
        }
        Ok(boot)
    }
}
