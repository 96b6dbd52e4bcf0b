//! The processor's cycle counter, where it can order events across cores.

/// Proof that this machine's cycle counter runs at one constant rate, in step on all cores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CycleCounter(());

#[expect(clippy::unused_self, reason = "having one is the permission to read")]
impl CycleCounter {
    /// The counter, if processor and operating system both vouch for it: the processor reports it
    /// as invariant, and Linux, which checks the cores against each other at boot, uses it as its
    /// own clock source.
    pub(crate) fn detect() -> Option<Self> {
        imp::is_trusted().then_some(Self(()))
    }

    /// Reads the counter once every earlier load of this thread is done.
    #[inline]
    pub(crate) fn after_loads(self) -> u64 {
        imp::fence_loads();
        imp::read()
    }

    /// Reads the counter after every earlier load of this thread, and before any later one begins.
    #[inline]
    pub(crate) fn before_loads(self) -> u64 {
        imp::fence_loads();
        let cycles = imp::read();
        imp::fence_loads();
        cycles
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod imp {
    use std::arch::x86_64::{__cpuid, _mm_lfence, _rdtsc};

    pub(super) fn is_trusted() -> bool {
        // AMD64 manual vol. 3, CPUID Fn8000_0007 EDX bit 8; Intel SDM vol. 3, 19.17.1: the counter
        // is invariant.
        let invariant =
            __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & (1 << 8) != 0;
        let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let in_step = std::fs::read_to_string(path).is_ok_and(|source| source.trim() == "tsc");
        invariant && in_step
    }

    /// `lfence` waits for all earlier loads, and no later instruction begins before it is done
    /// (Intel SDM vol. 2, LFENCE; on AMD this holds since Linux sets `DE_CFG[1]`).
    #[inline]
    #[expect(unsafe_code, reason = "a processor instruction without a safe wrapper")]
    pub(super) fn fence_loads() {
        // SAFETY: `lfence` belongs to SSE2, which every x86-64 processor has, and touches no
        // memory.
        unsafe { _mm_lfence() }
    }

    #[inline]
    #[expect(unsafe_code, reason = "a processor instruction without a safe wrapper")]
    pub(super) fn read() -> u64 {
        // SAFETY: `rdtsc` is on every x86-64 processor and touches no memory.
        unsafe { _rdtsc() }
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod imp {
    pub(super) fn is_trusted() -> bool {
        false
    }

    pub(super) fn fence_loads() {}

    pub(super) fn read() -> u64 {
        unreachable!("only a trusted counter is read")
    }
}
