//! Power cuts: a workload is recorded once. Then it is cut off after each of its disk operations.

use std::collections::HashSet;

use fastrand::Rng;
use tapline::RunStatus;
use tapline::internals::error_chain;
use tapline::markers::RedbMarkerBackend;
use tapline::read::Verifier;
use tapline::runs::list_runs;
use tapline::store::{EventStore, RedbBackend};

use crate::campaign::Counts;
use crate::crash::{Scratch, check_boot};
use crate::sidecar::sidecar_path;
use crate::stores::Stores;
use crate::support::instance;
use crate::tape::{Step, Tape};
use crate::volume::{Files, Loss, Volume};
use crate::workload::{Expected, Workload};

/// How many cuts at each step lose a part of what is not safe. Besides these, one cut loses all of
/// it, and one nothing.
const PARTIAL_LOSSES: usize = 2;

/// One in so many boots is itself cut off at each step.
const BOOTS_PER_CUT_BOOT: u8 = 24;

/// Cuts the workload of `seed` at each step, and boots after each cut.
pub(crate) fn run(seed: u64, scratch: &Scratch, counts: &mut Counts) -> Result<(), String> {
    let workload = Workload::new(seed);
    let expected = workload.expected();
    let tape = Tape::default();
    scratch.restore(&Files::new());
    let mut stores = Stores::on_disk(&scratch.base_dir(), workload.disk_mode, workload.log, &tape);
    workload.play(&mut stores, |through, _| tape.done(through))?;
    // The operations that close the files belong to it.
    drop(stores);
    let mut cutter = Cutter { expected: &expected, scratch, seen: HashSet::new(), counts };
    let mut lot = Rng::with_seed(seed);
    cutter.cut_everywhere(Volume::default(), 0, &tape.take(), &mut lot, true)
}

struct Cutter<'a> {
    expected: &'a Expected,
    scratch: &'a Scratch,
    /// Disks that were booted already, with what their owner had been told.
    seen: HashSet<(blake3::Hash, usize)>,
    counts: &'a mut Counts,
}

impl Cutter<'_> {
    fn cut_everywhere(
        &mut self,
        mut volume: Volume,
        mut done: usize,
        steps: &[Step],
        lot: &mut Rng,
        cuts_boots: bool,
    ) -> Result<(), String> {
        for number in 0..=steps.len() {
            self.cut(&volume, done, lot, cuts_boots)
                .map_err(|error| format!("cut off before step {number}: {error}"))?;
            match steps.get(number) {
                Some(Step::Done(through)) => done = *through,
                Some(step) => volume.apply(step, lot),
                None => {}
            }
        }
        Ok(())
    }

    fn cut(
        &mut self,
        volume: &Volume,
        done: usize,
        lot: &mut Rng,
        cuts_boots: bool,
    ) -> Result<(), String> {
        let partial = (0..PARTIAL_LOSSES).map(|_| Loss::Some(lot.fork())).collect::<Vec<_>>();
        for loss in [Loss::Everything, Loss::Nothing].into_iter().chain(partial) {
            let what = format!("{loss:?}");
            let files = volume.after(loss, lot);
            if !self.seen.insert((digest(&files), done)) {
                continue;
            }
            self.counts.cuts += 1;
            self.scratch.restore(&files);
            check_boot(self.scratch, self.expected, done)
                .map_err(|error| format!("losing {what}: {error}"))?;
            if cuts_boots && lot.u8(..BOOTS_PER_CUT_BOOT) == 0 {
                self.cut_boot(files, done, lot)
                    .map_err(|error| format!("losing {what}, and then in the boot: {error}"))?;
            }
        }
        Ok(())
    }

    /// The power fails again while the run is recovered.
    fn cut_boot(&mut self, files: Files, done: usize, lot: &mut Rng) -> Result<(), String> {
        self.scratch.restore(&files);
        let tape = Tape::default();
        recover(self.scratch, &tape)?;
        self.counts.boots_cut += 1;
        self.cut_everywhere(Volume::with(files), done, &tape.take(), lot, false)
    }
}

/// Recovers a run as the sweep does, on a disk that is watched.
fn recover(scratch: &Scratch, tape: &Tape) -> Result<(), String> {
    let base_dir = scratch.base_dir();
    let mut store = RedbBackend::new(&base_dir).probed(std::sync::Arc::new(tape.clone()));
    let runs = list_runs(&base_dir, &instance()).map_err(|error| error_chain(&error))?;
    for run in runs {
        let Some(run_id) = run.run_id else { continue };
        let mut watermark = run.manifest.map_or(u64::MAX, |manifest| manifest.high_watermark);
        // If the run is sealed, reopening closes its file.
        if store.reopen(&instance(), run_id).is_ok() {
            let reader = store.reader().ok_or("there is no run")?;
            let end_ts_init = Verifier::new(reader).run(|_| {}).end_ts_init;
            let sealed = store.seal(RunStatus::CrashedRecovered, end_ts_init);
            watermark = sealed.map_err(|error| error_chain(&error))?.manifest.high_watermark;
        }
        let sidecar = RedbMarkerBackend::new(sidecar_path(&run.path));
        // There may be no sidecar, or a sealed one.
        let _ = sidecar.probed(std::sync::Arc::new(tape.clone())).recover(run_id, watermark);
    }
    Ok(())
}

fn digest(files: &Files) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (path, content) in files {
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update(&(content.len() as u64).to_le_bytes());
        hasher.update(content);
    }
    hasher.finalize()
}
