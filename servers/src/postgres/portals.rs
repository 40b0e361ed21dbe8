//! Prepared statements and portals: Parse, Bind, Describe, Execute and Close.
//!
//! A portal's statement runs as a whole at its first Execute; when the client asked for a few rows at a time, the
//! others wait here, in the form in which they will be sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::BytesMut;
use pgwire::messages::data::ParameterDescription;
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete,
    PortalSuspended, TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::EmptyQueryResponse;
use rusqlite::types::Value;

use super::engine::format_at;
use super::error::{SqlError, SqlResult};
use super::plan::{self, Modes, Plan};
use super::session::{Failure, Session};
use super::transaction::Status;
use super::types::PgType;
use super::value::{Format, read_parameter};
use super::wire::WireError;

/// A statement that was parsed; without a plan it is empty.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) plan: Option<Arc<Plan>>,
    /// Its text and the types the client declared, for when definitions have changed.
    pub(crate) sql: String,
    pub(crate) declared: Vec<Option<PgType>>,
}

/// A statement with values for its parameters.
#[derive(Debug)]
struct Portal {
    plan: Option<Arc<Plan>>,
    values: Vec<Value>,
    formats: Vec<Format>,
    progress: Progress,
}

/// How far a portal has come.
#[derive(Debug)]
enum Progress {
    Bound,
    /// Rows that have not been asked for yet.
    Suspended(Rows),
    Done,
}

/// Rows as messages.
#[derive(Debug)]
struct Rows {
    messages: BytesMut,
    /// Where each row ends in the original buffer.
    ends: Vec<usize>,
    sent_rows: usize,
    sent_bytes: usize,
    tag: String,
}

/// What a session has prepared, by name; the empty name is the unnamed one.
#[derive(Debug, Default)]
pub(crate) struct Portals {
    pub(crate) statements: HashMap<String, Prepared>,
    portals: HashMap<String, Portal>,
}

impl Portals {
    /// Portals live no longer than their transaction.
    pub(crate) fn end_of_transaction(&mut self) {
        self.portals.clear();
    }

    /// The statement of that name.
    pub(crate) fn statement(&self, name: &str) -> SqlResult<&Prepared> {
        let known = self.statements.get(name);
        known.ok_or_else(|| {
            SqlError::new(
                "26000",
                format!("prepared statement \"{name}\" does not exist"),
            )
        })
    }

    fn portal(&mut self, name: &str) -> SqlResult<&mut Portal> {
        let known = self.portals.get_mut(name);
        known.ok_or_else(|| SqlError::new("34000", format!("portal \"{name}\" does not exist")))
    }
}

impl Session {
    pub(super) fn parse(&mut self, parse: Parse) -> Result<(), Failure> {
        let name = parse.name.unwrap_or_default();
        if !name.is_empty() && self.portals.statements.contains_key(&name) {
            return Err(SqlError::new(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            )
            .into());
        }
        let declared: Vec<Option<PgType>> = parse
            .type_oids
            .iter()
            .map(|oid| PgType::from_oid(*oid).filter(|ty| !ty.is_unknown()))
            .collect();
        let plan = self.plan_of(&parse.query, &declared)?;
        if let Some(plan) = &plan {
            self.check_usable(plan)?;
        }
        self.portals.statements.insert(
            name,
            Prepared {
                plan,
                sql: parse.query,
                declared,
            },
        );
        Ok(self.wire.send(&ParseComplete::new())?)
    }

