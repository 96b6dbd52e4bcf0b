use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Ids of a node's parts with the hashes of their configurations, in the order in which they were
/// inserted. Serializes as a map in this order.
///
/// JSON keeps the order. TOML keeps it if the crate `toml` reads with its feature `preserve_order`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentMap(Vec<(String, String)>);

impl ComponentMap {
    /// Adds a part at the end. A part that is there already keeps its place. Returns the hash that
    /// it had.
    pub fn insert(
        &mut self,
        id: impl Into<String>,
        config_hash: impl Into<String>,
    ) -> Option<String> {
        let (id, config_hash) = (id.into(), config_hash.into());
        if let Some((_, hash)) = self.0.iter_mut().find(|(known, _)| *known == id) {
            return Some(std::mem::replace(hash, config_hash));
        }
        self.0.push((id, config_hash));
        None
    }

    /// The hash of the part `id`.
    pub fn get(&self, id: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == id).map(|(_, hash)| hash)
    }

    /// All parts, in the order in which they were inserted.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + ExactSizeIterator {
        self.0.iter().map(|(id, hash)| (&**id, &**hash))
    }
}

/// The last of several hashes for one id counts.
impl<I: Into<String>, H: Into<String>> FromIterator<(I, H)> for ComponentMap {
    fn from_iter<T: IntoIterator<Item = (I, H)>>(parts: T) -> Self {
        let mut map = Self::default();
        for (id, hash) in parts {
            map.insert(id, hash);
        }
        map
    }
}

impl<I: Into<String>, H: Into<String>, const N: usize> From<[(I, H); N]> for ComponentMap {
    fn from(parts: [(I, H); N]) -> Self {
        parts.into_iter().collect()
    }
}

impl Serialize for ComponentMap {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for ComponentMap {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = ComponentMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from ids to hashes")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ComponentMap, M::Error> {
                // Not through `insert`, which looks through all parts: whoever wrote the map has
                // no id twice.
                let mut parts = Vec::new();
                while let Some(part) = map.next_entry()? {
                    parts.push(part);
                }
                Ok(ComponentMap(parts))
            }
        }

        from.deserialize_map(Parts)
    }
}
