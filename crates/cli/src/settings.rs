//! The engine's settings as a configuration file and the environment give them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use tapline::session::EventStoreConfig;

use super::error::CliError;

/// What the variables of the settings begin with.
const PREFIX: &str = "TAPLINE_";

/// Variables that begin like settings, and belong to this project's tests and tools.
const NO_SETTINGS: &[&str] = &[
    "TAPLINE_BLESS",
    "TAPLINE_CHAOS_ROUNDS",
    "TAPLINE_KILL_ROUNDS",
    "TAPLINE_NODE_KILL_ROUNDS",
    "TAPLINE_SHARED_DATA",
    "TAPLINE_STRESS_DIVISOR",
    "TAPLINE_TAMPER",
    "TAPLINE_TAMPER_SEED",
    "TAPLINE_TEST_FOLDER",
    "TAPLINE_TEST_STEP",
];

/// Longer than a live node would allow: what the program records can wait for a slow disk.
const HALT_THRESHOLD: Duration = Duration::from_secs(10);

/// Settings, and where they come from.
pub(super) struct Settings {
    pub(super) config: EventStoreConfig,
    /// By the name of the setting: the place in the file, or the variables.
    origins: BTreeMap<String, String>,
}

/// One setting from one place.
struct Given {
    name: String,
    origin: String,
    value: Value,
    /// What else `value` may mean: a variable does not say whether it is a text or a number.
    or_text: Option<Value>,
}

impl Settings {
    /// The settings of this process: from its environment, then from `file`, then the defaults.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, CliError> {
        let mut given = file.map(from_file).transpose()?.unwrap_or_default();
        given.extend(from_variables(std::env::vars_os())?);
        Self::of(given)
    }

    fn of(given: Vec<Given>) -> Result<Self, CliError> {
        let mut config = EventStoreConfig::new("./runs");
        config.writer.halt_threshold = HALT_THRESHOLD;
        let mut all = serde_json::to_value(&config).expect("settings are plain data");
        let mut origins = BTreeMap::new();
        // One at a time, so that an error is known to come from the one that was added last.
        for Given { name, origin, value, or_text } in given {
            let with = |value: Value| {
                let mut all = all.clone();
                merge(&mut all, Value::Object(Map::from_iter([(name.clone(), value)])));
                let config: EventStoreConfig = serde_json::from_value(all.clone())?;
                Ok::<_, serde_json::Error>((all, config))
            };
            let as_text = || or_text.and_then(|text| with(text).ok());
            (all, config) =
                with(value).or_else(|error| as_text().ok_or(error)).map_err(|error| match error
                    .to_string()
                {
                    said if said.contains(&name) => CliError::Usage(format!("{origin}: {said}")),
                    said => CliError::Usage(format!("{origin}: setting {name}: {said}")),
                })?;
            origins.insert(name, origin);
        }
        Ok(Self { config, origins })
    }

    /// Checks `config`, which was made from these settings, and says where a bad value is from.
    pub(super) fn check(&self, config: &EventStoreConfig) -> Result<(), CliError> {
        config.validate().map_err(|error| {
            let name = error.field.split('.').next().unwrap_or_default();
            match self.origins.get(name) {
                Some(origin) => CliError::Usage(format!("{origin}: {error}")),
                None => CliError::Usage(error.to_string()),
            }
        })
    }
}

/// Puts `over` over `under`, field by field. A variant takes the place of another one as a whole.
fn merge(under: &mut Value, over: Value) {
    let is_another = |under: &Map<String, Value>, over: &Map<String, Value>| {
        let differs =
            |tag: &&str| over.get(*tag).is_some_and(|tag_over| under.get(*tag) != Some(tag_over));
        ["kind", "mode"].iter().any(differs)
    };
    match (under, over) {
        (Value::Object(under), Value::Object(over)) if !is_another(under, &over) => {
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

fn from_file(path: &Path) -> Result<Vec<Given>, CliError> {
    let shown = path.display().to_string();
    let failed = |source| CliError::Input { path: shown.clone(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let parsed = if is_json {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| error.to_string())
    };
    let bad = |what: String| CliError::Usage(format!("{shown} is no configuration: {what}"));
    let fields: Map<String, Value> = parsed.map_err(|error| bad(error.trim_end().to_owned()))?;
    let given = fields.into_iter().map(|(name, value)| {
        let origin = match line_of(&text, &name, is_json) {
            Some(line) => format!("{shown}, line {line}"),
            None => shown.clone(),
        };
        Given { name, origin, value, or_text: None }
    });
    Ok(given.collect())
}

/// The line in which the top-level setting `name` is, counted from 1.
fn line_of(text: &str, name: &str, is_json: bool) -> Option<usize> {
    let names_it = |line: &str| {
        if is_json {
            return line.contains(&format!("\"{name}\""));
        }
        let line = line.trim_start_matches([' ', '\t', '[', '"', '\'']);
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || "_-".contains(c))
        })
    };
    text.lines().position(names_it).map(|at| at + 1)
}

/// The settings in `variables`. Variables of one setting are one: `TAPLINE_WAIT__PARK_US` and
/// `TAPLINE_WAIT__SPINS` are parts of `wait`.
fn from_variables(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Given>, CliError> {
    let mut by_setting: BTreeMap<String, Given> = BTreeMap::new();
    let ours = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut ours: Vec<_> = ours
        .filter(|(name, _)| name.starts_with(PREFIX) && !NO_SETTINGS.contains(&name.as_str()))
        .collect();
    ours.sort();
    for (variable, value) in ours {
        let text = value
            .into_string()
            .map_err(|_| CliError::Usage(format!("variable {variable}: its value is not UTF-8")))?;
        let path = variable[PREFIX.len()..].to_lowercase();
        let (name, inner) =
            path.split_once("__").map_or((&*path, None), |(name, inner)| (name, Some(inner)));
        let nested = |leaf: Value| {
            let names = inner.into_iter().flat_map(|inner| inner.rsplit("__"));
            names
                .fold(leaf, |value, name| Value::Object(Map::from_iter([(name.to_owned(), value)])))
        };
        let as_text = nested(Value::String(text.clone()));
        let value = serde_json::from_str(&text).map_or_else(|_| as_text.clone(), nested);
        if let Some(given) = by_setting.get_mut(name) {
            given.origin = format!("{}, {variable}", given.origin);
            merge(&mut given.value, value);
            // Which of several is a text is not tried out.
            given.or_text = None;
        } else {
            let (name, origin) = (name.to_owned(), format!("variable {variable}"));
            let given = Given { name: name.clone(), origin, value, or_text: Some(as_text) };
            by_setting.insert(name, given);
        }
    }
    Ok(by_setting.into_values().collect())
}
