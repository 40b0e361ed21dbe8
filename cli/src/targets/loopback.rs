//! Loopback addresses: without `--allow-remote`, load goes to this machine only.
//!
//! All addresses of a name must be loopback addresses or those of this machine's interfaces. No
//! connection is made here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};

use photofinish_harness::os;
use photofinish_record::PeerAddress;
use photofinish_workloads::protocol::ServerLocation;
use photofinish_workloads::protocol::http::HttpTarget;
use photofinish_workloads::protocol::postgres::PgTarget;
use url::{Host, Url};

use crate::exit::Failure;

/// All addresses of the URL's server.
pub fn addresses(url: &Url) -> Result<Vec<PeerAddress>, Failure> {
    if url.scheme() == "unix" {
        let target = HttpTarget::parse(url.as_str());
        let target = target.map_err(|error| Failure::usage(error.to_string()))?;
        return locations(&target.location);
    }
    if let Ok(target) = PgTarget::parse(url.as_str()) {
        return locations(&target.location);
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    resolve(host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// All addresses of a location.
pub fn locations(location: &ServerLocation) -> Result<Vec<PeerAddress>, Failure> {
    match location {
        ServerLocation::Host(host, port) => resolve(host, *port),
        ServerLocation::Socket(path) => Ok(vec![PeerAddress::Unix(path.clone())]),
    }
}

/// All addresses of a host; there is at least one.
fn resolve(host: &str, port: u16) -> Result<Vec<PeerAddress>, Failure> {
    let unknown =
        || Failure::could_not_run(format!("unknown host `{host}`")).hint("check the spelling");
    let resolved = (local_name(host), port)
        .to_socket_addrs()
        .map_err(|error| unknown().caused_by(error))?;
    let addresses: Vec<_> = resolved.map(PeerAddress::Tcp).collect();
    if addresses.is_empty() {
        Err(unknown())
    } else {
        Ok(addresses)
    }
}

/// The name to look up: `localhost.` and everything below it are this machine (RFC 6761, section 6.3), although few
/// resolvers know.
fn local_name(host: &str) -> &str {
    let lower = host.to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    if name == "localhost" || name.ends_with(".localhost") {
        "localhost"
    } else {
        host
    }
}

/// Processes on this machine that listen at the address; empty if that is another machine, `None` if unknown.
pub fn listeners(address: &PeerAddress) -> Option<Vec<u32>> {
    let address = match address {
        PeerAddress::Tcp(address) => address,
        PeerAddress::Unix(path) => return os::listeners_at(path),
    };
    let found = os::listeners_on(address.port());
    if is_here(address.ip()) {
        found
    } else {
        Some(found.unwrap_or_default())
    }
}

/// Names a server by an address to connect to: `0.0.0.0` and `[::]`, as servers print them, mean every address of the
/// machine they listen on.
pub fn name_address(url: &mut Url) {
    let address = match url.host() {
        Some(Host::Ipv4(Ipv4Addr::UNSPECIFIED)) | Some(Host::Domain("0.0.0.0")) => "127.0.0.1",
        Some(Host::Ipv6(Ipv6Addr::UNSPECIFIED)) => "[::1]",
        _ => return,
    };
    url.set_host(Some(address))
        .expect("a URL with a host takes another");
}

/// True for a loopback address and for one of an interface of this machine, which is the only kind of address that is
/// its own source address. Connecting a datagram socket sends nothing.
fn is_here(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((ip, 9))?;
        socket.local_addr()
    };
    ip.is_loopback() || source().is_ok_and(|source| source.ip() == ip)
}

/// Rejects a URL of another machine.
pub fn require(url: &Url) -> Result<(), Failure> {
    let remote = addresses(url)?
        .into_iter()
        .find_map(|address| match address {
            PeerAddress::Tcp(address) => Some(address.ip()).filter(|&ip| !is_here(ip)),
            PeerAddress::Unix(_) => None,
        });
    match remote {
        None => Ok(()),
        Some(ip) => Err(Failure::usage(format!("{ip} is not this machine")).hint(
            "load on a machine that is not yours to load is an attack; if it is yours, add --allow-remote",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_this_machine_is_this_machine() {
        let check = |text: &str, expected: &str| {
            let mut url = Url::parse(text).expect("a URL");
            name_address(&mut url);
            assert_eq!(url.as_str(), expected);
            require(&url).expect(text);
        };
        for (given, expected) in [
            ("0.0.0.0", "127.0.0.1"),
            ("0", "127.0.0.1"),
            ("[::]", "[::1]"),
            ("127.0.0.2", "127.0.0.2"),
            ("127.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
            ("localhost", "localhost"),
            ("LOCALHOST", "localhost"),
            ("localhost.", "localhost."),
            ("foo.localhost", "foo.localhost"),
            ("a.b.LocalHost.", "a.b.localhost."),
        ] {
            check(
                &format!("http://{given}:8000/x"),
                &format!("http://{expected}:8000/x"),
            );
        }
        check("postgres://u@0.0.0.0:1/d", "postgres://u@127.0.0.1:1/d");
        assert_eq!(local_name("notlocalhost"), "notlocalhost");
        assert_eq!(local_name("localhost.test"), "localhost.test");
        let elsewhere = Url::parse("http://192.0.2.1/").expect("a URL");
        require(&elsewhere).expect_err("a documentation address");
    }

    /// Goal: the address of an interface is this machine's. Method: the source address of a route to elsewhere, if
    /// there is a route.
    #[test]
    fn an_address_of_an_interface_is_this_machine() {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        if socket.connect("192.0.2.1:9").is_ok() {
            assert!(is_here(socket.local_addr().expect("an address").ip()));
        }
        assert!(!is_here(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
