//! The server of a run: one command for all of its cells, started anew for each round as an arm's server is.

use clap::Args;
use photofinish_record::{Plan, PlannedServer};

use crate::arms::server::check_port;
use crate::arms::sources::server_url;
use crate::exit::Failure;
use crate::request::{Additions, OwnServer};

#[derive(Args)]
#[command(next_help_heading = "What to measure")]
pub struct ServerArguments {
    /// Measure your own server, started anew for each round: its command, with {port} where its port goes
    #[arg(long, value_name = "CMD")]
    server: Option<String>,

    /// With --server: its URL [default: http://127.0.0.1:{port}, or its equivalent for the target]
    #[arg(long, value_name = "URL", requires = "server")]
    server_url: Option<String>,

    /// With --server: path that must answer with a status of 2xx before a round begins [default: the scenario's path,
    /// with any answer but 502, 503 and 504]
    #[arg(long, value_name = "PATH", requires = "server")]
    ready: Option<String>,
}

impl ServerArguments {
    /// Options added to a request.
    pub fn defaults(&self) -> Result<Additions, Failure> {
        let Some(command) = &self.server else {
            return Ok(Additions::default());
        };
        check_port("--server", command, "./server")?;
        if let Some(ready) = self.ready.as_ref().filter(|path| !is_path(path)) {
            return Err(
                Failure::usage(format!("--ready: expected a path, got `{ready}`"))
                    .hint("such as --ready /health; it is asked at the server's own port"),
            );
        }
        let own = self.server_url.clone();
        Ok(Additions {
            own_server: Some(OwnServer {
                url: Box::new(move |target| server_url(own.as_deref(), target)),
                ready: self.ready.clone(),
            }),
            ..Additions::default()
        })
    }

    /// Adds the command to the cells of a plan that use the server.
    pub fn enter(&self, plan: &mut Plan) {
        let Some(command) = &self.server else { return };
        let is_own = |server: &PlannedServer| matches!(server, PlannedServer::Arm { .. });
        let scenarios = plan.scenarios.iter();
        let with_server: Vec<&str> = scenarios
            .filter(|scenario| scenario.servers.values().any(is_own))
            .map(|scenario| scenario.name.as_str())
            .collect();
        for cell in &mut plan.cells {
            if with_server.contains(&cell.scenario.as_str()) {
                let variant = cell.variant.get_or_insert_default();
                variant.server = Some(command.clone());
            }
        }
    }
}

/// True for a path that can be put into a request line unchanged.
fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}
