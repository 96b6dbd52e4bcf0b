use std::str::FromStr;

use anyhow::{Result, bail};

use super::Placement;

/// A choice of core on the command line: a number or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CoreChoice {
    /// Leave the thread to the scheduler.
    None,
    /// Pin it.
    Core(usize),
}

impl FromStr for CoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            number => number
                .parse()
                .map(Self::Core)
                .map_err(|_| format!("{number:?} is neither a core's number nor `none`")),
        }
    }
}

impl Placement {
    /// Places `producers` producers. Without a choice, and with two cores or more, the writer has
    /// the last core to itself and the producers share the others, beginning with the first.
    pub(crate) fn new(
        producers: usize,
        producer_choice: Option<CoreChoice>,
        writer_choice: Option<CoreChoice>,
    ) -> Result<Self> {
        let ids = core_affinity::get_core_ids().unwrap_or_default();
        let known: Vec<usize> = ids.into_iter().map(|core| core.id).collect();
        Self::among(&known, producers, producer_choice, writer_choice)
    }

    fn among(
        known: &[usize],
        producers: usize,
        producer_choice: Option<CoreChoice>,
        writer_choice: Option<CoreChoice>,
    ) -> Result<Self> {
        let by_default = |core: Option<&usize>| core.filter(|_| known.len() >= 2).copied();
        let chosen = |choice: Option<CoreChoice>, default: Option<&usize>| match choice {
            None => Ok(by_default(default)),
            Some(CoreChoice::None) => Ok(None),
            Some(CoreChoice::Core(core)) if known.contains(&core) => Ok(Some(core)),
            Some(CoreChoice::Core(core)) => {
                bail!("core {core} is not among those this process may use: {known:?}")
            }
        };
        let writer = chosen(writer_choice, known.last())?;
        let first = chosen(producer_choice, known.first())?;
        let Some(first) = first else {
            return Ok(Self { producers: vec![None; producers], writer });
        };
        let mut shared: Vec<usize> =
            known.iter().copied().filter(|core| Some(*core) != writer).collect();
        match shared.iter().position(|core| *core == first) {
            Some(at) => shared.rotate_left(at),
            // Asked for: the producers on the writer's core.
            None => shared = vec![first],
        }
        let producers = shared.iter().copied().cycle().take(producers).map(Some).collect();
        Ok(Self { producers, writer })
    }

    /// What makes the figures of this placement doubtful.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut cores: Vec<usize> = self.producers.iter().copied().flatten().collect();
        let pinned = cores.len();
        if self.writer.is_some_and(|writer| cores.contains(&writer)) {
            warnings.push("writer and producers share a core".to_owned());
        }
        cores.sort_unstable();
        cores.dedup();
        if cores.len() < pinned {
            let cores = cores.len();
            warnings.push(format!("{pinned} busy producers share {cores} core(s)"));
        }
        if self.writer.is_none() || pinned < self.producers.len() {
            warnings.push("not every thread is pinned to a core".to_owned());
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(
        known: &[usize],
        producers: usize,
        producer: Option<CoreChoice>,
        writer: Option<CoreChoice>,
    ) -> Option<(Vec<Option<usize>>, Option<usize>)> {
        let placement = Placement::among(known, producers, producer, writer).ok()?;
        Some((placement.producers, placement.writer))
    }

    #[test]
    fn by_default_the_writer_has_the_last_core_to_itself() {
        let cores = [0, 1, 2, 3];
        let expected = vec![Some(0), Some(1), Some(2), Some(0)];
        assert_eq!(place(&cores, 4, None, None), Some((expected, Some(3))));
        assert_eq!(place(&[0], 1, None, None), Some((vec![None], None)));
    }

    #[test]
    fn a_choice_overrules_the_default() {
        let (core, none) = (|core| Some(CoreChoice::Core(core)), Some(CoreChoice::None));
        let cores = [0, 1, 2, 3];
        let rotated = vec![Some(2), Some(3), Some(1)];
        assert_eq!(place(&cores, 3, core(2), core(0)), Some((rotated, Some(0))));
        assert_eq!(place(&cores, 2, core(1), core(1)), Some((vec![Some(1); 2], Some(1))));
        assert_eq!(place(&cores, 2, none, none), Some((vec![None; 2], None)));
        assert_eq!(place(&cores, 2, core(7), none), None);
    }
}
