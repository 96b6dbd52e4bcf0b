//! The systems that are measured, and what they are called.

mod bare_write;
mod blake3;
mod fjall;
mod queued;
mod redb_rows;
mod rtrb;
mod sqlite;
mod tapline;

pub(crate) use self::tapline::program::NAME as TAPLINE_PROGRAM;

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::measure;
use crate::outcome::Outcome;
use crate::spec::{Measure, Spec};

/// A system that can be measured. In the order of the tables.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SystemId {
    /// This engine
    Tapline,
    /// nautilus-event-store, the reference; a program of its own, see perf/peers/nautilus
    Nautilus,
    /// fjall, a row an entry, behind a channel
    Fjall,
    /// `SQLite`, a row an entry, behind a channel
    Sqlite,
    /// redb used the plain way, a row an entry, behind a channel
    RedbRows,
    /// The limit of capture: the same lines pushed into a bare rtrb ring, kept nowhere
    BareRing,
    /// The limit of the disk: the same bytes in the same commits, written and synced, nothing else
    BareWrite,
    /// The limit of acknowledgement: one block written and synced for all that is pending
    BareBlock,
    /// The limit of hashing: BLAKE3 over large buffers
    Blake3,
}

impl SystemId {
    /// Those that keep entries.
    pub(crate) const DURABLE: [Self; 5] =
        [Self::Tapline, Self::Nautilus, Self::Fjall, Self::Sqlite, Self::RedbRows];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tapline => "tapline",
            Self::Nautilus => "nautilus",
            Self::Fjall => "fjall",
            Self::Sqlite => "sqlite",
            Self::RedbRows => "redb-rows",
            Self::BareRing => "bare-ring",
            Self::BareWrite => "bare-write",
            Self::BareBlock => "bare-block",
            Self::Blake3 => "blake3",
        }
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Makes a measurement in this process.
pub(crate) fn measure(spec: &Spec) -> Result<Outcome> {
    if let Measure::Record { input } = &spec.measure {
        return tapline::program::record(spec, input);
    }
    if let Measure::Recovery { bytes_file } = spec.measure {
        return tapline::recovery::measure(spec, bytes_file);
    }
    match SystemId::from_str(&spec.system, false) {
        Ok(SystemId::Tapline) => measure::run::<tapline::Tapline>(spec),
        Ok(SystemId::Fjall) => measure::run::<queued::Queued<fjall::Fjall>>(spec),
        Ok(SystemId::Sqlite) => measure::run::<queued::Queued<sqlite::Sqlite>>(spec),
        Ok(SystemId::RedbRows) => measure::run::<queued::Queued<redb_rows::RedbRows>>(spec),
        Ok(SystemId::BareRing) => measure::run::<rtrb::BareRing>(spec),
        Ok(SystemId::BareWrite) => measure::run::<bare_write::BareWrite>(spec),
        Ok(SystemId::BareBlock) => measure::run::<bare_write::BareBlock>(spec),
        Ok(SystemId::Blake3) => blake3::measure(spec),
        Ok(SystemId::Nautilus) => anyhow::bail!("nautilus is measured by a program of its own"),
        Err(error) => anyhow::bail!("no system is called {:?}: {error}", spec.system),
    }
}
