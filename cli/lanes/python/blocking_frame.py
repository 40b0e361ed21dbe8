"""A round of blocking code: what all workloads of the lanes `python-sync` and `python-threads` have in common.

What an operation does at once is up to the lane: in turn under `python-sync`, on a thread pool of the session's own under
`python-threads`.
"""

import copy

import frame
from blocking_open import run_open
from frame import Phase
from open_phase import OpenPhase

TIMEOUT_S = 10


class Workload:
    """A workload of one round; `operate` gets what `open` returns."""

    # Packages that it needs beyond those of the lane.
    PACKAGES = ()

    def __init__(self, round_):
        self.round = round_
        self.params = round_.params
        self.lane = round_.lane

    def prepare(self):
        pass

    def open(self):
        return None

    def close(self, session):
        pass

    def violations(self, totals):
        return []

    def finish(self, totals):
        """Violations that only the end of the round shows."""
        return []

    def abandon(self):
        """After a failure."""


class AtOnce(Workload):
    """A workload whose sessions are no more than a way to run calls at once: as many as `calls`."""

    calls = 1

    def open(self):
        return self.lane.AtOnce(self.calls)

    def close(self, session):
        session.close()


class InTurn:
    """Runs calls one after the other."""

    def __init__(self, _):
        pass

    def __call__(self, calls):
        return [call(*arguments) for call, *arguments in calls]

    def outcomes(self, calls):
        """The results, with the errors of calls that failed among them."""
        return [outcome(call, *arguments) for call, *arguments in calls]

    def completed(self, calls):
        """The results in the order in which they are there."""
        for call, *arguments in calls:
            yield call(*arguments)

    def close(self):
        pass


def outcome(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:
        return error


def nothing(session, op):
    pass


def run(workload, round_):
    """One round: set-up, warm-up, overhead, measurement, checks."""
    lane = round_.lane
    workload.prepare()
    sessions = lane.sessions(round_)
    opened = [workload.open() for _ in range(sessions)]
    before = copy.deepcopy(round_.traffic)
    histogram = frame.AuditedHistogram if round_.audited else frame.Histogram

    def phase(stop, first_op, operate):
        part = Phase(stop, first_op, sessions, histogram=histogram)
        lane.run_sessions(part, operate, opened)
        return part

    warmup = phase(round_.plan["warmup"], frame.FIRST_WARMUP_OP, workload.operate)
    overhead = phase({"duration_ns": frame.OVERHEAD_NS}, 0, nothing)
    round_.forget()
    cost = frame.Cost()
    if "arrivals" in round_.plan:
        measured = OpenPhase(round_.plan, sessions, histogram)
        run_open(measured, workload.operate, opened)
    else:
        measured = phase(round_.plan["stop"], 0, workload.operate)
    spent = cost.since()
    # Sessions are still in operations that were given up: nothing can be closed or checked.
    if measured.unfinished:
        return frame.measurement(round_, warmup, overhead, measured, spent, sessions, [])
    for session in opened:
        workload.close(session)
    totals = frame.Totals(round_, before, warmup, measured)
    violations = workload.violations(totals) + workload.finish(totals)
    return frame.measurement(round_, warmup, overhead, measured, spent, sessions, violations)


def measure(workload_class, round_):
    workload = workload_class(round_)
    try:
        return run(workload, round_)
    except BaseException:
        workload.abandon()
        raise