    /// The plan of a text of one statement; an empty text has none.
    fn plan_of(&mut self, sql: &str, declared: &[Option<PgType>]) -> SqlResult<Option<Arc<Plan>>> {
        if let Some(plan) = self.known_plan(sql, declared) {
            return Ok(Some(plan));
        }
        let mut statements = plan::parse(sql)?;
        let Some(statement) = statements.pop() else {
            return Ok(None);
        };
        if !statements.is_empty() {
            return Err(SqlError::new(
                "42601",
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        let plan = self.new_plan(Arc::new(statement), declared.to_vec())?;
        self.remember(sql, declared.to_vec(), &plan);
        Ok(Some(plan))
    }

    /// The plan of a prepared statement, made anew if definitions have changed since.
    pub(super) fn current_plan(&mut self, name: &str) -> SqlResult<Option<Arc<Plan>>> {
        let schema = self.schema();
        let prepared = self.portals.statement(name)?;
        match &prepared.plan {
            Some(plan) if !plan.holds_for(&schema) => (),
            plan => return Ok(plan.clone()),
        }
        let (sql, declared) = (prepared.sql.clone(), prepared.declared.clone());
        let plan = if sql.is_empty() {
            self.renew(name)?
        } else {
            self.plan_of(&sql, &declared)?
        };
        if let Some(prepared) = self.portals.statements.get_mut(name) {
            prepared.plan.clone_from(&plan);
        }
        Ok(plan)
    }

    /// A statement of SQL's own PREPARE has no text of its own.
    fn renew(&mut self, name: &str) -> SqlResult<Option<Arc<Plan>>> {
        let (schema, names) = (self.schema(), self.names());
        let plan = self.portals.statement(name)?.plan.clone();
        plan.map(|plan| plan.renewed(&schema, &names).map(Arc::new))
            .transpose()
    }

    pub(super) fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let statement = bind.statement_name.unwrap_or_default();
        let plan = self.current_plan(&statement)?;
        let types = plan
            .as_ref()
            .map(|plan| plan.parameters.as_slice())
            .unwrap_or_default();
        if bind.parameters.len() != types.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
                bind.parameters.len(),
                types.len()
            );
            return Err(SqlError::new("08P01", message).into());
        }
        if let Some(plan) = &plan {
            self.check_usable(plan)?;
        }
        let formats = formats(&bind.parameter_format_codes, types.len())?;
        let mut values = Vec::with_capacity(types.len());
        for (at, (data, ty)) in bind.parameters.iter().zip(types).enumerate() {
            values.push(match data {
                None => Value::Null,
                Some(data) => read_parameter(data, *ty, format_at(&formats, at))?,
            });
        }
        let columns = plan.as_ref().map_or(0, |plan| plan.outputs.len());
        let formats = self::formats(&bind.result_column_format_codes, columns)?;
        let portal = Portal {
            plan,
            values,
            formats,
            progress: Progress::Bound,
        };
        self.portals
            .portals
            .insert(bind.portal_name.unwrap_or_default(), portal);
        Ok(self.wire.send(&BindComplete::new())?)
    }

