//! A workload of your own under every runtime, as a program of its own.
//!
//! One operation sends a word to a line server and checks that the response is the word in capitals. It is written once,
//! against the traits `Runtime` and `Workload`, and runs as synchronous code, threads and tasks alike:
//!
//! ```text
//! cargo run --release --example own-workload -- run examples/own_workload.toml
//! ```
//!
//! `prepare` starts the server here, so that there is nothing to install; connect to your own server instead.
//! `docs/ADDING.md` has the rules for workloads.

use std::process::ExitCode;
use std::time::Duration;

use photofinish::harness::buffer::Buffer;
use photofinish::harness::runtime::{PeerAddress, Runtime, Stream};
use photofinish::harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish::{WorkloadEntry, run_with};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    run_with(vec![WorkloadEntry::of::<Shout>()])
}

struct Shout {
    word: String,
}

/// The table `[params]` of a scenario file.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The word to send: one line.
    word: String,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            word: "photofinish".to_owned(),
        }
    }
}

/// The state of one session, created before the clock starts.
struct Client<R: Runtime> {
    connection: R::Stream,
    line: Vec<u8>,
    expected: Vec<u8>,
    received: Buffer,
}

impl Workload for Shout {
    const ABOUT: About = About {
        name: "shout",
        class: "own",
        operation: "sends a word and receives it in capitals",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    /// The address of the server.
    type Shared<R: Runtime> = PeerAddress;
    type Session<R: Runtime> = Client<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        if params.word.is_empty() || params.word.contains('\n') {
            return Err(ParamError {
                param: "word".to_owned(),
                message: "expected one non-empty line".to_owned(),
            });
        }
        Ok(Self { word: params.word })
    }

    async fn prepare<R: Runtime>(&self, _: &Env<R>) -> Result<PeerAddress, Failure> {
        Ok(shouting_server())
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, PeerAddress>,
        _: u32,
    ) -> Result<Client<R>, Failure> {
        let line = format!("{}\n", self.word).into_bytes();
        Ok(Client {
            connection: env.runtime.connect(&env.shared).await?,
            expected: line.to_ascii_uppercase(),
            line,
            received: Buffer::with_capacity(1024),
        })
    }

    async fn operate<R: Runtime>(
        &self,
        _: &Env<R, PeerAddress>,
        client: &mut Client<R>,
        _: u64,
    ) -> Result<(), Failure> {
        client.connection.write_all(&mut client.line).await?;
        while !client.received.unread().ends_with(b"\n") {
            if client.connection.read(&mut client.received).await? == 0 {
                return Err(Failure::new(
                    Failure::SHORT,
                    "the server closed the connection",
                ));
            }
        }
        let response = client.received.unread();
        let result = if response == client.expected {
            Ok(())
        } else {
            let response = String::from_utf8_lossy(response);
            Err(Failure::wrong_content(format!(
                "expected the word in capitals, got `{}`",
                response.trim()
            )))
        };
        client.received.clear();
        result
    }
}

/// Starts a line server on a free port, with a thread per client, and returns its address.
fn shouting_server() -> PeerAddress {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a listening socket");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = client.set_nodelay(true);
                let mut responses = &client;
                for line in BufReader::new(&client).lines().map_while(Result::ok) {
                    if writeln!(responses, "{}", line.to_uppercase()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address.into()
}
