use indicatif::{ProgressBar, ProgressStyle};

/// Shows on a terminal that work goes on, for how long, and how far it is.
pub(super) fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    ProgressBar::new_spinner().with_style(style.expect("the template is a constant"))
}
