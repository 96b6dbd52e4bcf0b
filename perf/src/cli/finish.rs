use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::campaign::Results;
use crate::compare::{judge, render_targets};
use crate::report::{Document, Heading, OutputFolder, render, write_json};

/// Where reports go.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// Folder for the report, the histograms and the pictures [default: target/perf/<time>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the report as one JSON document to this file as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl OutputArgs {
    /// Makes the folder: better to fail before measuring.
    pub(super) fn folder(&self, parent: &Path) -> Result<OutputFolder> {
        OutputFolder::create(self.out.as_deref(), parent)
    }

    /// Prints the report and writes all files.
    pub(super) fn finish(
        &self,
        folder: &OutputFolder,
        heading: &Heading,
        results: &Results,
    ) -> Result<ExitCode> {
        let judged = judge(results);
        let text = [heading.render(), render(results), render_targets(&judged)].concat();
        println!("{text}");
        let document = Document::new(heading, results, &judged);
        folder.write(&text, &document, results)?;
        if let Some(path) = &self.json {
            write_json(path, &document)?;
        }
        println!("report, histograms and pictures are in {}", folder.path().display());
        let failures = results.failures();
        if failures > 0 {
            eprintln!("perf: {failures} measurement(s) failed, see above");
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}
