//! Loopback addresses: without `--allow-remote`, load goes to this machine only.
//!
//! A name is resolved, and all of its addresses must be loopback addresses. No connection is made here.

use std::net::{SocketAddr, ToSocketAddrs};

use photofinish_harness::os;
use url::Url;

use crate::exit::Failure;

/// The port for a URL whose scheme has no default port known to the parser.
const POSTGRES_PORT: u16 = 5432;

/// All addresses of the URL's host.
pub fn addresses(url: &Url) -> Result<Vec<SocketAddr>, Failure> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(POSTGRES_PORT);
    resolve(host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// All addresses of a host; there is at least one.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let unknown =
        || Failure::could_not_run(format!("unknown host `{host}`")).hint("check the spelling");
    let resolved = (host, port)
        .to_socket_addrs()
        .map_err(|error| unknown().caused_by(error))?;
    let addresses: Vec<_> = resolved.collect();
    if addresses.is_empty() {
        Err(unknown())
    } else {
        Ok(addresses)
    }
}

/// Processes on this machine that listen at the address; empty if that is another machine, `None` if they cannot be known.
pub fn listeners(address: SocketAddr) -> Option<Vec<u32>> {
    let found = os::listeners_on(address.port());
    if address.ip().is_loopback() {
        found
    } else {
        // An address of this machine on another interface finds its listener too.
        Some(found.unwrap_or_default())
    }
}

/// Rejects a URL of another machine.
pub fn require(url: &Url) -> Result<(), Failure> {
    let remote = addresses(url)?
        .into_iter()
        .find(|address| !address.ip().is_loopback());
    match remote {
        None => Ok(()),
        Some(address) => Err(Failure::usage(format!("{} is not this machine", address.ip())).hint(
            "load on a machine that is not yours to load is an attack; if it is yours, add --allow-remote",
        )),
    }
}
