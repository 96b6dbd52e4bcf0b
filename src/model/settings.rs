//! How settings are read: by names that are checked, and with durations that keep their precision.

use std::time::Duration;

use serde::de::{Deserializer, Error};
use serde_json::{Map, Value};

/// Reads a group of settings. Refuses a name that is none of `known`, so that a misspelt setting
/// does not silently take its default.
pub(crate) fn fields_of<'de, D: Deserializer<'de>>(
    from: D,
    known: &[&[&str]],
) -> Result<Value, D::Error> {
    let fields: Map<String, Value> = serde::Deserialize::deserialize(from)?;
    let known = || known.iter().copied().flatten().copied();
    for name in fields.keys() {
        if known().any(|known| known == name) {
            continue;
        }
        let nearest = known().min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let nearest = nearest.unwrap_or_default();
        return Err(Error::custom(format!("unknown setting {name}; the nearest is {nearest}")));
    }
    Ok(Value::Object(fields))
}

/// Refuses a field that is given and not `used`: it belongs to another variant of the setting.
pub(crate) fn check_used<E: Error>(given: &Value, used: &Value) -> Result<(), E> {
    let names = |fields: &Value| fields.as_object().cloned().unwrap_or_default();
    let used = names(used);
    let is_unused = |(name, value): &(String, Value)| !value.is_null() && !used.contains_key(name);
    match names(given).into_iter().find(is_unused) {
        Some((name, _)) => Err(Error::custom(format!("setting {name} has no use here"))),
        None => Ok(()),
    }
}

/// Implements `Serialize` and `Deserialize` for a type with `#[serde(remote = "Self")]`, so that
/// reading it refuses names that are none of its fields.
macro_rules! checked_settings {
    ($settings:ty, $known:expr) => {
        impl serde::Serialize for $settings {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                // The function that serde derives, not this one.
                Self::serialize(self, to)
            }
        }

        impl<'de> serde::Deserialize<'de> for $settings {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                use serde::de::Error;

                let given = $crate::model::settings::fields_of(from, $known)?;
                let read = Self::deserialize(&given).map_err(D::Error::custom)?;
                let used = serde_json::to_value(&read).map_err(D::Error::custom)?;
                $crate::model::settings::check_used(&given, &used)?;
                Ok(read)
            }
        }
    };
}
pub(crate) use checked_settings;

/// A duration in a setting whose name ends in `_ms`: a whole number of milliseconds, or a text with
/// a unit, as `"1500us"`.
pub(crate) mod duration_ms {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        super::write(*duration, Duration::from_millis(1), to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        super::read(from, Duration::from_millis(1))
    }
}

/// As [`duration_ms`], in microseconds, for a setting that may be absent.
pub(crate) mod optional_duration_us {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature serde's `with` asks for")]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::write(*duration, Duration::from_micros(1), to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::read_optional(from, Duration::from_micros(1))
    }
}

/// Writes a number where `duration` is a whole number of `unit`, and a text with its unit if not.
fn write<S: serde::Serializer>(
    duration: Duration,
    unit: Duration,
    to: S,
) -> Result<S::Ok, S::Error> {
    let (nanos, unit) = (duration.as_nanos(), unit.as_nanos());
    match u64::try_from(nanos / unit) {
        Ok(units) if nanos % unit == 0 => to.serialize_u64(units),
        _ if nanos % 1000 == 0 => to.serialize_str(&format!("{}us", nanos / 1000)),
        _ => to.serialize_str(&format!("{nanos}ns")),
    }
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "expected a whole number, or a text with a unit, as \"1500us\"")]
enum Written {
    Units(u64),
    Text(String),
}

fn read<'de, D: Deserializer<'de>>(from: D, unit: Duration) -> Result<Duration, D::Error> {
    parse(<Written as serde::Deserialize>::deserialize(from)?, unit).map_err(Error::custom)
}

fn read_optional<'de, D: Deserializer<'de>>(
    from: D,
    unit: Duration,
) -> Result<Option<Duration>, D::Error> {
    let written: Option<Written> = serde::Deserialize::deserialize(from)?;
    written.map(|written| parse(written, unit).map_err(Error::custom)).transpose()
}

fn parse(written: Written, unit: Duration) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 4] =
        [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];
    let (units, nanos) = match &written {
        Written::Units(units) => (Some(*units), unit.as_nanos() as u64),
        Written::Text(text) => {
            let with = UNITS.iter().find_map(|(name, nanos)| {
                let number = text.strip_suffix(name)?.trim_end();
                number.parse().ok().map(|units| (units, *nanos))
            });
            with.map_or((None, 1), |(units, nanos): (u64, u64)| (Some(units), nanos))
        }
    };
    let nanos = units.and_then(|units| units.checked_mul(nanos));
    nanos.map(Duration::from_nanos).ok_or_else(|| match written {
        Written::Units(units) => format!("{units} is too long for a duration"),
        Written::Text(text) => {
            format!("{text:?} is no duration: expected a whole number and ns, us, ms or s")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Times {
        #[serde(with = "duration_ms")]
        wait: Duration,
        #[serde(default, with = "optional_duration_us")]
        delay: Option<Duration>,
    }

    #[test]
    fn a_duration_keeps_its_precision() {
        for (wait, delay, text) in [
            (250_000_000, Some(500_000), r#"{"wait":250,"delay":500}"#),
            (1_500_000, Some(1), r#"{"wait":"1500us","delay":"1ns"}"#),
            (1_500_001, None, r#"{"wait":"1500001ns","delay":null}"#),
            (0, Some(0), r#"{"wait":0,"delay":0}"#),
        ] {
            let times =
                Times { wait: Duration::from_nanos(wait), delay: delay.map(Duration::from_nanos) };
            assert_eq!(serde_json::to_string(&times).expect("encodes"), text);
            assert_eq!(serde_json::from_str::<Times>(text).expect("decodes"), times);
        }
    }

    #[test]
    fn a_duration_is_a_number_or_has_a_unit() {
        for (text, nanos) in
            [("5", 5_000_000), ("\"5s\"", 5_000_000_000), ("\"7 ms\"", 7_000_000), ("\"9ns\"", 9)]
        {
            let times: Times = serde_json::from_str(&format!("{{\"wait\":{text}}}")).expect(text);
            assert_eq!(times.wait, Duration::from_nanos(nanos), "{text}");
        }
        for text in ["1.5", "-1", "\"5\"", "\"fast\"", "\"1.5ms\"", "\"\"", "18446744073709551615"]
        {
            let error = serde_json::from_str::<Times>(&format!("{{\"wait\":{text}}}"));
            let said = error.expect_err(text).to_string();
            assert!(
                said.contains("duration") || said.contains("expected a whole number"),
                "{said}"
            );
        }
    }
}
