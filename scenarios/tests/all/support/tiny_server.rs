//! The socket around a test's own server.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Serves each client in its own thread; returns the address.
pub(crate) fn start(serve: impl Fn(&TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens").to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || {
                let _ = client.set_nodelay(true);
                serve(&client);
            });
        }
    });
    address
}

/// The paths of a client's requests.
pub(crate) fn paths(client: &TcpStream) -> impl Iterator<Item = String> {
    let mut lines = BufReader::new(client).lines().map_while(Result::ok);
    std::iter::from_fn(move || {
        let request_line = lines.find(|line| line.starts_with("GET "))?;
        lines.find(String::is_empty)?;
        request_line.split(' ').nth(1).map(str::to_owned)
    })
}
