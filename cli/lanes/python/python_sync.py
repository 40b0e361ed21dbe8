"""The lane `python-sync`: one session, one operation after another, in blocking code on the main thread."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import blocking
import frame

NAME = "python-sync"
FAMILY = "sequential"
STACK = "Python"
SUMMARY = "CPython: blocking calls, one session on the main thread (http.client)"
WORKLOADS = blocking.WORKLOADS


def run_sessions(phase, operate, sessions):
    phase.run(operate, sessions[0], 0)


def measure(workload, round_):
    return blocking.measure(workload, round_, 1, run_sessions, blocking.InTurn, 1)


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
