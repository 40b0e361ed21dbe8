//! Laying server and worker out on CPUs: a pure function from what is allowed and what was asked for.
//!
//! Waking an idle CPU can be most of a latency, so the layout is part of every result: it is printed, recorded, and
//! never chosen by the operating system. Pinning itself is done by each process, through `harness::os`.

use std::str::FromStr;

use photofinish_record::{Placement, PlacementKind};

use crate::exit::Failure;

/// A list of CPUs as people write it: `0,2-3`.
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

/// More CPUs than any kernel numbers: beyond it a range is a typing error, and would only fill memory.
const MOST_CPUS: usize = 8192;

fn range(part: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < MOST_CPUS).then_some(first..=last)
}

/// CPUs as people write them: `0,2-3`.
pub fn list(cpus: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &cpu in cpus {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => parts.push((cpu, cpu)),
        }
    }
    let write = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    parts.iter().map(write).collect::<Vec<_>>().join(",")
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// `--placement`; without it, `split` where there are two CPUs or more.
    pub kind: Option<PlacementKind>,
    /// `--cpus`; without it, every allowed CPU.
    pub cpus: Option<CpuList>,
    /// Whether there is an open load, whose pacer wants a CPU to itself.
    pub pacer: bool,
}

/// A layout, and what a reader must know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The CPUs.
    pub placement: Placement,
    /// A warning for the record, where the layout is a poor one.
    pub warning: Option<String>,
}

/// Lays server and worker out on those of the `allowed` CPUs that were asked for.
pub fn lay_out(wish: &Wish, allowed: &[usize]) -> Result<Layout, Failure> {
    let cpus = choose(wish.cpus.as_ref(), allowed)?;
    let kind = match wish.kind {
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
    // A pacer gets what is left over: of three CPUs or more the last one, of two only where server and worker share one.
    let (worker_cpus, pacer_cpu) = match kind {
        PlacementKind::Split if wish.pacer && worker_cpus.len() >= 2 => {
            let (last, others) = worker_cpus.split_last().expect("there are two or more");
            (others.to_vec(), Some(*last))
        }
        PlacementKind::Same if wish.pacer => (worker_cpus, cpus.get(1).copied()),
        _ => (worker_cpus, None),
    };
    let alone = wish.kind.is_none() && kind == PlacementKind::Same;
    Ok(Layout {
        placement: Placement {
            kind,
            server_cpus,
            worker_cpus,
            pacer_cpu,
        },
        warning: alone.then(|| {
            "one CPU for server and worker together: each slows the other down".to_owned()
        }),
    })
}

fn choose(asked: Option<&CpuList>, allowed: &[usize]) -> Result<Vec<usize>, Failure> {
    let Some(CpuList(asked)) = asked else {
        return Ok(allowed.to_vec());
    };
    match asked.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => Err(
            Failure::usage(format!("CPU {cpu} is not there for this process"))
                .hint(format!("it may use the CPUs {}", list(allowed))),
        ),
        None => Ok(asked.clone()),
    }
}

fn too_few_to_split(cpus: &[usize]) -> Failure {
    let message = format!(
        "--placement split needs two CPUs, and there is only CPU {}",
        list(cpus)
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
            assert_eq!(list(&cpus), written, "{text}");
        };
        check("0", &[0], "0");
        check("3,1-2,2", &[1, 2, 3], "1-3");
        check("0, 2-3", &[0, 2, 3], "0,2-3");
    }

    #[test]
    fn nonsense_is_no_list_of_cpus() {
        for text in ["", "a", "3-1", "1-", "0-99999999999", "-1"] {
            assert!(text.parse::<CpuList>().is_err(), "{text}");
        }
    }

    fn check(
        kind: Option<PlacementKind>,
        allowed: &[usize],
        server: &[usize],
        worker: &[usize],
    ) -> Layout {
        let layout = lay_out(
            &Wish {
                kind,
                ..Wish::default()
            },
            allowed,
        )
        .expect("a layout");
        assert_eq!(layout.placement.server_cpus, server);
        assert_eq!(layout.placement.worker_cpus, worker);
        layout
    }

    #[test]
    fn two_cpus_or_more_are_split_by_default() {
        let layout = check(None, &[0, 2, 3], &[0], &[2, 3]);
        assert_eq!(layout.warning, None);
    }

    #[test]
    fn one_cpu_is_shared_with_a_warning() {
        let layout = check(None, &[1], &[1], &[1]);
        assert_eq!(layout.placement.kind, PlacementKind::Same);
        assert!(layout.warning.is_some());
    }

    #[test]
    fn same_and_shared_are_what_they_say() {
        check(Some(PlacementKind::Same), &[0, 1], &[0], &[0]);
        check(Some(PlacementKind::Shared), &[0, 1], &[0, 1], &[0, 1]);
    }

    #[test]
    fn a_pacer_gets_a_cpu_that_nobody_else_needs() {
        let check = |kind, allowed: &[usize], worker: &[usize], pacer| {
            let wish = Wish {
                kind,
                pacer: true,
                ..Wish::default()
            };
            let placement = lay_out(&wish, allowed).expect("a layout").placement;
            assert_eq!(placement.worker_cpus, worker);
            assert_eq!(placement.pacer_cpu, pacer, "{kind:?} on {allowed:?}");
        };
        check(None, &[0, 1, 2, 3], &[1, 2], Some(3));
        check(None, &[0, 1], &[1], None);
        check(Some(PlacementKind::Same), &[0, 1], &[0], Some(1));
        check(Some(PlacementKind::Shared), &[0, 1], &[0, 1], None);
    }

    #[test]
    fn what_cannot_be_laid_out_is_a_usage_error() {
        let split_one = Wish {
            kind: Some(PlacementKind::Split),
            ..Wish::default()
        };
        assert!(lay_out(&split_one, &[0]).is_err());
        let not_there = Wish {
            cpus: Some(CpuList(vec![7])),
            ..Wish::default()
        };
        assert!(lay_out(&not_there, &[0, 1]).is_err());
    }
}
