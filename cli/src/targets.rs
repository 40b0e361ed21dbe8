//! Targets: servers that are measured instead of the embedded ones.
//!
//! A kind of target is a file with a [`TargetKind`] and a line in [`KINDS`]. [`Targets`] are parsed and checked before
//! anything runs: the URL must be valid, and lead to this machine unless `--allow-remote` is given. [`ReadyTargets`]
//! have been probed, logged in to or started. A password is kept here and passed only to the worker.

mod client;
mod connection;
mod db;
mod http;
mod http2;
mod local_postgres;
mod loopback;
mod postgres;
mod postgres_client;
mod tls;
mod ws;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use photofinish_harness::os;
use photofinish_record::protocol::TargetAddress;
use photofinish_record::{PeerAddress, PlannedServer, ServerCounts, TlsSettings, Verification};
use photofinish_workloads::names::did_you_mean;
use photofinish_workloads::protocol::http::unaskable;
use url::Url;

use crate::cleaning;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::store::redaction;

pub use connection::{Connection, Peer};
use tls::Tls;

pub use local_postgres::guard as guard_local_postgres;
pub use loopback::addresses;

/// All kinds of targets.
const KINDS: &[&TargetKind] = &[&http::KIND, &db::KIND, &ws::KIND, &client::KIND];

/// A kind of target: a protocol, seen from the orchestrator.
struct TargetKind {
    /// Name in scenario files and after `--target`.
    name: &'static str,
    /// Embedded server for a scenario that names none.
    server: &'static str,
    schemes: &'static [&'static str],
    /// URL template for a server known only by its address, which replaces [`ADDRESS`].
    url: &'static str,
    /// The same with TLS; `None` if the kind does not support it.
    secure_url: Option<&'static str>,
    /// Options in addition to the URL: `status` makes it `--target http-status=…`.
    options: &'static [&'static str],
    /// Accepted values of `--target`, for messages.
    forms: &'static str,
    /// Beginnings of values, each with what it is, for completion.
    beginnings: &'static [(&'static str, &'static str)],
    /// Parses the value of `--target`; `None` if nothing can replace the embedded server. Errors never repeat a value:
    /// it may hold a password.
    parse: Option<Parse>,
}

impl TargetKind {
    /// The scheme that means TLS; `None` if a parameter of the URL asks for it.
    fn secure_scheme(&self) -> Option<&'static str> {
        let (scheme, _) = self.secure_url?.split_once("://")?;
        let is_distinct = !self.url.starts_with(&format!("{scheme}://"));
        is_distinct.then_some(scheme)
    }
}

type Parse = fn(&Values<'_>) -> Result<Box<dyn Target>, Failure>;

/// Placeholder in [`TargetKind::url`].
const ADDRESS: &str = "{address}";

/// Values of the `--target` options of one kind.
struct Values<'a> {
    url: &'a str,
    options: BTreeMap<&'static str, &'a str>,
    /// The section `[tls]` of the scenarios, if they have one.
    tls: Option<&'a TlsSettings>,
}

/// The HTTP versions that the scenarios of a run speak; there is at least one.
#[derive(Clone, Copy, Debug)]
pub struct HttpVersions {
    pub http1: bool,
    pub http2: bool,
}

impl Default for HttpVersions {
    fn default() -> Self {
        Self {
            http1: true,
            http2: false,
        }
    }
}

/// A target as requested: checked, but not reached yet.
trait Target: Debug {
    /// Sets the HTTP versions to probe.
    fn set_http_versions(&mut self, _: HttpVersions) {}

    /// URLs that have to lead to this machine.
    fn urls(&self) -> Vec<&Url>;

    /// Its URL without a password.
    fn safe_url(&self) -> String;

    /// Probes or starts it, on the `cpus` if it runs only for this program.
    fn start(
        self: Box<Self>,
        cpus: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Box<dyn TargetServer>, Failure>;
}

/// A server that lives as long as the run, in contrast to those that are restarted for each round.
trait TargetServer {
    /// Its URL for the worker; may hold a password.
    fn url(&self) -> &str;

