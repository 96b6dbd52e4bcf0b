use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a key names: an order by the client's id, an order by the venue's id, or a kind that the
/// user registered.
///
/// Numbers below 16 are built in. Registered kinds count from 16, in the order of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexKind(u16);

impl IndexKind {
    /// The id an order got from the client, named `client_order_id`.
    pub const CLIENT_ORDER_ID: Self = Self(1);
    /// The id an order got from the venue, named `venue_order_id`.
    pub const VENUE_ORDER_ID: Self = Self(2);

    const FIRST_REGISTERED: u16 = 16;

    /// The kind with this number, as it stands in a record.
    pub const fn from_u16(number: u16) -> Self {
        Self(number)
    }

    /// The number that stands for this kind in a record.
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

/// The kinds of a run, by name. The run's manifest has them, so that a file explains itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, u16>", into = "BTreeMap<String, u16>")]
pub struct IndexKinds {
    by_name: BTreeMap<String, u16>,
}

/// Why a kind could not be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexKindError {
    /// The name does not fit the rule for names.
    #[error(
        "index kind name {name:?} must have 1 to 64 characters out of a-z, 0-9 and '_', beginning with a letter"
    )]
    InvalidName {
        /// The name as given.
        name: String,
    },
    /// The name is taken.
    #[error("index kind {name:?} is registered already")]
    Duplicate {
        /// The name as given.
        name: String,
    },
    /// There is no number left.
    #[error("no more than {max} index kinds can be registered in one run")]
    TooMany {
        /// The largest possible count.
        max: usize,
    },
}

impl Default for IndexKinds {
    fn default() -> Self {
        let built_in = [
            ("client_order_id", IndexKind::CLIENT_ORDER_ID),
            ("venue_order_id", IndexKind::VENUE_ORDER_ID),
        ];
        Self {
            by_name: built_in.into_iter().map(|(name, kind)| (name.to_owned(), kind.0)).collect(),
        }
    }
}

impl IndexKinds {
    const REGISTERED_MAX: usize = (u16::MAX - IndexKind::FIRST_REGISTERED) as usize;

    /// Registers a further kind and returns it.
    pub fn register(&mut self, name: &str) -> Result<IndexKind, IndexKindError> {
        if !is_kind_name(name) {
            return Err(IndexKindError::InvalidName { name: name.to_owned() });
        }
        if self.by_name.contains_key(name) {
            return Err(IndexKindError::Duplicate { name: name.to_owned() });
        }
        let highest = self.by_name.values().copied().max().unwrap_or(0);
        let number = highest.saturating_add(1).max(IndexKind::FIRST_REGISTERED);
        if number == u16::MAX {
            return Err(IndexKindError::TooMany { max: Self::REGISTERED_MAX });
        }
        self.by_name.insert(name.to_owned(), number);
        Ok(IndexKind(number))
    }

    /// The kind of this name.
    pub fn get(&self, name: &str) -> Option<IndexKind> {
        self.by_name.get(name).map(|number| IndexKind(*number))
    }

    /// The name of this kind.
    pub fn name(&self, kind: IndexKind) -> Option<&str> {
        self.by_name.iter().find(|(_, number)| **number == kind.0).map(|(name, _)| name.as_str())
    }

    /// All names with their kinds, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, IndexKind)> {
        self.by_name.iter().map(|(name, number)| (name.as_str(), IndexKind(*number)))
    }
}

fn is_kind_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl TryFrom<BTreeMap<String, u16>> for IndexKinds {
    type Error = IndexKindError;

    fn try_from(by_name: BTreeMap<String, u16>) -> Result<Self, Self::Error> {
        let mut seen = std::collections::BTreeSet::new();
        for (name, number) in &by_name {
            if !is_kind_name(name) {
                return Err(IndexKindError::InvalidName { name: name.clone() });
            }
            if !seen.insert(number) {
                return Err(IndexKindError::Duplicate { name: name.clone() });
            }
        }
        Ok(Self { by_name })
    }
}

impl From<IndexKinds> for BTreeMap<String, u16> {
    fn from(kinds: IndexKinds) -> Self {
        kinds.by_name
    }
}

impl fmt::Display for IndexKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CLIENT_ORDER_ID => f.write_str("client_order_id"),
            Self::VENUE_ORDER_ID => f.write_str("venue_order_id"),
            Self(number) => write!(f, "kind {number}"),
        }
    }
}
