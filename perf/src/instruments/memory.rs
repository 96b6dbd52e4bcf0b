//! Resident memory of this process in megabytes; `None` on systems that do not tell.

use std::fs;

/// The most there was since [`reset_peak`], or since the start.
pub(crate) fn peak_mb() -> Option<f64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// What there is now.
pub(crate) fn now_mb() -> Option<f64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// How far the peak is above `before`, which was [`now_mb`] then.
pub(crate) fn rise_mb(before: Option<f64>) -> Option<f64> {
    Some(peak_mb()? - before?)
}

/// Lets the peak begin anew, where the kernel allows it.
pub(crate) fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_scaled() {
        let status = "Name:\tperf\nVmHWM:\t  125000 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(field(status, "VmHWM:"), Some(128.0));
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
