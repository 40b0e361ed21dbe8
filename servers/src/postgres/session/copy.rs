//! `COPY table FROM STDIN` in text form, which `pgbench -i` fills its tables with.

use std::sync::atomic::Ordering::Relaxed;

use rusqlite::types::Value;

use super::super::database::Engine;
use super::super::error::{SqlError, SqlResult};
use super::super::names::{Scope, column_type, no_such_table, quote, resolve};
use super::super::token::Statement;
use super::super::transaction::{Modes, Status};
use super::super::types::{Type, parse};
use super::super::wire::{self, Body};
use super::Session;

/// Longest row.
const MAX_ROW_BYTES: usize = 16 << 20;

/// A COPY whose rows are being received.
#[derive(Debug)]
pub(super) struct Copy {
    insert: String,
    types: Vec<Type>,
    rows: u64,
    /// The beginning of a row whose end has not come yet.
    partial: Vec<u8>,
}

impl Session {
    pub(super) async fn start_copy(&mut self, statement: &Statement<'_>) -> SqlResult<()> {
        let (schema, name, tokens) = statement.qualified_name(1)?;
        let mut at = 1 + tokens;
        let listed = statement
            .at(at)
            .is_operator("(")
            .then(|| statement.split_commas(at + 1..statement.partner[at]));
        if listed.is_some() {
            at = statement.after(at);
        }
        let options = &statement.tokens[statement.len().min(at + 2)..];
        let is_plain = options.iter().all(|token| {
            token.is_one_of(&["with", "format", "text", "freeze", "on", "true"])
                || matches!(token.text.as_ref(), "(" | ")" | ",")
        });
        if !statement.has_words(at, &["from", "stdin"]) || !is_plain {
            return Err(SqlError::unsupported(
                "COPY other than FROM STDIN in text form",
            ));
        }
        if self.transaction.status == Status::Idle {
            self.begin(Status::Implicit, Modes::default());
        }
        let prepare = |engine: &mut Engine, scope: &Scope, _: &mut Vec<u8>| {
            let table = resolve(&engine.connection, &scope.path, schema.as_deref(), &name);
            let table = table.ok_or_else(|| no_such_table(schema.as_deref(), &name))?;
            let columns: Vec<String> = match listed {
                Some(columns) => columns
                    .into_iter()
                    .map(|column| statement.at(column.start).name())
                    .collect(),
                None => {
                    let all = engine
                        .connection
                        .prepare(&format!("SELECT * FROM {}", quote(&table)))?;
                    all.column_names().map(str::to_owned).collect()
                }
            };
            let types = columns
                .iter()
                .map(|column| column_type(&engine.connection, &table, column).unwrap_or(Type::Text))
                .collect();
            let quoted: Vec<String> = columns.iter().map(|column| quote(column)).collect();
            let places = vec!["?"; columns.len()].join(", ");
            let insert = format!(
                "INSERT INTO {} ({}) VALUES ({places})",
                quote(&table),
                quoted.join(", ")
            );
            // An error of the statement is told before any row is sent.
            engine.connection.prepare_cached(&insert)?;
            Ok(Copy {
                insert,
                types,
                rows: 0,
                partial: Vec::new(),
            })
        };
        let copy = self.with_engine(true, prepare).await?;
        wire::copy_in(&mut self.wire.out, copy.types.len());
        self.copy = Some(copy);
        Ok(())
    }

    /// Deals with CopyData, CopyDone or CopyFail; false ends the connection.
    pub(super) fn copy_message(&mut self, kind: u8, mut body: Body<'_>) -> bool {
        // After an error the client goes on for a while.
        let Some(mut copy) = self.copy.take() else {
            return true;
        };
        let result = match kind {
            b'd' => self.copy_rows(&mut copy, body.0),
            b'c' if copy.partial.is_empty() => Ok(()),
            b'c' => self.copy_rows(&mut copy, b"\n"),
            _ => Err(SqlError::new(
                "57014",
                format!("COPY from stdin failed: {}", body.text().unwrap_or("")),
            )),
        };
        let goes_on = match result {
            Ok(()) if kind == b'd' => {
                self.copy = Some(copy);
                return true;
            }
            Ok(()) => {
                self.counts.statements.fetch_add(1, Relaxed);
                wire::command_complete(&mut self.wire.out, &format!("COPY {}", copy.rows));
                self.end_implicit();
                true
            }
            Err(error) => self.refuse(&error),
        };
        self.ready();
        goes_on
    }

    fn copy_rows(&mut self, copy: &mut Copy, data: &[u8]) -> SqlResult<()> {
        let lost = || SqlError::new("25P02", "the transaction of this COPY has ended");
        let engine = self.transaction.leased().ok_or_else(lost)?;
        engine.enter(None);
        let mut insert = engine.connection.prepare_cached(&copy.insert)?;
        copy.partial.extend_from_slice(data);
        let mut start = 0;
        while let Some(length) = copy.partial[start..].iter().position(|&byte| byte == b'\n') {
            let line = &copy.partial[start..start + length];
            start += length + 1;
            if line == b"\\." {
                continue;
            }
            let line = std::str::from_utf8(line).map_err(|_| {
                SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\"")
            })?;
            let fields: Vec<&str> = line.split('\t').collect();
            if fields.len() != copy.types.len() {
                let message = format!(
                    "expected {} columns in a row of COPY, got {}",
                    copy.types.len(),
                    fields.len()
                );
                return Err(SqlError::new("22P04", message));
            }
            for (at, (field, ty)) in fields.iter().zip(&copy.types).enumerate() {
                let value = if *field == "\\N" {
                    Value::Null
                } else {
                    parse(&unescaped(field), *ty)?
                };
                insert.raw_bind_parameter(at + 1, value)?;
            }
            insert.raw_execute()?;
            copy.rows += 1;
        }
        copy.partial.drain(..start);
        if copy.partial.len() > MAX_ROW_BYTES {
            return Err(SqlError::new(
                "54000",
                format!("a row of COPY is longer than {MAX_ROW_BYTES} bytes"),
            ));
        }
        Ok(())
    }
}

fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    text
}
