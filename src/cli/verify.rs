use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;

use super::Outcome;
use super::error::CliError;
use super::output::Output;
use super::run_arg::Place;
use crate::model::{Hash, RunId, RunStatus};
use crate::read::{Finding, Verifier, VerifyReport};
use crate::store::{list_runs, open_sealed_file};

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Run files, or run ids; all runs of the instance where none is given
    runs: Vec<String>,
    /// The root printed when the run was sealed; for one run
    #[arg(long, value_parser = parse_root)]
    root: Option<Hash>,
    /// Threads that check hashes; as many as there are processors where it is not given
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a run
    #[arg(long)]
    json: bool,
}

fn parse_root(text: &str) -> Result<Hash, String> {
    Hash::from_hex(text).map_err(|error| format!("a root has 64 hexadecimal digits: {error}"))
}

#[derive(Serialize)]
struct Verdict<'a> {
    path: &'a Path,
    run_id: Option<RunId>,
    status: Option<RunStatus>,
    clean: bool,
    entries_scanned: u64,
    root: Option<String>,
    findings: &'a [Finding],
    findings_omitted: u64,
    error: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let paths = paths(args)?;
    if args.root.is_some() && paths.len() != 1 {
        let text = format!("--root is for one run, but {} are to be verified", paths.len());
        return Err(CliError::Usage(text));
    }
    let mut out = Output::stdout();
    let mut outcome = Outcome::Clean;
    let mut failed = false;
    for path in &paths {
        match verify(path, args) {
            Ok(report) => {
                print(&mut out, args.json, path, Ok(&report))?;
                if !report.is_clean() {
                    outcome = Outcome::Findings;
                }
            }
            Err(error) => {
                print(&mut out, args.json, path, Err(error.to_string()))?;
                failed = true;
            }
        }
    }
    out.flush()?;
    if failed {
        let text = "not every run could be verified; see above".to_owned();
        return Err(CliError::Usage(text));
    }
    Ok(outcome)
}

fn paths(args: &Args) -> Result<Vec<PathBuf>, CliError> {
    if !args.runs.is_empty() {
        return args.runs.iter().map(|run| args.place.resolve(run)).collect();
    }
    let Place { dir, instance } = &args.place;
    let runs = list_runs(dir, instance)
        .map_err(|source| CliError::List { path: args.place.folder(), source })?;
    Ok(runs.into_iter().map(|run| run.path).collect())
}

fn verify(path: &Path, args: &Args) -> Result<VerifyReport, CliError> {
    let mut verifier = Verifier::new(open_sealed_file(path)?);
    if let Some(root) = args.root {
        verifier = verifier.expect_root(root);
    }
    if let Some(threads) = args.threads {
        verifier = verifier.threads(threads);
    }
    Ok(verifier.run(|_entries| {}))
}

fn print(
    out: &mut Output,
    json: bool,
    path: &Path,
    report: Result<&VerifyReport, String>,
) -> Result<(), CliError> {
    let verdict = match &report {
        Ok(report) => Verdict {
            path,
            run_id: report.run_id,
            status: report.status,
            clean: report.is_clean(),
            entries_scanned: report.entries_scanned,
            root: report.root.map(|root| root.to_string()),
            findings: &report.findings,
            findings_omitted: report.findings_omitted,
            error: None,
        },
        Err(error) => Verdict {
            path,
            run_id: None,
            status: None,
            clean: false,
            entries_scanned: 0,
            root: None,
            findings: &[],
            findings_omitted: 0,
            error: Some(error.clone()),
        },
    };
    if json {
        return out.json_line(&verdict);
    }
    print_text(out, &verdict)
}

fn print_text(out: &mut Output, verdict: &Verdict<'_>) -> Result<(), CliError> {
    let path = verdict.path.display();
    if let Some(error) = &verdict.error {
        return out.line(format_args!("{path}: not verified: {error}"));
    }
    let status = verdict.status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
    let word = if verdict.clean { "clean" } else { "DAMAGED" };
    let entries = verdict.entries_scanned;
    out.line(format_args!("{path}: {word}, {status}, {entries} entries"))?;
    for finding in verdict.findings {
        out.line(format_args!("  {finding}"))?;
    }
    if verdict.findings_omitted > 0 {
        out.line(format_args!("  and {} more", verdict.findings_omitted))?;
    }
    if let Some(root) = &verdict.root {
        out.line(format_args!("  root {root}"))?;
    }
    Ok(())
}
