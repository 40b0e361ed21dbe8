//! One statement, compiled: its text for each protocol, and its values written straight into the message.

use photofinish_harness::workload::{Failure, ParamError};

use super::literal;
use super::spec::Protocol;
use super::text::Text;
use crate::data::{Encoding, Scope, Slot, UNFIT, Values};
use crate::protocol::postgres::{EncodeError, encode};

/// One statement of a transaction.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Its name within the transaction: `1 UPDATE`, `COMMIT`.
    pub(crate) label: String,
    /// Its number among all statements of the scenario.
    pub(crate) number: usize,
    /// Its name on the server.
    server_name: String,
    verb: String,
    /// The pieces of its text; a value stands between each two of them.
    literals: Vec<String>,
    /// The value behind each piece but the last: an index of `values`.
    order: Vec<usize>,
    /// Its text with `$1`, `$2`, …
    pub(crate) sql: String,
    /// The values of its parameters, in their order.
    pub(crate) values: Vec<Value>,
    /// The expected number of rows.
    pub(super) rows: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) slot: Slot,
}

/// Types that are sent in binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
}

impl Statement {
    /// Compiles a text at `path`.
    pub(super) fn compile(
        sql: &str,
        path: &str,
        number: usize,
        scope: &mut Scope,
    ) -> Result<Self, ParamError> {
        let wrong = |message| ParamError {
            param: path.to_owned(),
            message,
        };
        let text = Text::parse(sql).map_err(wrong)?;
        let verb = text.verb();
        if verb == "COPY" {
            return Err(wrong(
                "expected a statement other than COPY, which has a protocol of its own".to_owned(),
            ));
        }
        let (numbered, names) = text.numbered();
        let mut values = Vec::new();
        for name in &names {
            let slot = scope.slot(name, Encoding::None).map_err(wrong)?;
            let name = (*name).to_owned();
            values.push(Value { name, slot });
        }
        let index = |name: &String| names.iter().position(|known| known == name);
        Ok(Self {
            label: verb.clone(),
            number,
            server_name: format!("statement_{number}"),
            verb,
            order: text.names.iter().filter_map(index).collect(),
            sql: numbered,
            values,
            literals: text.literals,
            rows: None,
        })
    }

    /// True for a statement that begins or ends a transaction.
    pub(super) fn is_control(&self) -> bool {
        let verbs = ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"];
        verbs.contains(&self.verb.as_str())
    }

    /// True for a statement whose effect lasts until the session ends, judging by its first words: a setting, a prepared
    /// statement, a temporary table.
    pub(super) fn needs_session(&self) -> bool {
        let behind = self.sql.find(|it: char| it.is_ascii_alphabetic());
        let text = behind.map_or("", |start| &self.sql[start..]);
        let mut words = text.split(|it: char| !it.is_ascii_alphabetic()).skip(1);
        let second = words.find(|word| !word.is_empty()).unwrap_or_default();
        let second = second.to_ascii_uppercase();
        match self.verb.as_str() {
            "SET" => !["LOCAL", "TRANSACTION", "CONSTRAINTS"].contains(&&*second),
            "CREATE" => ["TEMP", "TEMPORARY"].contains(&&*second),
            verb => ["LISTEN", "PREPARE"].contains(&verb),
        }
    }

    /// True unless it only reads, as far as its first word tells.
    pub(super) fn is_write(&self) -> bool {
        let verbs = [
            "SELECT",
            "VALUES",
            "TABLE",
            "SHOW",
            "EXPLAIN",
            "SET",
            "",
            "SAVEPOINT",
        ];
        !verbs.contains(&self.verb.as_str()) && !self.is_control()
    }

    /// Compares the number of rows that it returned or changed with the expected one.
    pub(crate) fn check_rows(&self, got: u64) -> Result<(), Failure> {
        match self.rows {
            Some(expected) if expected != got => Err(Failure::wrong_content(format!(
                "{}: expected {expected} rows, got {got}",
                self.label
            ))),
            _ => Ok(()),
        }
    }

