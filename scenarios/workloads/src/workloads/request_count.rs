//! Compares the requests of a round with the number that its operations have to make.
//!
//! A correct answer does not show that it was requested: one left in a buffer by the previous operation is as correct
//! as a new one. So the exchanges that the workload counted since `prepare` are compared with its operations; the
//! comparison with the server's count is made by the program that sees both. Nothing is checked once an operation has
//! failed, since it is unknown how far it got.

use photofinish_harness::workload::Totals;

/// A violation unless each operation made `each` requests to `target`.
pub(super) fn wrong_requests(totals: &Totals, target: &str, each: u64) -> Vec<String> {
    wrong_requests_beside(totals, target, each, 0)
}

/// Like [`wrong_requests`], with `others` that belong to no operation.
pub(super) fn wrong_requests_beside(
    totals: &Totals,
    target: &str,
    each: u64,
    others: u64,
) -> Vec<String> {
    let Totals {
        succeeded, failed, ..
    } = *totals;
    let requests = totals.traffic[target].requests.saturating_sub(others);
    let expected = succeeded * each;
    if failed > 0 || requests == expected {
        return Vec::new();
    }
    vec![format!(
        "expected {expected} requests to `{target}` ({succeeded} operations × {each}), counted {requests}"
    )]
}

/// A violation unless the requests that operations began are those that were counted on the wire: none more were answered,
/// and none is missing, whatever became of it.
pub(super) fn unequal_requests(totals: &Totals, target: &str, begun: u64) -> Vec<String> {
    let traffic = &totals.traffic[target];
    let abandoned = traffic.abandoned + traffic.abandoned_connections;
    if (traffic.requests..=traffic.requests + abandoned).contains(&begun) {
        return Vec::new();
    }
    vec![format!(
        "expected {begun} requests to `{target}`, as many as operations began, counted {} and {abandoned} abandoned",
        traffic.requests
    )]
}

#[cfg(test)]
mod tests {
    use photofinish_record::Traffic;

    use super::super::tallies::totals;
    use super::*;

    #[test]
    fn unrequested_and_duplicate_responses_are_caught() {
        let violations = |requests, failed, others| {
            let traffic = Traffic {
                requests,
                ..Traffic::default()
            };
            let totals = totals(10, failed, "http", traffic);
            wrong_requests_beside(&totals, "http", 3, others)
        };
        let none: [&str; 0] = [];
        assert_eq!(violations(30, 0, 0), none);
        assert_eq!(violations(34, 0, 4), none);
        for requests in [29, 31] {
            let expected =
                format!("expected 30 requests to `http` (10 operations × 3), counted {requests}");
            assert_eq!(violations(requests, 0, 0), [expected]);
        }
        // The number of requests made by a failed operation is unknown.
        assert_eq!(violations(32, 1, 0), none);
    }
}
