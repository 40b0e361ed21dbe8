//! Limits on the number of connections: file descriptors, local ports, the accept queue.
//!
//! Beyond them connections fail, or wait for a second or more, which looks like a slow server.

use super::{Assessment, Readings, level_of_amount};

/// Enough open files for thousands of sessions, and too few for any load.
const MANY_FILES: u64 = 16_384;
const FEW_FILES: u64 = 256;

/// Enough free local ports for workloads that reconnect, and too few for any load.
const MANY_PORTS: u64 = 10_000;
const FEW_PORTS: u64 = 1_000;

/// The backlog that the servers request.
const BACKLOG: u64 = 4096;
const SHORT_BACKLOG: u64 = 128;

pub(super) fn open_files(readings: &Readings) -> Assessment {
    let Some(hard) = readings.limits.open_files_hard else {
        return Assessment::unknown("the limit on open files is unknown");
    };
    let soft = match readings.limits.open_files_soft {
        Some(soft) if soft != hard => {
            format!(" (the soft limit of {} is raised for a run)", files(soft))
        }
        _ => String::new(),
    };
    let evidence = format!("a process may open {} files{soft}", files(hard));
    let level = level_of_amount(hard, FEW_FILES, MANY_FILES);
    Assessment::at(level, evidence).remedy_unless_good(format!(
        "`ulimit -Hn {MANY_FILES}` as root, LimitNOFILE= of the service, or `docker run --ulimit nofile={MANY_FILES}`"
    ))
}

/// A limit on open files as text.
fn files(limit: u64) -> String {
    match limit {
        u64::MAX => "unlimited".to_owned(),
        some => some.to_string(),
    }
}

pub(super) fn ports(readings: &Readings) -> Assessment {
    let Some((first, last)) = readings.limits.local_ports else {
        return Assessment::unknown("the range of local ports is unknown");
    };
    let all = u64::from(last.saturating_sub(first)) + 1;
    let resting = readings.limits.time_wait.unwrap_or(0);
    let free = all.saturating_sub(resting);
    let evidence =
        format!("{all} local ports ({first}-{last}), {resting} connections in TIME_WAIT");
    // A port in TIME_WAIT is blocked only for the server with which it was used, which is unknown here.
    let assessment = match free {
        _ if all < FEW_PORTS => Assessment::bad(evidence),
        free if free < MANY_PORTS => Assessment::caution(evidence),
        _ => Assessment::good(evidence),
    };
    assessment.remedy_unless_good(if all < MANY_PORTS {
        "sudo sysctl net.ipv4.ip_local_port_range=\"10240 65535\""
    } else {
        "wait a minute before loading the same server again: TIME_WAIT lasts 60 s"
    })
}

pub(super) fn port_reuse(readings: &Readings) -> Assessment {
    match readings.limits.time_wait_reuse {
        None => Assessment::unknown("the reuse of ports in TIME_WAIT is unknown"),
        Some(0) => Assessment::caution(
            "a closed connection's port is blocked for 60 s: a workload that reconnects may run out of ports",
        )
        .remedy("sudo sysctl net.ipv4.tcp_tw_reuse=2"),
        Some(2) => Assessment::good("ports in TIME_WAIT are reused on loopback (tcp_tw_reuse is 2)"),
        Some(mode) => Assessment::good(format!(
            "ports in TIME_WAIT are reused (tcp_tw_reuse is {mode})"
        )),
    }
}

pub(super) fn listen_backlog(readings: &Readings) -> Assessment {
    let remedy = format!("sudo sysctl net.core.somaxconn={BACKLOG}");
    match readings.limits.listen_backlog {
        None => Assessment::unknown("the limit on accept queues is unknown"),
        Some(longest) if longest >= BACKLOG => {
            Assessment::good(format!("accept queues hold up to {longest} connections"))
        }
        Some(longest) => {
            let evidence = format!(
                "accept queues hold up to {longest} connections, fewer than the {BACKLOG} requested: larger bursts wait a \
                 second"
            );
            let level = level_of_amount(longest, SHORT_BACKLOG, BACKLOG);
            Assessment::at(level, evidence).remedy(remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::assessed;
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    #[test]
    fn the_hard_limit_of_open_files_counts() {
        for (hard, expected) in [
            (None, Unknown),
            (Some(100), Bad),
            (Some(4096), Caution),
            (Some(1_048_576), Good),
            (Some(u64::MAX), Good),
        ] {
            let found = assessed(open_files, |readings| {
                readings.limits.open_files_soft = Some(64);
                readings.limits.open_files_hard = hard;
            });
            assert_eq!(found.level, expected, "{found:?}");
        }
    }

    #[test]
    fn ports_in_time_wait_are_not_free() {
        let check = |range, resting, expected: FindingLevel, remedy: &str| {
            let found = assessed(ports, |readings| {
                readings.limits.local_ports = range;
                readings.limits.time_wait = resting;
            });
            assert_eq!(found.level, expected, "{found:?}");
            let actual = found.remedy.unwrap_or_default();
            assert!(actual.contains(remedy), "{actual}");
        };
        let usual = Some((32_768, 60_999));
        check(None, None, Unknown, "");
        check(usual, Some(0), Good, "");
        check(usual, Some(20_000), Caution, "wait a minute");
        check(usual, Some(90_000), Caution, "wait a minute");
        check(Some((50_000, 50_999)), None, Caution, "sysctl");
        check(Some((50_000, 50_100)), None, Bad, "sysctl");
    }

    #[test]
    fn ports_without_reuse_are_a_caution() {
        let modes = [None, Some(0), Some(1), Some(2)];
        for (mode, expected) in modes.into_iter().zip([Unknown, Caution, Good, Good]) {
            let found = assessed(port_reuse, |readings| {
                readings.limits.time_wait_reuse = mode
            });
            assert_eq!(found.level, expected, "{mode:?}");
        }
    }

    #[test]
    fn a_backlog_limit_below_the_requested_one_is_reported() {
        let lengths = [None, Some(4096), Some(128), Some(64)];
        for (longest, expected) in lengths.into_iter().zip([Unknown, Good, Caution, Bad]) {
            let found = assessed(listen_backlog, |readings| {
                readings.limits.listen_backlog = longest;
            });
            assert_eq!(found.level, expected, "{longest:?}");
        }
    }
}