    /// The name and version that it reports.
    fn software(&self) -> Option<String> {
        None
    }

    /// The address that answered when it was probed.
    fn address(&self) -> PeerAddress;

    /// TLS settings; `None` without TLS.
    fn tls(&self) -> Option<&TlsSettings> {
        None
    }

    /// Its processes, unless they are children of this one; `None` if they cannot be known.
    fn processes(&self) -> Option<Vec<u32>> {
        loopback::listeners(&self.address())
    }

    /// Its counts so far; `None` if it has none. The request for them is not counted.
    fn counts(&mut self) -> Result<Option<ServerCounts>, Failure> {
        Ok(None)
    }
}

fn kind(name: &str) -> Option<&'static TargetKind> {
    KINDS.iter().copied().find(|kind| kind.name == name)
}

/// The embedded server for a scenario that names none for `target`.
pub fn default_server(target: &str) -> Option<&'static str> {
    Some(kind(target)?.server)
}

/// URL of a server at `address` for the `target`; `None` if the kind of target is unknown.
pub fn url_at(target: &str, address: &str) -> Option<String> {
    Some(kind(target)?.url.replace(ADDRESS, address))
}

/// Like [`url_at`], with TLS; `None` if the kind of target does not support it.
pub fn secure_url_at(target: &str, address: &str) -> Option<String> {
    Some(kind(target)?.secure_url?.replace(ADDRESS, address))
}

/// True for a URL with one of the target's schemes.
pub fn is_url_of(target: &str, url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| has_scheme_of(target, &url))
}

fn has_scheme_of(target: &str, url: &Url) -> bool {
    kind(target).is_some_and(|kind| kind.schemes.contains(&url.scheme()))
}

/// Accepted values of `--target`, for messages.
fn forms() -> String {
    let forms = KINDS.iter().map(|kind| kind.forms);
    let forms: Vec<_> = forms.filter(|forms| !forms.is_empty()).collect();
    format!("write {}", forms.join(", "))
}

/// Beginnings of values of `--target`, each with what it is.
pub fn beginnings() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.iter().flat_map(|kind| kind.beginnings).copied()
}

