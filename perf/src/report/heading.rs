use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::instruments::Machine;

/// Where and how figures were measured.
#[derive(Debug, Serialize)]
pub(crate) struct Heading {
    machine: Machine,
    /// The command's arguments.
    command: String,
    repeat: u32,
    warnings: Vec<String>,
    /// What was left out, and why.
    notes: Vec<String>,
}

impl Heading {
    /// For files below `dir`, which must exist. To be made before measuring: it has the load.
    pub(crate) fn new(dir: &Path, repeat: u32) -> Self {
        let machine = Machine::describe(dir);
        let warnings = machine.warnings();
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let command = format!("perf {}", arguments.join(" "));
        Self { machine, command, repeat, warnings, notes: Vec::new() }
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Some lines for people.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{}\ncommand   {}\n", self.machine.summary(), self.command);
        let _ = writeln!(text, "repeated  {} times, systems taking turns", self.repeat);
        for (kind, lines) in [("warning", &self.warnings), ("note", &self.notes)] {
            for line in lines {
                let _ = writeln!(text, "{kind:<9} {line}");
            }
        }
        text
    }
}
