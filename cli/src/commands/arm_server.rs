//! `photofinish arm-server`: guards the server of an arm. Internal.
//!
//! See `arms::server`.

use std::io;

use clap::Args;
use serde::Deserialize;

use crate::arms;
use crate::exit::{Exit, Failure, OrFail};
use crate::process::guard;
use crate::request::placement::CpuList;

/// Runs a server's command, which is in the first line of stdin; stops it when stdin closes
#[derive(Args)]
pub struct ArmServer {
    /// CPUs to use
    #[arg(long)]
    cpus: CpuList,
}

/// The first line of stdin. `{port}` is replaced by the port.
#[derive(Deserialize)]
struct Order {
    command: String,
    probe: arms::server::Probe,
    /// True if it did not end in time before.
    stubborn: bool,
}

impl ArmServer {
    pub fn execute(self) -> Result<Exit, Failure> {
        let mut order = String::new();
        let read = io::stdin().read_line(&mut order);
        read.or_fail("the guard process cannot read its command")?;
        let order: Order =
            serde_json::from_str(&order).or_fail("the guard process got no valid command")?;
        let guarded =
            arms::server::guard(&order.command, &order.probe, order.stubborn, &self.cpus.0);
        if let Err(failure) = &guarded {
            guard::report(failure)?;
        }
        guarded.map(|()| Exit::Done)
    }
}
