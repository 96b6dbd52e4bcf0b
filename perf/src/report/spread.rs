use serde::Serialize;

/// The range of a figure over all repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    /// Of an even count, the mean of the middle two.
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` of no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let median = f64::midpoint(figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self { min, median, max })
    }

    /// The median, and where it differs the range, each written by `cell`.
    pub(crate) fn print(&self, cell: impl Fn(f64) -> String) -> String {
        let [min, median, max] = [self.min, self.median, self.max].map(cell);
        if min == max { median } else { format!("{median} ({min}–{max})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        let spread = |figures: &[f64]| Spread::of(figures.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
    }

    #[test]
    fn a_range_of_one_figure_is_not_printed() {
        let print = |figures: &[f64]| {
            Spread::of(figures.iter().copied()).map(|spread| spread.print(|cell| cell.to_string()))
        };
        assert_eq!(print(&[7.0, 7.0]).as_deref(), Some("7"));
        assert_eq!(print(&[1.0, 2.0, 4.0]).as_deref(), Some("2 (1–4)"));
    }
}
