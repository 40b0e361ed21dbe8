//! Photofinish's embedded servers, run on their own: `photofinish serve`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::{Server, Settings};
use crate::child::Background;
use crate::failure::{Failure, OrFail as _};
use crate::photofinish::clean_command;

pub(super) fn start(settings: &Settings, name: &str, behaviour: &str) -> Result<Server, Failure> {
    let mut command = clean_command(&settings.program, &settings.directory);
    command.args(["serve", name, "--behaviour", behaviour]);
    command.arg("--cpus").arg(settings.cpu.to_string());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = Background::spawn(command, Some(settings.cpu))?;
    let mut line = String::new();
    let stdout = process.take_stdout().expect("stdout is piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .or_fail("read the address of the embedded server")?;
    let port = port_in(&line);
    let port = port.ok_or_else(|| {
        Failure::new(format!(
            "expected the address of the server `{name}`, got `{}`",
            line.trim()
        ))
    })?;
    Ok(Server::new(process, port))
}

/// The port of the `address` in a ready line.
fn port_in(line: &str) -> Option<u16> {
    let ready: Value = serde_json::from_str(line).ok()?;
    let (_, port) = ready["address"].as_str()?.rsplit_once(':')?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_ready_line() {
        assert_eq!(
            port_in(r#"{"ready": "http", "address": "127.0.0.1:4321"}"#),
            Some(4321)
        );
        assert_eq!(port_in(r#"{"address": "[::1]:4321"}"#), Some(4321));
        assert_eq!(port_in(r#"{"ready": "http"}"#), None);
        assert_eq!(port_in(""), None);
    }
}
