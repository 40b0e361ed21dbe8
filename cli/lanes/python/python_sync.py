"""The lane `python-sync`: one session, one operation after another, in blocking code on the main thread."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import blocking_db
import blocking_files
import blocking_http
import blocking_site
import blocking_tasks
import blocking_ws
import frame
from blocking_frame import InTurn, measure

NAME = "python-sync"
FAMILY = "sequential"
STACK = "Python"
SUMMARY = "CPython: blocking calls, one session on the main thread (http.client, psycopg)"
PACKAGES = ()
WORKLOADS = {
    **blocking_tasks.IN_TURN,
    **blocking_http.WORKLOADS,
    **blocking_site.WORKLOADS,
    **blocking_files.WORKLOADS,
    **blocking_db.IN_TURN,
    **blocking_ws.WORKLOADS,
}
IS_CONCURRENT = False
AtOnce = InTurn


def sessions(round_):
    return 1


def run_sessions(phase, operate, sessions):
    phase.run(operate, sessions[0], 0)


if __name__ == "__main__":
    frame.main(sys.modules[__name__])
