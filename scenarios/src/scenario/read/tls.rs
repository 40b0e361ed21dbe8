//! Reads the TLS settings, and the files that they name.

use std::fs;

use photofinish_record::{TlsSettings, Verification};

use super::super::flaw::Flaw;
use super::super::format::TlsSection;
use super::{Reader, path};
use photofinish_workloads::protocol::tls::TlsConfig;

impl Reader<'_> {
    /// The settings of the section.
    pub(super) fn tls(&mut self, section: TlsSection) -> Option<TlsSettings> {
        let mut settings = TlsSettings {
            ca: self.tls_file("ca", section.ca)?,
            cert: self.tls_file("cert", section.cert)?,
            key: self.tls_file("key", section.key)?,
            server_name: section.server_name,
            // The system's authorities are not needed to find flaws.
            verification: Verification::Nothing,
            full_handshakes: section.resumption == Some(false),
            versions: section.versions,
        };
        if settings.ca.is_some() {
            settings.verification = Verification::Full;
        }
        if let Err(error) = TlsConfig::new(&settings, "localhost", Vec::new) {
            let path = path(["tls"])
                .into_iter()
                .chain(error.key().map(str::to_owned));
            self.add(Flaw::wrong(path.collect(), error.to_string(), ""));
            return None;
        }
        settings.verification = if section.insecure {
            Verification::Nothing
        } else {
            Verification::Full
        };
        Some(settings)
    }

    /// The contents of the file that `key` names; the outer `None` after a flaw.
    fn tls_file(&mut self, key: &str, file: Option<String>) -> Option<Option<String>> {
        let Some(file) = file else { return Some(None) };
        match fs::read_to_string(self.document.source.directory.join(&file)) {
            Ok(contents) => Some(Some(contents)),
            Err(error) => {
                let message = format!("cannot read `{file}`: {error}");
                let label = "expected a file in PEM format, relative to this one";
                self.add(Flaw::wrong(path(["tls", key]), message, label));
                None
            }
        }
    }
}
