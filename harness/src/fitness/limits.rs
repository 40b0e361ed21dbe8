//! Limits that a load of many connections runs into: descriptors, local ports, the queue of a listener.
//!
//! Beyond them connections fail or wait for a second and more, which looks like a slow server.

use super::{Judged, Readings};

/// Open files for a load of some thousand sessions, and for hardly any.
const MANY_FILES: u64 = 16_384;
const FEW_FILES: u64 = 256;

/// Free local ports for workloads that reconnect, and for hardly any.
const MANY_PORTS: u64 = 10_000;
const FEW_PORTS: u64 = 1_000;

/// The backlog that the servers ask for.
const BACKLOG: u64 = 4096;
const SHORT_BACKLOG: u64 = 128;

pub(super) fn open_files(readings: &Readings) -> Judged {
    let Some(hard) = readings.limits.open_files_hard else {
        return Judged::unknown("the limit of open files is not told");
    };
    let soft = match readings.limits.open_files_soft {
        Some(soft) if soft != hard => format!(" (a run raises its {} to it)", files(soft)),
        _ => String::new(),
    };
    let evidence = format!("a process may have {} files open{soft}", files(hard));
    let judged = match hard {
        hard if hard < FEW_FILES => Judged::bad(evidence),
        hard if hard < MANY_FILES => Judged::caution(evidence),
        _ => Judged::good(evidence),
    };
    judged.remedy_unless_good(format!(
        "`ulimit -Hn {MANY_FILES}` as root, LimitNOFILE= of the service, or `docker run --ulimit nofile={MANY_FILES}`"
    ))
}

/// A limit of open files as people write it.
fn files(limit: u64) -> String {
    match limit {
        u64::MAX => "any number of".to_owned(),
        some => some.to_string(),
    }
}

pub(super) fn ports(readings: &Readings) -> Judged {
    let Some((first, last)) = readings.limits.local_ports else {
        return Judged::unknown("which local ports connections are given is not told");
    };
    let all = u64::from(last.saturating_sub(first)) + 1;
    let resting = readings.limits.time_wait.unwrap_or(0);
    let free = all.saturating_sub(resting);
    let evidence =
        format!("{all} local ports ({first}-{last}), and {resting} closed connections that rest");
    // A port rests towards the server it was used for, and is free for all others: whether that is this one, nobody told.
    let judged = match free {
        _ if all < FEW_PORTS => Judged::bad(evidence),
        free if free < MANY_PORTS => Judged::caution(evidence),
        _ => Judged::good(evidence),
    };
    judged.remedy_unless_good(match all < MANY_PORTS {
        true => "sudo sysctl net.ipv4.ip_local_port_range=\"10240 65535\"",
        false => "wait a minute before you load the same server again: ports rest for 60 s",
    })
}

pub(super) fn port_reuse(readings: &Readings) -> Judged {
    match readings.limits.time_wait_reuse {
        None => Judged::unknown("whether resting ports may be used again is not told"),
        Some(0) => Judged::caution(
            "a closed connection's port rests for 60 s: a workload that reconnects may run out of them",
        )
        .remedy("sudo sysctl net.ipv4.tcp_tw_reuse=2"),
        Some(2) => Judged::good("resting ports are used again on loopback (tcp_tw_reuse is 2)"),
        Some(mode) => Judged::good(format!(
            "resting ports are used again (tcp_tw_reuse is {mode})"
        )),
    }
}

pub(super) fn listen_backlog(readings: &Readings) -> Judged {
    let remedy = format!("sudo sysctl net.core.somaxconn={BACKLOG}");
    match readings.limits.listen_backlog {
        None => Judged::unknown("how many connections may wait to be accepted is not told"),
        Some(longest) if longest >= BACKLOG => {
            Judged::good(format!("{longest} connections may wait to be accepted"))
        }
        Some(longest) => {
            let evidence = format!(
                "{longest} connections may wait to be accepted, and {BACKLOG} are wanted: of a larger burst some wait a \
                 second"
            );
            match longest < SHORT_BACKLOG {
                true => Judged::bad(evidence).remedy(remedy),
                false => Judged::caution(evidence).remedy(remedy),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::Limits;
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    fn of(limits: Limits) -> Readings {
        Readings {
            limits,
            ..Readings::default()
        }
    }

    #[test]
    fn the_hard_limit_of_open_files_is_what_counts() {
        let check = |hard: Option<u64>, expected: FindingLevel| {
            let judged = open_files(&of(Limits {
                open_files_soft: Some(64),
                open_files_hard: hard,
                ..Limits::default()
            }));
            assert_eq!(judged.level, expected, "{judged:?}");
        };
        check(None, Unknown);
        check(Some(100), Bad);
        check(Some(4096), Caution);
        check(Some(1_048_576), Good);
        check(Some(u64::MAX), Good);
    }

    #[test]
    fn resting_ports_are_not_free() {
        let check = |range, time_wait, expected: FindingLevel, remedy: &str| {
            let judged = ports(&of(Limits {
                local_ports: range,
                time_wait,
                ..Limits::default()
            }));
            assert_eq!(judged.level, expected, "{judged:?}");
            let told = judged.remedy.unwrap_or_default();
            assert!(told.contains(remedy), "{told}");
        };
        check(None, None, Unknown, "");
        check(Some((32_768, 60_999)), Some(0), Good, "");
        check(
            Some((32_768, 60_999)),
            Some(20_000),
            Caution,
            "wait a minute",
        );
        check(
            Some((32_768, 60_999)),
            Some(90_000),
            Caution,
            "wait a minute",
        );
        check(Some((50_000, 50_999)), None, Caution, "sysctl");
        check(Some((50_000, 50_100)), None, Bad, "sysctl");
    }

    #[test]
    fn ports_that_may_not_be_used_again_are_a_caution() {
        for (mode, expected) in [
            (None, Unknown),
            (Some(0), Caution),
            (Some(1), Good),
            (Some(2), Good),
        ] {
            let judged = port_reuse(&of(Limits {
                time_wait_reuse: mode,
                ..Limits::default()
            }));
            assert_eq!(judged.level, expected, "{mode:?}");
        }
    }

    #[test]
    fn a_backlog_shorter_than_the_servers_ask_for_is_told() {
        for (longest, expected) in [
            (None, Unknown),
            (Some(4096), Good),
            (Some(128), Caution),
            (Some(64), Bad),
        ] {
            let judged = listen_backlog(&of(Limits {
                listen_backlog: longest,
                ..Limits::default()
            }));
            assert_eq!(judged.level, expected, "{longest:?}");
        }
    }
}