/// The requested targets, by name.
#[derive(Debug, Default)]
pub struct Targets(BTreeMap<&'static str, Box<dyn Target>>);

impl Targets {
    /// Reads the values of all `--target` options, for scenarios with the section `tls`. Errors never repeat a value: it
    /// may hold a password.
    pub fn parse(
        values: &[String],
        allow_remote: bool,
        tls: Option<&TlsSettings>,
    ) -> Result<Self, Failure> {
        let refused = |message: String| Err(Failure::usage(message).hint(forms()));
        let mut given = BTreeMap::new();
        for value in values {
            let named = value
                .split_once('=')
                .filter(|(name, _)| !name.contains(':'));
            let Some((name, rest)) = named else {
                return refused("--target needs a name and a URL".to_owned());
            };
            if given.insert(name.to_owned(), rest).is_some() {
                return refused(format!("--target {name}=… was given twice"));
            }
        }
        let mut targets = Self::default();
        for kind in KINDS {
            let Some(parse) = kind.parse else { continue };
            let url = given.remove(kind.name);
            let mut options = BTreeMap::new();
            for option in kind.options {
                let name = format!("{}-{option}", kind.name);
                let Some(value) = given.remove(&name) else {
                    continue;
                };
                if url.is_none() {
                    return refused(format!("--target {name}=… needs --target {}=…", kind.name));
                }
                options.insert(*option, value);
            }
            let Some(url) = url else { continue };
            if tls.is_some() && kind.secure_url.is_none() {
                return refused(format!(
                    "the scenario has a section `[tls]`, and the target `{}` does not speak TLS",
                    kind.name
                ));
            }
            let values = Values { url, options, tls };
            targets.0.insert(kind.name, parse(&values)?);
        }
        if let Some((name, _)) = given.first_key_value() {
            let unknown = Failure::usage(format!("unknown target `{name}`"));
            return Err(
                match did_you_mean(name, KINDS.iter().map(|kind| kind.name)) {
                    Some(meant) => unknown.hint(format!("did you mean `{meant}`?")),
                    None => unknown.hint(forms()),
                },
            );
        }
        if !allow_remote {
            let mut urls = targets.0.values().flat_map(|target| target.urls());
            urls.try_for_each(loopback::require)?;
        }
        Ok(targets)
    }

    /// The same targets, probed with these HTTP versions.
    #[must_use]
    pub fn with_http_versions(mut self, versions: HttpVersions) -> Self {
        let targets = self.0.values_mut();
        targets.for_each(|target| target.set_http_versions(versions));
        self
    }

    /// Their entries in a plan.
    pub fn planned(&self) -> BTreeMap<String, PlannedServer> {
        self.0
            .iter()
            .map(|(name, target)| ((*name).to_owned(), external(target.safe_url())))
            .collect()
    }

    /// Probes and starts them.
    pub fn start(self, cpus: &[usize], interrupt: &Interrupt) -> Result<ReadyTargets, Failure> {
        let started = self
            .0
            .into_iter()
            .map(|(name, target)| Ok((name, target.start(cpus, interrupt)?)));
        Ok(ReadyTargets(started.collect::<Result<_, Failure>>()?))
    }
}

/// Reads the URL of a server of the kind `scheme`, with or without TLS, and without a user.
fn server_url(scheme: &str, text: &str) -> Result<Url, Failure> {
    let wrong =
        |message: &str| Failure::usage(format!("--target {scheme}: {message}")).hint(forms());
    if !text.contains("://") {
        return Err(wrong(&format!("a URL begins with {scheme}://"))
            .hint(format!("write --target {scheme}={scheme}://HOST:PORT/")));
    }
    let mut url = Url::parse(text).map_err(|error| wrong(&format!("not a URL: {error}")))?;
    if !has_scheme_of(scheme, &url) {
        return Err(wrong(&format!(
            "the URL must begin with {scheme}:// or {scheme}s://"
        )));
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err(wrong("a user name in the URL is not supported"));
    }
    let (_, rest) = text.trim().split_once("://").unwrap_or_default();
    let path = rest
        .find(['/', '?', '#'])
        .map_or("", |start| &rest[start..]);
    if let Some(message) = unaskable(path) {
        return Err(wrong(&message));
    }
    loopback::name_address(&mut url);
    Ok(url)
}

/// A connection to the server at `url`, one of whose addresses has to accept it, with the handshake of `tls`.
fn connect(
    url: &Url,
    protocol: &'static str,
    tls: Option<&Tls>,
    interrupt: &Interrupt,
) -> Result<Connection, Failure> {
    let peer = Peer {
        name: redaction::url(url),
        protocol,
        hint: "start the server, or omit --target to use the embedded one",
    };
    let connection = Connection::open(peer, &loopback::addresses(url)?, interrupt)?;
    match tls {
        None => Ok(connection),
        Some(tls) => connection.secure(&tls.config),
    }
}

/// A server in a plan, before it is probed.
fn external(url: String) -> PlannedServer {
    PlannedServer::External {
        url,
        software: None,
        address: None,
        tls: None,
        cpus: None,
    }
}

/// The CPUs that processes may use; `None` if there are none on this machine.
fn cpus_of(processes: &[u32]) -> Option<Vec<usize>> {
    let cpus = processes.iter().copied().filter_map(os::cpus_of_process);
    let cpus = BTreeSet::from_iter(cpus.flatten());
    (!cpus.is_empty()).then(|| Vec::from_iter(cpus))
}

/// The targets of a run, ready to be measured, by name.
pub struct ReadyTargets(BTreeMap<&'static str, Box<dyn TargetServer>>);

/// Counts of targets at some moment, by name.
pub type TargetCounts = BTreeMap<String, ServerCounts>;

impl ReadyTargets {
    /// Adds the findings of the probe of the target `name` to a planned server.
    pub fn complete(&self, name: &str, planned: &mut PlannedServer) {
        if let (
            Some(target),
            PlannedServer::External {
                software,
                address,
                tls,
                cpus,
                ..
            },
        ) = (self.0.get(name), planned)
        {
            *tls = target.tls().map(TlsSettings::without_files);
            *software = target.software().as_deref().map(cleaning::one_line);
            *address = Some(target.address());
            *cpus = target.processes().and_then(|processes| cpus_of(&processes));
        }
    }

    /// Address of the target `name` for the worker. The URL has a path if the URL in the plan, `planned`, has one.
    pub fn address(&self, name: &str, planned: &str) -> Option<TargetAddress> {
        let target = self.0.get(name)?;
        let mut url = target.url().to_owned();
        if !planned.ends_with('/') && url.strip_suffix('/') == Some(planned) {
            url.pop();
        }
        Some(TargetAddress {
            url,
            address: Some(target.address()),
            mock: false,
            tls: target.tls().cloned(),
        })
    }

    /// A warning for each target whose certificate is not verified.
    pub fn unverified(&self) -> impl Iterator<Item = String> {
        let unverified = self.0.iter().filter(|(_, target)| {
            let tls = target.tls();
            tls.is_some_and(|tls| tls.verification == Verification::Nothing)
        });
        unverified.map(|(name, _)| {
            format!(
                "the certificate of the target `{name}` was not verified (insecure): any server that answers at its \
                 address is measured"
            )
        })
    }

    /// The processes of all targets; `None` if those of one cannot be known.
    pub fn processes(&self) -> Option<Vec<u32>> {
        let each: Option<Vec<_>> = self.0.values().map(|target| target.processes()).collect();
        Some(each?.concat())
    }

    /// Counts so far of those targets among `names` that have any.
    pub fn counts<'a>(
        &mut self,
        names: impl Iterator<Item = &'a String>,
    ) -> Result<TargetCounts, Failure> {
        let mut all = TargetCounts::new();
        for name in names {
            let target = self.0.get_mut(name.as_str());
            if let Some(counts) = target.map(|target| target.counts()).transpose()?.flatten() {
                all.insert(name.clone(), counts);
            }
        }
        Ok(all)
    }
}

/// Counts between two moments.
pub fn counted_between(before: &TargetCounts, after: TargetCounts) -> TargetCounts {
    after
        .into_iter()
        .filter_map(|(name, after)| {
            let before = before.get(&name)?;
            Some((name, difference(before, &after)))
        })
        .collect()
}

fn difference(before: &ServerCounts, after: &ServerCounts) -> ServerCounts {
    let minus = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
    ServerCounts {
        requests: minus(after.requests, before.requests),
        bytes_in: minus(after.bytes_in, before.bytes_in),
        bytes_out: minus(after.bytes_out, before.bytes_out),
        connections: minus(after.connections, before.connections),
        transactions: minus(after.transactions, before.transactions),
        // A peak is not a sum: that of an earlier round cannot be subtracted from it.
        peak_in_flight: None,
        cpu_user_ns: minus(after.cpu_user_ns, before.cpu_user_ns),
        cpu_system_ns: minus(after.cpu_system_ns, before.cpu_system_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(values: &[&str]) -> Failure {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        Targets::parse(&values, false, None).expect_err("must be refused")
    }

    #[test]
    fn targets_that_make_no_sense_are_usage_errors_that_repeat_no_password() {
        for values in [
            &["http"][..],
            &["htp=http://127.0.0.1:1"],
            &["http=wss://127.0.0.1:1"],
            &["http=http://127.0.0.1:1", "http-ca=/dev/null"],
            &["http=https://127.0.0.1:1", "http-ca=/nowhere"],
            &["http=https://127.0.0.1:1", "http-ca=/dev/null"],
            &["http=https://127.0.0.1:1", "http-insecure=yes"],
            &[
                "http=https://127.0.0.1:1",
                "http-insecure=true",
                "http-cert=/dev/null",
            ],
            &["http=https://192.0.2.1:1", "http-insecure=true"],
            &["http=127.0.0.1:1"],
            &["db=postgres://ann:s3cret@127.0.0.1:port/d"],
            &["db=mysql://ann:s3cret@127.0.0.1:1/d"],
            &["db=postgres://ann:s3cret@192.0.2.1:5432/d"],
            &["db=local", "db=local"],
            &["http-status=http://127.0.0.1:1/status"],
            &["http=http://192.0.2.1:80"],
            &["ws=http://127.0.0.1:1"],
            &["ws=https://127.0.0.1:1"],
            &["ws=ws://ann:s3cret@127.0.0.1:1"],
            &["ws=ws://192.0.2.1:80"],
        ] {
            let failure = refusal(values);
            assert_eq!(failure.exit(), crate::exit::Exit::Usage, "{values:?}");
            assert!(!failure.to_string().contains("s3cret"), "{failure}");
        }
    }

    /// Every kind in the list obeys the rules on which the rest of the program relies.
    #[test]
    fn each_kind_of_target_reads_its_own_url_and_no_other() {
        let parse = |value: String, allow_remote| Targets::parse(&[value], allow_remote, None);
        for kind in KINDS {
            let name = kind.name;
            let server = photofinish_servers::find(kind.server);
            assert!(server.is_some(), "{name}: no server `{}`", kind.server);
            for (value, _) in kind.beginnings {
                assert!(value.starts_with(name), "{value}");
            }
            assert!(KINDS.iter().filter(|other| other.name == name).count() == 1);
            let url = url_at(name, "127.0.0.1:1").expect("it is in the list");
            assert_eq!(url.matches("127.0.0.1:1").count(), 1, "{url}");
            let Some(_) = kind.parse else {
                parse(format!("{name}={url}"), false).expect_err("only the embedded server");
                continue;
            };
            assert!(forms().contains(&format!("{name}=")), "{}", forms());
            let planned = parse(format!("{name}={url}"), false).expect(name).planned();
            assert_eq!(planned.keys().collect::<Vec<_>>(), [name]);
            let elsewhere = format!("{name}={}", url_at(name, "192.0.2.1:1").expect("as above"));
            parse(elsewhere.clone(), false).expect_err("another machine");
            parse(elsewhere, true).expect(name);
            for wrong in ["gopher://127.0.0.1:1", "127.0.0.1:1", ""] {
                let failure = parse(format!("{name}={wrong}"), false).expect_err("no such URL");
                assert_eq!(failure.exit(), crate::exit::Exit::Usage, "{name}={wrong}");
            }
            for option in kind.options {
                let alone = parse(format!("{name}-{option}={url}"), false).expect_err("alone");
                assert!(
                    alone
                        .to_string()
                        .contains(&format!("needs --target {name}="))
                );
            }
        }
    }

    #[test]
    fn a_missing_server_is_reported_with_a_hint() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = closed.local_addr().expect("an address");
        drop(closed);
        for value in [
            format!("http=http://{address}/"),
            format!("ws=ws://{address}/"),
        ] {
            let targets = Targets::parse(&[value], false, None).expect("a URL");
            let started = targets.start(&[], &Interrupt::default());
            let failure = started.err().expect("refused");
            assert_eq!(failure.exit(), crate::exit::Exit::CouldNotRun);
            let message = failure.to_string();
            assert!(message.contains("hint: start the server"), "{message}");
        }
    }

    #[test]
    fn a_remote_target_is_accepted_when_allowed() {
        let values = ["http=http://192.0.2.1:80/x".to_owned()];
        let planned = Targets::parse(&values, true, None)
            .expect("allowed")
            .planned();
        assert_eq!(planned["http"], external("http://192.0.2.1/x".to_owned()));
    }

    #[test]
    fn the_plan_contains_no_password() {
        let values = ["db=postgres://ann:s3cret@127.0.0.1:5432/d".to_owned()];
        let planned = Targets::parse(&values, false, None)
            .expect("loopback")
            .planned();
        assert_eq!(
            planned["db"],
            external("postgres://ann@127.0.0.1:5432/d".to_owned())
        );
    }
}
