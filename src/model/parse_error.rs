/// A text that is not what it was to be: no hash, no run id, no instance id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}; expected {expected}")]
pub struct ParseError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

impl ParseError {
    /// `what` with its article; `expected` says how it is written.
    pub(super) fn new(text: &str, what: &'static str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), what, expected }
    }
}
