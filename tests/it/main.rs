//! The library's behaviour, through its public interface. One behaviour a file.

mod capture;
mod config;
mod halt;
mod inline;
mod layers;
mod no_drop;
mod support;
mod writer;
