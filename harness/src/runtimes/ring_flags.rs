//! The best flags for io_uring that the kernel supports, or the reason that it supports none.

use std::io;

use nix::errno::Errno;

use crate::runtime::StartError;

/// Flags of a ring: what the kernel may leave out, since one thread alone submits and waits.
#[derive(Clone, Copy)]
pub(super) struct RingFlags {
    /// Completions are processed when the thread waits, not in interrupts of its work; implies a single issuer. Linux 6.1.
    pub(super) defer_taskrun: bool,
    /// They interrupt the thread only when it enters the kernel anyway. Linux 5.19.
    pub(super) coop_taskrun: bool,
}

impl RingFlags {
    /// Combinations, the best first: a kernel refuses those that it does not know.
    pub(super) const PREFERRED: [Self; 3] = [
        Self {
            defer_taskrun: true,
            coop_taskrun: true,
        },
        Self {
            defer_taskrun: false,
            coop_taskrun: true,
        },
        Self {
            defer_taskrun: false,
            coop_taskrun: false,
        },
    ];

    /// Their names, for the record.
    pub(super) fn names(self) -> &'static str {
        match self {
            Self {
                defer_taskrun: true,
                ..
            } => "single_issuer defer_taskrun coop_taskrun taskrun_flag",
            Self {
                coop_taskrun: true, ..
            } => "coop_taskrun taskrun_flag",
            _ => "none",
        }
    }
}

/// Builds a ring with the first combination that the kernel takes.
pub(super) fn built<T>(
    preferred: &[RingFlags],
    build: impl Fn(RingFlags) -> io::Result<T>,
) -> Result<(T, RingFlags), StartError> {
    let mut refused = None;
    for flags in preferred {
        match build(*flags) {
            Ok(built) => return Ok((built, *flags)),
            // A flag that this kernel does not know. Other errors would come back with any flags.
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
                refused = Some(error)
            }
            Err(error) => return Err(start_error(error)),
        }
    }
    Err(start_error(refused.expect("there is a combination")))
}

/// Distinguishes a kernel that has no io_uring, or denies it to this process, from one that has run out of a resource.
fn start_error(error: io::Error) -> StartError {
    let errno = error.raw_os_error().map(Errno::from_raw);
    match errno {
        Some(Errno::EPERM | Errno::EACCES | Errno::ENOSYS) => {
            StartError::Unsupported(format!("the kernel refuses io_uring: {error}"))
        }
        _ => StartError::System(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_uring_refused_by_the_kernel_is_unsupported_with_the_reason() {
        for errno in [Errno::EPERM, Errno::ENOSYS] {
            match start_error(errno.into()) {
                StartError::Unsupported(reason) => assert!(reason.contains("io_uring"), "{reason}"),
                StartError::System(error) => panic!("{error} is not reported as unsupported"),
            }
        }
        assert!(matches!(
            start_error(Errno::ENOMEM.into()),
            StartError::System(_)
        ));
    }

    /// The flags of the ring under a kernel that gives this error to each combination in turn, and accepts the next one.
    fn flags_after(errors: &[Errno]) -> Result<&'static str, StartError> {
        let attempts = std::cell::Cell::new(0);
        let build = |_| {
            let attempt = attempts.replace(attempts.get() + 1);
            errors.get(attempt).map_or(Ok(()), |errno| {
                Err(io::Error::from_raw_os_error(*errno as i32))
            })
        };
        built(&RingFlags::PREFERRED, build).map(|((), flags)| flags.names())
    }

    #[test]
    fn a_kernel_that_knows_fewer_flags_gets_fewer() {
        let best = "single_issuer defer_taskrun coop_taskrun taskrun_flag";
        assert_eq!(flags_after(&[]).ok(), Some(best));
        assert_eq!(
            flags_after(&[Errno::EINVAL]).ok(),
            Some("coop_taskrun taskrun_flag")
        );
        assert_eq!(flags_after(&[Errno::EINVAL; 2]).ok(), Some("none"));
        assert!(matches!(
            flags_after(&[Errno::EINVAL; 3]),
            Err(StartError::System(_))
        ));
    }

    #[test]
    fn a_kernel_that_refuses_io_uring_is_asked_once() {
        let refused = flags_after(&[Errno::EPERM]);
        assert!(matches!(refused, Err(StartError::Unsupported(_))));
    }
}
