use indicatif::{ProgressBar, ProgressStyle};

/// What shows on a terminal that something goes on, for how long by now, and how far it is.
pub(super) fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    ProgressBar::new_spinner().with_style(style.expect("the template is a constant"))
}
