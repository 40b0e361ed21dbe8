//! The sans-IO PostgreSQL client over a blocking socket, with a configurable maximum size of reads.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use photofinish_workloads::protocol::postgres::{
    Outcome, Parameter, PgConfig, PgError, ResponseReader, Row, Startup, encode,
};

use super::backend_messages::Cells;

pub(crate) struct PgClient {
    socket: TcpStream,
    piece_bytes: usize,
    input: Vec<u8>,
    output: Vec<u8>,
    reader: ResponseReader,
}

impl PgClient {
    /// Connects to 127.0.0.1 and logs in.
    pub(crate) fn connect(
        port: u16,
        config: &PgConfig,
        piece_bytes: usize,
    ) -> Result<Self, PgError> {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_nodelay(true).unwrap();
        // Ends a hang.
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut client = PgClient {
            socket,
            piece_bytes,
            input: Vec::new(),
            output: Vec::new(),
            reader: ResponseReader::new(1 << 24),
        };
        let mut startup = Startup::begin(config, &mut client.output).unwrap();
        client.flush();
        loop {
            let advance = startup.advance(&client.input, &mut client.output)?;
            client.input.drain(..advance.consumed);
            client.flush();
            if advance.done {
                return Ok(client);
            }
            if !client.fill() {
                startup.end_of_input()?;
            }
        }
    }

    /// Runs `sql` with the simple protocol and collects the rows.
    pub(crate) fn simple(&mut self, sql: &str) -> Result<(Vec<Cells>, Outcome), PgError> {
        encode::simple(sql, &mut self.output).unwrap();
        self.collect()
    }

    /// Prepares `sql` under `name`.
    pub(crate) fn prepare(
        &mut self,
        name: &str,
        sql: &str,
        parameter_oids: &[u32],
    ) -> Result<Outcome, PgError> {
        encode::parse(name, sql, parameter_oids, &mut self.output).unwrap();
        encode::sync(&mut self.output);
        self.collect().map(|(_, outcome)| outcome)
    }

    /// Executes a prepared statement and collects the rows.
    pub(crate) fn execute(
        &mut self,
        name: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<(Vec<Cells>, Outcome), PgError> {
        encode::bind_execute(name, parameters, &mut self.output).unwrap();
        self.collect()
    }

    /// Terminates the session and waits until the server closes the connection.
    pub(crate) fn terminate(mut self) {
        encode::terminate(&mut self.output);
        self.flush();
        assert!(!self.fill(), "the server said more after the farewell");
    }

    fn collect(&mut self) -> Result<(Vec<Cells>, Outcome), PgError> {
        let mut rows = Vec::new();
        let mut sink =
            |row: Row<'_>| rows.push(row.iter().map(|cell| cell.map(<[u8]>::to_vec)).collect());
        let outcome = self.cycle(&mut sink)?;
        Ok((rows, outcome))
    }

    fn cycle(&mut self, sink: &mut impl FnMut(Row<'_>)) -> Result<Outcome, PgError> {
        self.reader.begin(&self.output);
        self.flush();
        loop {
            let advance = self.reader.advance(&self.input, sink)?;
            self.input.drain(..advance.consumed);
            if advance.done {
                return Ok(self.reader.outcome().clone());
            }
            if !self.fill() {
                self.reader.end_of_input()?;
            }
        }
    }

    fn flush(&mut self) {
        self.socket.write_all(&self.output).unwrap();
        self.output.clear();
    }

    /// Reads one piece; false at the end.
    fn fill(&mut self) -> bool {
        let start = self.input.len();
        self.input.resize(start + self.piece_bytes, 0);
        let count = self.socket.read(&mut self.input[start..]).unwrap();
        self.input.truncate(start + count);
        count > 0
    }
}
