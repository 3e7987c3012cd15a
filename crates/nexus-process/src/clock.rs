//! The clock that leases are measured by: it only goes forward, and it goes on while this machine sleeps.
//!
//! A lease runs out elsewhere, where nobody knows that this process was stopped, its machine was asleep, or its wall clock
//! was set. `Instant` does not count a machine's sleep on Linux.

use std::time::Duration;

/// Time since some fixed moment in the past, the time that the machine slept included.
#[cfg(target_os = "linux")]
#[must_use]
pub fn since_boot() -> Duration {
    read(rustix::time::ClockId::Boottime)
}

/// Time since some fixed moment in the past, the time that the machine slept included (as macOS counts it).
#[cfg(all(unix, not(target_os = "linux")))]
#[must_use]
pub fn since_boot() -> Duration {
    read(rustix::time::ClockId::Monotonic)
}

#[cfg(unix)]
fn read(clock: rustix::time::ClockId) -> Duration {
    let now = rustix::time::clock_gettime(clock);
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}

/// Time since this was asked first; on Windows the time that the machine slept is included.
#[cfg(not(unix))]
#[must_use]
pub fn since_boot() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward() {
        let (first, began) = (since_boot(), std::time::Instant::now());
        while began.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        assert!(since_boot() >= first + Duration::from_millis(2));
    }
}
