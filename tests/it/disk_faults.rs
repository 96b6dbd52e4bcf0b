//! Damaged run files and folders that cannot be written to. Each gives an error that says what is
//! wrong, never a panic, and no file gets worse.

#[cfg(unix)]
mod directories;
#[cfg(unix)]
mod disk_full;
mod listing;
mod opening;
mod read_only;