    pub(super) fn describe(&mut self, describe: Describe) -> Result<(), Failure> {
        let name = describe.name.unwrap_or_default();
        let (plan, formats) = match describe.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                let plan = self.current_plan(&name)?;
                let types = plan
                    .as_ref()
                    .map(|plan| plan.parameters.as_slice())
                    .unwrap_or_default();
                self.wire.send(&ParameterDescription::new(
                    types.iter().map(|ty| ty.oid()).collect(),
                ))?;
                (plan, Vec::new())
            }
            TARGET_TYPE_BYTE_PORTAL => {
                let portal = self.portals.portal(&name)?;
                (portal.plan.clone(), portal.formats.clone())
            }
            _ => return Err(SqlError::new("08P01", "invalid DESCRIBE message").into()),
        };
        match plan.filter(|plan| plan.returns_rows()) {
            Some(plan) => self.describe_rows(&plan.outputs, &formats)?,
            None => self.describe_nothing()?,
        }
        Ok(())
    }

    pub(super) async fn execute(&mut self, execute: Execute) -> Result<(), Failure> {
        let name = execute.name.unwrap_or_default();
        let limit = usize::try_from(execute.max_rows).unwrap_or(0);
        let portal = self.portals.portal(&name)?;
        match std::mem::replace(&mut portal.progress, Progress::Done) {
            Progress::Suspended(rows) => return Ok(self.resume(&name, rows, limit)?),
            Progress::Done if portal.plan.as_ref().is_some_and(|plan| plan.returns_rows()) => {
                // All rows were sent before.
                return Ok(self
                    .wire
                    .send(&pgwire::messages::response::CommandComplete::new(
                        "SELECT 0".into(),
                    ))?);
            }
            Progress::Done => {
                return Err(
                    SqlError::new("55000", format!("portal \"{name}\" cannot be run")).into(),
                );
            }
            Progress::Bound => (),
        }
        let Some(plan) = portal.plan.clone() else {
            return Ok(self.wire.send(&EmptyQueryResponse::new())?);
        };
        let (values, formats) = (
            std::mem::take(&mut portal.values),
            std::mem::take(&mut portal.formats),
        );
        self.run_portal(&name, &plan, &values, &formats, limit)
            .await
    }

    async fn run_portal(
        &mut self,
        name: &str,
        plan: &Arc<Plan>,
        values: &[Value],
        formats: &[Format],
        limit: usize,
    ) -> Result<(), Failure> {
        let counts = self.counts.clone();
        let _in_flight = counts.enter();
        self.counts.requests.fetch_add(1, Relaxed);
        self.wait().await;
        self.check_usable(plan)?;
        // Followed by Sync it is a transaction by itself; otherwise what comes up to the next Sync belongs to it.
        if self.transaction.status == Status::Idle && !self.is_sync_next() {
            self.begin(Status::Implicit, Modes::default());
        }
        if limit == 0 || !plan.returns_rows() {
            let tag = self.perform(plan, values, formats, None).await?;
            return Ok(self.complete(&tag)?);
        }
        let start = self.wire.output.len();
        let mut ends = Vec::new();
        let tag = self.perform(plan, values, formats, Some(&mut ends)).await?;
        self.counts.statements.fetch_add(1, Relaxed);
        let messages = self.wire.output.split_off(start);
        ends.iter_mut().for_each(|end| *end -= start);
        Ok(self.resume(
            name,
            Rows {
                messages,
                ends,
                sent_rows: 0,
                sent_bytes: 0,
                tag,
            },
            limit,
        )?)
    }

    /// Sends the next rows of a portal.
    fn resume(&mut self, name: &str, mut rows: Rows, limit: usize) -> Result<(), WireError> {
        let left = rows.ends.len() - rows.sent_rows;
        let count = if limit == 0 { left } else { left.min(limit) };
        if count > 0 {
            rows.sent_rows += count;
            let end = rows.ends[rows.sent_rows - 1];
            let messages = rows.messages.split_to(end - rows.sent_bytes);
            rows.sent_bytes = end;
            self.wire.output.extend_from_slice(&messages);
        }
        // Like PostgreSQL: when exactly as many rows came as were asked for, nobody has looked whether there are more.
        let suspended = limit > 0 && count == limit;
        if !suspended {
            let word = rows.tag.split(' ').next().unwrap_or("SELECT");
            let tag = if word == "SELECT" {
                format!("SELECT {count}")
            } else {
                rows.tag.clone()
            };
            return self
                .wire
                .send(&pgwire::messages::response::CommandComplete::new(tag));
        }
        if let Ok(portal) = self.portals.portal(name) {
            portal.progress = Progress::Suspended(rows);
        }
        self.wire.send(&PortalSuspended::new())
    }

    pub(super) fn close(&mut self, close: Close) -> Result<(), Failure> {
        let name = close.name.unwrap_or_default();
        match close.target_type {
            TARGET_TYPE_BYTE_STATEMENT => drop(self.portals.statements.remove(&name)),
            TARGET_TYPE_BYTE_PORTAL => drop(self.portals.portals.remove(&name)),
            _ => return Err(SqlError::new("08P01", "invalid CLOSE message").into()),
        }
        Ok(self.wire.send(&CloseComplete::new())?)
    }
}

/// The formats a message asks for: none, one for all, or one for each of `count`.
fn formats(codes: &[i16], count: usize) -> SqlResult<Vec<Format>> {
    if codes.len() > 1 && codes.len() != count {
        let message = format!(
            "bind message has {} formats but there are {count} values",
            codes.len()
        );
        return Err(SqlError::new("08P01", message));
    }
    codes.iter().map(|code| Format::from_code(*code)).collect()
}
