//! Embedded servers that the first shard runs for all shards of a run: where they are, and when all have finished with them.
//!
//! Servers live for a round. The first shard says where each listens; when its worker has ended, it waits for the others'
//! workers, so that the servers' counts are those of the whole round. `merge` compares them with the traffic of all shards.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use photofinish_harness::meeting::{Meeting, MeetingError};
use photofinish_harness::os;

use super::ShardedRun;
use crate::cleaning;
use crate::exit::{Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::process::server::own_address;

/// The servers of one round.
pub struct Served<'a> {
    run: &'a ShardedRun,
    meeting: &'a Meeting,
    address: IpAddr,
    round: u64,
}

/// The server behind a target.
pub struct ServerAddress {
    /// `HOST:PORT`.
    pub authority: String,
    pub address: SocketAddr,
}

impl<'a> Served<'a> {
    pub fn new(run: &'a ShardedRun, meeting: &'a Meeting, address: IpAddr, round: u64) -> Self {
        Self {
            run,
            meeting,
            address,
            round,
        }
    }

    /// The address at which this shard has to start servers; `None` if another one does.
    pub fn listen(&self) -> Option<IpAddr> {
        (self.run.shard().index() == 0).then_some(self.address)
    }

    fn name(&self, target: &str) -> String {
        format!("target/{}/{target}", self.round)
    }

    /// Says where the server behind `target` listens.
    pub fn publish(&self, target: &str, listens: SocketAddr) -> Result<(), Failure> {
        let host = os::host_name().filter(|_| listens.ip().is_unspecified());
        let authority = match host {
            Some(host) => format!("{host}:{}", listens.port()),
            None => own_address(listens).to_string(),
        };
        let created = self
            .meeting
            .create(&self.name(target), authority.as_bytes());
        created.map(drop).map_err(|error| self.run.failure(error))
    }

    /// Waits until the first shard has said where the server behind `target` listens.
    pub fn find(&self, target: &str, interrupt: &Interrupt) -> Result<ServerAddress, Failure> {
        let name = self.name(target);
        let what = format!("serving `{target}` for round {}", self.round);
        let content = self.run.wait_for(
            self.meeting,
            &what,
            interrupt,
            &mut || Ok(vec![0]),
            &mut || self.meeting.find(&name),
        )?;
        let authority = String::from_utf8_lossy(&content).into_owned();
        let shown = cleaning::one_line(&cleaning::cut(&authority, 80));
        let addresses = authority.to_socket_addrs();
        let mut addresses =
            addresses.or_fail(format!("cannot find the server of `{target}`, `{shown}`"))?;
        let may_load =
            |address: &SocketAddr| address.ip().is_loopback() || !self.address.is_loopback();
        let address = addresses.find(may_load).ok_or_else(|| {
            Failure::could_not_run(format!(
                "the server of `{target}`, `{shown}`, is not at {}",
                self.address
            ))
        })?;
        Ok(ServerAddress { authority, address })
    }

    /// Says that this shard's worker has ended; the first shard waits until all have.
    pub fn finish(&self, interrupt: &Interrupt) -> Result<(), Failure> {
        let (folder, shard) = (format!("done/{}", self.round), self.run.shard());
        let failed = |error: MeetingError| self.run.failure(error);
        let created = self
            .meeting
            .create(&format!("{folder}/{}", shard.index()), &[]);
        created.map_err(failed)?;
        if shard.index() != 0 {
            return Ok(());
        }
        let what = format!("done with round {}", self.round);
        let missing = || self.meeting.missing(&folder, shard.count());
        self.run.wait_for(
            self.meeting,
            &what,
            interrupt,
            &mut || missing(),
            &mut || Ok(missing()?.is_empty().then_some(())),
        )
    }
}