    /// Asks for the types of its parameters, and prepares it under its own name for the protocol `prepared`.
    pub(super) fn write_describe(
        &self,
        protocol: Protocol,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let name = self.name_on_server(protocol);
        encode::parse(name, &self.sql, &[], out)?;
        encode::describe(name, out)
    }

    fn name_on_server(&self, protocol: Protocol) -> &str {
        match protocol {
            Protocol::Prepared => &self.server_name,
            Protocol::Simple | Protocol::Extended => "",
        }
    }

    /// Appends the messages that run it, without a Sync, for parameters of these types.
    #[inline]
    pub(super) fn write(
        &self,
        protocol: Protocol,
        types: &[u32],
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        match protocol {
            Protocol::Simple => return self.write_query(values, out),
            Protocol::Extended => encode::parse("", &self.sql, types, out)?,
            Protocol::Prepared => {}
        }
        if types.len() != self.values.len() {
            let (expected, got) = (self.values.len(), types.len());
            let detail = format!("expected {expected} parameters, got {got} from the server");
            return Err(Failure::new(UNFIT, detail));
        }
        let formats = types
            .iter()
            .map(|oid| i16::from(Binary::of(*oid).is_some()));
        encode::bind_execute_values(self.name_on_server(protocol), formats, out, |index, out| {
            let Value { name, slot } = &self.values[index];
            let value = values.get(*slot)?;
            match Binary::of(types[index]) {
                Some(binary) => binary.write(value, out).ok_or_else(|| misfit(name, binary)),
                None if value.contains(&0) => Err(unfit(
                    name,
                    "got a NUL character, which no text of a database can hold",
                )),
                None => {
                    out.extend_from_slice(value);
                    Ok(())
                }
            }
        })
    }

    fn write_query(&self, values: &mut Values, out: &mut Vec<u8>) -> Result<(), Failure> {
        encode::simple_pieces(out, |out| {
            for (piece, index) in self.literals.iter().zip(&self.order) {
                out.extend_from_slice(piece.as_bytes());
                let Value { name, slot } = &self.values[*index];
                let written = literal::write(values.get(*slot)?, out);
                written.map_err(|reason| unfit(name, reason))?;
            }
            let last = self.literals.last().map_or("", String::as_str);
            out.extend_from_slice(last.as_bytes());
            Ok(())
        })
    }
}

impl Binary {
    #[inline]
    fn of(oid: u32) -> Option<Self> {
        Some(match oid {
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            700 => Self::Float4,
            701 => Self::Float8,
            _ => return None,
        })
    }

    /// Appends the binary form of a number in text; `None` if it is no such number.
    #[inline]
    fn write(self, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let text = std::str::from_utf8(value).ok()?;
        match self {
            Self::Int2 => out.extend_from_slice(&text.parse::<i16>().ok()?.to_be_bytes()),
            Self::Int4 => out.extend_from_slice(&text.parse::<i32>().ok()?.to_be_bytes()),
            Self::Int8 => out.extend_from_slice(&text.parse::<i64>().ok()?.to_be_bytes()),
            Self::Float4 => out.extend_from_slice(&text.parse::<f32>().ok()?.to_be_bytes()),
            Self::Float8 => out.extend_from_slice(&text.parse::<f64>().ok()?.to_be_bytes()),
        }
        Some(())
    }
}

/// The failure of a value that is not a number of the parameter's type.
#[cold]
fn misfit(name: &str, binary: Binary) -> Failure {
    let kind = format!("{binary:?}").to_ascii_lowercase();
    unfit(
        name,
        &format!("expected a number of the type {kind}, got something else"),
    )
}

/// It does not quote the value, which may be a secret.
#[cold]
fn unfit(name: &str, reason: &str) -> Failure {
    Failure::new(UNFIT, format!("`:{name}`: {reason}"))
}
