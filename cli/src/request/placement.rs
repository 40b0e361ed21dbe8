//! The CPUs of server, worker and pacer: a pure function of the allowed and the requested CPUs.
//!
//! Waking an idle CPU can dominate a latency, so the layout is part of every result: it is printed, recorded, and
//! never left to the operating system. Each process pins itself, through `harness::os`.

use std::str::FromStr;

use photofinish_record::{Placement, PlacementKind, cpu_list};

use crate::exit::Failure;

/// CPUs, written `0,2-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            cpus.extend(range(part.trim()).ok_or_else(|| {
                format!("`{part}` is neither a CPU nor a range of CPUs; write `0`, `0,2` or `2-3`")
            })?);
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }
}

/// More CPUs than any kernel supports: a larger range is a typo, and would only fill memory.
const MAX_CPUS: usize = 8192;

fn range(part: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < MAX_CPUS).then_some(first..=last)
}

/// The requested placement.
#[derive(Clone, Debug, Default)]
pub struct PlacementRequest {
    /// `--placement`; without it, `split` if there are two CPUs or more.
    pub kind: Option<PlacementKind>,
    /// `--cpus`; without it, every allowed CPU.
    pub cpus: Option<CpuList>,
    /// True if there is an open load, whose pacer needs a CPU to itself.
    pub pacer: bool,
}

/// The CPUs of each process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub placement: Placement,
    /// A warning for the record, if the layout is a bad one.
    pub warning: Option<String>,
}

/// Assigns the requested ones of the `allowed` CPUs to server and worker.
pub fn lay_out(request: &PlacementRequest, allowed: &[usize]) -> Result<Layout, Failure> {
    let cpus = select(request.cpus.as_ref(), allowed)?;
    let kind = match request.kind {
        Some(kind) => kind,
        None if cpus.len() >= 2 => PlacementKind::Split,
        None => PlacementKind::Same,
    };
    let (server_cpus, worker_cpus) = match kind {
        PlacementKind::Split if cpus.len() < 2 => return Err(too_few_to_split(&cpus)),
        PlacementKind::Split => (vec![cpus[0]], cpus[1..].to_vec()),
        PlacementKind::Same => (vec![cpus[0]], vec![cpus[0]]),
        PlacementKind::Shared => (cpus.clone(), cpus.clone()),
    };
    // The pacer gets a spare CPU: the last of three or more, or the second if server and worker share the first.
    let (worker_cpus, pacer_cpu) = match kind {
        PlacementKind::Split if request.pacer && worker_cpus.len() >= 2 => {
            let (last, others) = worker_cpus.split_last().expect("there are two or more");
            (others.to_vec(), Some(*last))
        }
        PlacementKind::Same if request.pacer => (worker_cpus, cpus.get(1).copied()),
        _ => (worker_cpus, None),
    };
    let alone = request.kind.is_none() && kind == PlacementKind::Same;
    Ok(Layout {
        placement: Placement {
            kind,
            orchestrator_cpus: server_cpus.clone(),
            server_cpus,
            worker_cpus,
            pacer_cpu,
        },
        warning: alone.then(|| {
            "one CPU for server and worker together: each slows the other down".to_owned()
        }),
    })
}

fn select(requested: Option<&CpuList>, allowed: &[usize]) -> Result<Vec<usize>, Failure> {
    let Some(CpuList(requested)) = requested else {
        return Ok(allowed.to_vec());
    };
    match requested.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => Err(
            Failure::usage(format!("CPU {cpu} is not available to this process"))
                .hint(format!("it may use the CPUs {}", cpu_list(allowed))),
        ),
        None => Ok(requested.clone()),
    }
}

fn too_few_to_split(cpus: &[usize]) -> Failure {
    let message = format!(
        "--placement split needs two CPUs, and there is only CPU {}",
        cpu_list(cpus)
    );
    Failure::usage(message).hint("use --placement same, or give more CPUs with --cpus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read_and_written() {
        let check = |text: &str, expected: &[usize], written: &str| {
            let CpuList(cpus) = text.parse().expect(text);
            assert_eq!(cpus, expected, "{text}");
            assert_eq!(cpu_list(&cpus), written, "{text}");
        };
        check("0", &[0], "0");
        check("3,1-2,2", &[1, 2, 3], "1-3");
        check("0, 2-3", &[0, 2, 3], "0,2-3");
    }

    #[test]
    fn an_invalid_cpu_list_is_refused() {
        for text in ["", "a", "3-1", "1-", "0-99999999999", "-1"] {
            assert!(text.parse::<CpuList>().is_err(), "{text}");
        }
    }

    fn laid_out(
        kind: Option<PlacementKind>,
        pacer: bool,
        allowed: &[usize],
    ) -> Result<Layout, Failure> {
        let cpus = None;
        lay_out(&PlacementRequest { kind, cpus, pacer }, allowed)
    }

    #[test]
    fn cpus_are_split_if_there_are_two_and_otherwise_shared_with_a_warning() {
        let check = |kind, allowed: &[usize], server: &[usize], worker: &[usize], warned| {
            let Layout { placement, warning } = laid_out(kind, false, allowed).expect("a layout");
            assert_eq!(placement.server_cpus, server, "{kind:?}");
            assert_eq!(placement.worker_cpus, worker, "{kind:?}");
            assert_eq!(warning.is_some(), warned, "{kind:?}");
            placement.kind
        };
        check(None, &[0, 2, 3], &[0], &[2, 3], false);
        let alone = check(None, &[1], &[1], &[1], true);
        assert_eq!(alone, PlacementKind::Same);
        check(Some(PlacementKind::Same), &[0, 1], &[0], &[0], false);
        check(
            Some(PlacementKind::Shared),
            &[0, 1],
            &[0, 1],
            &[0, 1],
            false,
        );
    }

    #[test]
    fn a_pacer_gets_a_cpu_that_nobody_else_needs() {
        let check = |kind, allowed: &[usize], worker: &[usize], pacer| {
            let placement = laid_out(kind, true, allowed).expect("a layout").placement;
            assert_eq!(placement.worker_cpus, worker);
            assert_eq!(placement.pacer_cpu, pacer, "{kind:?} on {allowed:?}");
        };
        check(None, &[0, 1, 2, 3], &[1, 2], Some(3));
        check(None, &[0, 1], &[1], None);
        check(Some(PlacementKind::Same), &[0, 1], &[0], Some(1));
        check(Some(PlacementKind::Shared), &[0, 1], &[0, 1], None);
    }

    #[test]
    fn an_impossible_cpu_layout_is_a_usage_error() {
        assert!(laid_out(Some(PlacementKind::Split), false, &[0]).is_err());
        let not_there = PlacementRequest {
            cpus: Some(CpuList(vec![7])),
            ..PlacementRequest::default()
        };
        assert!(lay_out(&not_there, &[0, 1]).is_err());
    }
}
