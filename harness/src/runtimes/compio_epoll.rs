//! `compio-epoll`: compio over epoll instead of io_uring. The same executor and the same interface, so the difference
//! between the two is the gain from io_uring.

use super::compio::Compio;
use crate::runtime::{Descriptor, RuntimeConfig, StartError, SystemCalls};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "compio-epoll",
    summary: "compio over epoll: what io_uring alone is worth",
    system_calls: SystemCalls {
        per_request: "5 + 5/k",
        reason: "send, a recv that returns EAGAIN, recv, and two epoll_ctl, as a registration is made for each wait; each turn sets and \
                 registers a timer's descriptor, waits, and reads and registers an event descriptor",
    },
    ..super::compio::DESCRIPTOR
};

pub(super) fn start(_: RuntimeConfig) -> Result<Compio, StartError> {
    super::compio::start_over_epoll()
}
