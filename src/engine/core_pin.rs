use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The core that a thread of the engine is pinned to. Written `"auto"`, `"none"` or as a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CorePin {
    /// The last core that this process may use, if it may use four or more and that is not core 0.
    /// Not pinned on fewer: there the thread would take the core away from the producers.
    #[default]
    Auto,
    /// Not pinned.
    None,
    /// This core. If the process may not use it, a warning is logged and the thread is not pinned.
    Core(usize),
}

impl CorePin {
    /// The core to pin to, out of those that this process may use.
    pub(super) fn choose(self, allowed: &[usize]) -> Option<usize> {
        match self {
            Self::Auto if allowed.len() < 4 => None,
            Self::Auto => allowed.iter().copied().max().filter(|core| *core != 0),
            Self::None => None,
            Self::Core(core) => Some(core),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"auto\", \"none\" or the number of a core")]
enum Written {
    Core(usize),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Auto,
    None,
}

impl Serialize for CorePin {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => Written::Word(Word::Auto),
            Self::None => Written::Word(Word::None),
            Self::Core(core) => Written::Core(*core),
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for CorePin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Word(Word::Auto) => Self::Auto,
            Written::Word(Word::None) => Self::None,
            Written::Core(core) => Self::Core(core),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_the_last_of_four_cores() {
        for (allowed, expected) in [
            (&[][..], None),
            (&[0, 1], None),
            (&[4, 5, 6], None),
            (&[0, 1, 2, 3], Some(3)),
            (&[2, 9, 4, 6, 8], Some(9)),
        ] {
            assert_eq!(CorePin::Auto.choose(allowed), expected, "{allowed:?}");
            assert_eq!(CorePin::None.choose(allowed), None);
            assert_eq!(CorePin::Core(7).choose(allowed), Some(7), "refused later, with a warning");
        }
    }

    #[test]
    fn it_is_written_as_a_word_or_a_number() {
        for (pin, text) in
            [(CorePin::Auto, "\"auto\""), (CorePin::None, "\"none\""), (CorePin::Core(3), "3")]
        {
            assert_eq!(serde_json::to_string(&pin).expect("encodes"), text);
            assert_eq!(serde_json::from_str::<CorePin>(text).expect("decodes"), pin);
        }
        let error = serde_json::from_str::<CorePin>("\"last\"").expect_err("no such word");
        assert!(error.to_string().contains("\"auto\", \"none\" or the number"), "{error}");
    }
}
