//! TLS settings for a target: those of the scenario's section `[tls]`, replaced by options such as
//! `--target http-ca=FILE`.
//!
//! Files are read here, before anything runs: the plan of a worker holds their contents.

use std::fs;

use photofinish_record::{TlsSettings, Verification};
use photofinish_workloads::protocol::postgres::PgTarget;
use photofinish_workloads::protocol::tls::{TlsConfig, system_roots};
use url::Url;

use super::{TargetKind, Values, forms};
use crate::exit::Failure;

/// Options of the kinds of targets that speak TLS.
pub const OPTIONS: [&str; 5] = ["ca", "cert", "key", "server-name", "insecure"];

/// TLS towards one target.
#[derive(Clone, Debug)]
pub struct Tls {
    pub settings: TlsSettings,
    pub config: TlsConfig,
}

/// TLS towards a target at `url`; `None` if its URL does not ask for it.
pub(super) fn of(
    kind: &TargetKind,
    url: &Url,
    values: &Values<'_>,
) -> Result<Option<Tls>, Failure> {
    let name = kind.name;
    let refused = |message| Failure::usage(message).hint(forms());
    if kind.secure_scheme() != Some(url.scheme()) {
        let given = OPTIONS
            .iter()
            .find(|option| values.options.contains_key(**option));
        return match (given, values.tls) {
            (Some(option), _) => Err(refused(format!(
                "--target {name}-{option}=… needs a URL that begins with {name}s://"
            ))),
            (None, Some(_)) => Err(refused(format!(
                "the scenario has a section `[tls]`, and the URL of --target {name} does not begin with {name}s://"
            ))),
            (None, None) => Ok(None),
        };
    }
    let settings = settings(name, values)?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let hint = format!("--target {name}-ca=FILE names a PEM file, as does `ca` in `[tls]`");
    Tls::new(name, settings, host, &hint).map(Some)
}

/// TLS settings for a database whose URL asks for it; the section `[tls]` names the files that the URL does not.
pub fn of_database(
    target: &PgTarget,
    section: Option<&TlsSettings>,
) -> Result<Option<Tls>, Failure> {
    let name = "db";
    let Some(tls) = &target.tls else {
        return match section {
            None => Ok(None),
            Some(_) => Err(Failure::usage(format!(
                "the scenario has a section `[tls]`, but the URL of --target {name} has no sslmode that requires TLS"
            ))
            .hint("add sslmode=verify-full to the URL")),
        };
    };
    let mut settings = section.cloned().unwrap_or_default();
    settings.verification = tls.verification;
    for (parameter, file, setting) in [
        ("sslrootcert", &tls.root_cert, &mut settings.ca),
        ("sslcert", &tls.cert, &mut settings.cert),
        ("sslkey", &tls.key, &mut settings.key),
    ] {
        if let Some(file) = file {
            let named = format!("--target {name}: {parameter}");
            *setting = Some(read(&named, file, &format!("{parameter}=FILE"))?);
        }
    }
    let hint = "sslrootcert=FILE, sslcert=FILE and sslkey=FILE in the URL name PEM files";
    Tls::new(name, settings, target.location.name(), hint).map(Some)
}

impl Tls {
    /// TLS to `host` with these settings; `hint` is the advice for unusable settings.
    fn new(name: &str, settings: TlsSettings, host: &str, hint: &str) -> Result<Self, Failure> {
        let config = TlsConfig::new(&settings, host, system_roots)
            .map_err(|error| Failure::usage(format!("--target {name}: {error}")).hint(hint))?;
        Ok(Self { settings, config })
    }
}

fn settings(name: &str, values: &Values<'_>) -> Result<TlsSettings, Failure> {
    let mut settings = values.tls.cloned().unwrap_or_default();
    for (option, value) in &values.options {
        let text = || Some((*value).to_owned());
        match *option {
            "ca" => settings.ca = Some(contents(name, option, value)?),
            "cert" => settings.cert = Some(contents(name, option, value)?),
            "key" => settings.key = Some(contents(name, option, value)?),
            "server-name" => settings.server_name = text(),
            "insecure" if *value == "true" => settings.verification = Verification::Nothing,
            "insecure" if *value == "false" => settings.verification = Verification::Full,
            "insecure" => {
                let message = format!("--target {name}-insecure: expected true or false");
                return Err(Failure::usage(message).hint(format!(
                    "write --target {name}-insecure=true to accept any certificate"
                )));
            }
            _ => {}
        }
    }
    Ok(settings)
}

fn contents(name: &str, option: &str, file: &str) -> Result<String, Failure> {
    let named = format!("--target {name}-{option}");
    read(&named, file, &format!("{named}=FILE"))
}

/// Contents of a `file` given by the option or key `named`; `form` shows how to write it.
fn read(named: &str, file: &str, form: &str) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("{named}: cannot read `{file}`"))
            .caused_by(error)
            .hint(format!("write {form}, with a file in PEM format"))
    })
}
