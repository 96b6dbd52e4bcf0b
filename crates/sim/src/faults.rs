//! Disk faults: a workload is played over and over. Each time another one of its disk operations
//! fails.

use std::io::ErrorKind;

use fastrand::Rng;

use crate::campaign::Counts;
use crate::crash::{Scratch, check_boot};
use crate::stores::Stores;
use crate::tape::{Fault, Step, Tape};
use crate::volume::{Files, Loss, Volume};
use crate::workload::{Expected, Workload};

/// The errors that the disk reports.
const KINDS: [ErrorKind; 2] = [
    // EIO has no kind of its own.
    ErrorKind::Other,
    ErrorKind::StorageFull,
];

/// Lets each operation of the workload of `seed` fail, once or for good, and boots after each.
pub(crate) fn run(seed: u64, scratch: &Scratch, counts: &mut Counts) -> Result<(), String> {
    let workload = Workload::new(seed);
    let expected = workload.expected();
    let mut lot = Rng::with_seed(seed);
    let operations = {
        let tape = Tape::default();
        play(&workload, scratch, &tape)?;
        tape.operations()
    };
    for after in 0..operations {
        for kind in KINDS {
            let fault = Fault { after, kind, lasts: lot.bool() };
            strike(&workload, &expected, fault, scratch, counts, &mut lot)
                .map_err(|error| format!("{fault:?}: {error}"))?;
        }
    }
    Ok(())
}

fn play(workload: &Workload, scratch: &Scratch, tape: &Tape) -> Result<(), String> {
    scratch.restore(&Files::new());
    let mut stores = Stores::on_disk(&scratch.base_dir(), workload.disk_mode, workload.log, tape);
    workload.play(&mut stores, |through, _| tape.done(through))
}

fn strike(
    workload: &Workload,
    expected: &Expected,
    fault: Fault,
    scratch: &Scratch,
    counts: &mut Counts,
    lot: &mut Rng,
) -> Result<(), String> {
    let tape = Tape::failing(fault);
    let played = play(workload, scratch, &tape);
    counts.faults += 1;
    counts.operations_under_fault += tape.operations();
    counts.faults_told += u64::from(played.is_err());
    let (mut volume, mut done) = (Volume::default(), 0);
    for step in tape.take() {
        match step {
            Step::Done(through) => done = through,
            Step::Disk { .. } => volume.apply(&step, lot),
        }
    }
    // The process dies after the fault, or the whole machine does.
    for loss in [Loss::Nothing, Loss::Everything, Loss::Some(lot.fork())] {
        let what = format!("{loss:?}");
        scratch.restore(&volume.after(loss, lot));
        check_boot(scratch, expected, done)
            .map_err(|error| format!("told {played:?}, then losing {what}: {error}"))?;
    }
    Ok(())
}
