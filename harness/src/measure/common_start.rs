//! The wait for the common start of a round's measured phase, if other shards take part in it.
//!
//! Sessions are open and warm by then, so that the start needs nothing but the clock. How shards agree on it is in
//! `meeting`.

use std::time::{Duration, Instant};

use super::RoundError;
use crate::meeting::{Look, Meeting, MeetingError, Relay, Waiting, instant_of};
use crate::runtime::Runtime;
use photofinish_record::protocol::WorkerPlan;
use photofinish_record::shard::{StartRule, WorkerShard};

/// A start that all shards share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) unix_us: u64,
    pub(super) instant: Instant,
}

/// The longest wait of a round of `plan`.
pub(super) fn limit(plan: &WorkerPlan) -> Duration {
    match plan.shard.as_ref().map(|shard| &shard.start) {
        None => Duration::ZERO,
        Some(StartRule::Meet {
            limit_ns,
            margin_ns,
            ..
        }) => Duration::from_nanos(limit_ns.saturating_add(*margin_ns)),
        Some(StartRule::Relayed { limit_ns, .. }) => Duration::from_nanos(*limit_ns),
        Some(StartRule::At { unix_us }) => instant_of(*unix_us).map_or(Duration::ZERO, |start| {
            start.saturating_duration_since(Instant::now())
        }),
    }
}

/// Waits until `lead` before the start; `None` if nobody shares it.
pub(super) async fn wait<R: Runtime>(
    runtime: &R,
    plan: &WorkerPlan,
    lead: Duration,
) -> Result<Option<Start>, RoundError> {
    let Some(WorkerShard { shard, start }) = &plan.shard else {
        return Ok(None);
    };
    let unix_us = match start {
        StartRule::At { unix_us } => *unix_us,
        StartRule::Meet {
            store,
            limit_ns,
            margin_ns,
        } => {
            let (limit, margin) = (Duration::from_nanos(*limit_ns), *margin_ns);
            let margin = Duration::from_nanos(margin);
            let meeting = Meeting::in_directory(store);
            let mut waiting = Waiting::ready(meeting, *shard, plan.round, limit, margin)?;
            look_until_known(runtime, || waiting.look()).await?
        }
        StartRule::Relayed { directory, .. } => {
            let relay = Relay::new(directory.clone());
            relay.ready()?;
            look_until_known(runtime, || relay.look()).await?
        }
    };
    let instant = instant_of(unix_us)?;
    runtime.sleep_until(instant - lead).await;
    Ok(Some(Start { unix_us, instant }))
}

/// The common start in Unix time, in µs. The supervisor bounds the wait.
async fn look_until_known<R: Runtime>(
    runtime: &R,
    mut look: impl FnMut() -> Result<Look, MeetingError>,
) -> Result<u64, MeetingError> {
    loop {
        match look()? {
            Look::Start(unix_us) => return Ok(unix_us),
            Look::Again(pause) => runtime.sleep_until(Instant::now() + pause).await,
        }
    }
}
