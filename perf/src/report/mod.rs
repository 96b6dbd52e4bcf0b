//! What measurements found, for people and for programs.

mod document;
mod heading;
mod hgrm;
mod output;
mod percentiles;
mod spread;
mod table;

pub(crate) use document::Document;
pub(crate) use heading::Heading;
pub(crate) use output::{OutputFolder, write_json};
pub(crate) use spread::Spread;
pub(crate) use table::render;
