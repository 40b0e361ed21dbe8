//! Certificates that openssl makes: an authority, and certificates of it.

use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use crate::support::{Finished, Sandbox, skip_without, wait_for};

/// The files of an authority in a sandbox.
pub struct Authority<'a> {
    sandbox: &'a Sandbox,
}

/// The files of a certificate.
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl<'a> Authority<'a> {
    /// A new authority; `None`, with a message, without openssl.
    pub fn new(sandbox: &'a Sandbox) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip_without("openssl");
            return None;
        }
        let authority = Self { sandbox };
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 30 -subj \
             /CN=authority -addext basicConstraints=critical,CA:TRUE",
        );
        Some(authority)
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.sandbox.path().join("ca.pem")
    }

    /// A certificate for these names, such as `DNS:localhost,IP:127.0.0.1`, valid for some days.
    pub fn certificate(&self, file: &str, names: &str, days: u32) -> Certificate {
        self.sandbox.write(
            &format!("{file}.names"),
            &format!("subjectAltName={names}\n"),
        );
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {file}.key -out {file}.csr -subj /CN={file}"
        ));
        self.openssl(&format!(
            "x509 -req -in {file}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {file}.pem -days {days} -extfile \
             {file}.names"
        ));
        let path = |end: &str| self.sandbox.path().join(format!("{file}.{end}"));
        Certificate {
            cert: path("pem"),
            key: path("key"),
        }
    }

    /// A certificate like this that has expired.
    pub fn expired(&self, file: &str, names: &str) -> Certificate {
        let certificate = self.certificate(file, names, 0);
        let check = format!("x509 -in {file}.pem -noout -checkend 0");
        wait_for("the end of a certificate", || {
            (self.command(&check).output().ok()?.status.code() == Some(1)).then_some(())
        });
        // openssl treats the last second of a certificate as expired, others do not.
        let last_s = unix_s();
        wait_for("the next second", || (unix_s() > last_s).then_some(()));
        certificate
    }

    fn openssl(&self, arguments: &str) {
        Finished::of(&mut self.command(arguments)).check(0, &[]);
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(self.sandbox.path());
        command
    }
}

fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}

impl Certificate {
    /// The directives of nginx that use it.
    pub fn nginx(&self) -> String {
        format!(
            "ssl_certificate {}; ssl_certificate_key {};",
            self.cert.display(),
            self.key.display()
        )
    }
}
