//! Run files that are not what they should be, and folders that cannot be written to: each is an
//! error that says what is wrong, none is a panic, and none is made worse.

#[cfg(unix)]
mod directories;
#[cfg(unix)]
mod disk_full;
mod listing;
mod opening;
mod read_only;
