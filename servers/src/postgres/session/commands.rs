//! Commands: transactions, settings, definitions, and the clean-up of a session.

use super::super::database::{Status, plans_outdated};
use super::super::ddl::define;
use super::super::error::{SqlError, SqlResult};
use super::super::names::quote;
use super::super::settings::{Settings, setting};
use super::super::token::Statement;
use super::super::wire;
use super::Session;

/// First words of supported commands.
const SUPPORTED: &str = "\
    begin start commit end rollback abort savepoint release set reset deallocate vacuum \
    analyze close unlisten create drop alter truncate";

/// First words of commands that PostgreSQL has and this server does not.
const UNSUPPORTED: &str = "\
    call checkpoint cluster comment copy declare discard do execute explain fetch grant \
    import listen load lock merge move notify prepare reassign refresh reindex revoke table";

/// Words that can follow CREATE, DROP and ALTER.
const DEFINED: &str = "schema table index unique";

/// Rejects anything that is not a command of this server; true if it ends a transaction.
pub(crate) fn check_command(statement: &Statement) -> SqlResult<bool> {
    let (first, second) = (statement.at(0), statement.at(1));
    let is_definition = first.is_any("create drop alter");
    if first.is_any(UNSUPPORTED) || is_definition && !second.is_any(DEFINED) {
        let command = format!("{} {}", first.text, second.text).to_ascii_uppercase();
        return Err(SqlError::unsupported(command));
    }
    if !first.is_any(SUPPORTED) {
        return Err(SqlError::syntax_at(&first.text));
    }
    Ok(first.is_any("commit end rollback abort"))
}

impl Session {
    /// Carries out a command; returns its tag.
    pub(super) async fn command(&mut self, statement: &Statement) -> SqlResult<String> {
        self.check_usable(false, check_command(statement)?)?;
        let first = statement.at(0).text.to_ascii_uppercase();
        let last = statement.before(statement.len()).name();
        let is_all = statement.at(1).is("all");
        let mut tag = first.as_str();
        match tag {
            "BEGIN" | "START" => {
                self.begin(statement);
                tag = "BEGIN";
            }
            "ROLLBACK" | "ABORT" if (1..3).any(|at| statement.at(at).is("to")) => {
                self.savepoint("ROLLBACK TO", &last).await?;
                self.transaction.status = Status::Open;
            }
            "COMMIT" | "END" | "ROLLBACK" | "ABORT" => {
                if matches!(self.transaction.status, Status::Idle | Status::Implicit) {
                    self.warn("25P01", "there is no transaction in progress");
                }
                self.portals.clear();
                let has_failed = self.transaction.status == Status::Failed;
                if has_failed || matches!(tag, "ROLLBACK" | "ABORT") {
                    self.transaction.rollback();
                    tag = "ROLLBACK";
                } else {
                    self.transaction.commit()?;
                    tag = "COMMIT";
                }
            }
            "SAVEPOINT" | "RELEASE" => self.savepoint(tag, &last).await?,
            "SET" => self.set(statement)?,
            "RESET" if is_all => self.change_settings(|settings| {
                *settings = Settings::default();
                Ok(())
            })?,
            "RESET" => {
                let (name, _) = setting(statement, 1);
                self.change_settings(|settings| settings.set(&name, None))?;
            }
            "DEALLOCATE" if last == "all" => self.prepared.clear(),
            "DEALLOCATE" => {
                let missing = || SqlError::missing("26000", "prepared statement", &last);
                self.prepared.remove(&last).ok_or_else(missing)?;
            }
            "CLOSE" if is_all => self.portals.clear(),
            "CLOSE" => return Err(SqlError::unsupported("a cursor")),
            "VACUUM" | "ANALYZE" | "UNLISTEN" => (),
            _ => return self.define(statement).await,
        }
        Ok(tag.to_owned())
    }

    fn warn(&mut self, state: &'static str, message: &str) {
        wire::report(&mut self.wire.out, &SqlError::warning(state, message));
    }

    fn begin(&mut self, statement: &Statement) {
        if self.transaction.status == Status::Open {
            return self.warn("25001", "there is already a transaction in progress");
        }
        let has = |words: &str| (1..statement.len()).any(|at| statement.skip(at, words).is_some());
        self.transaction.status = Status::Open;
        self.transaction.is_strict = has("serializable") || has("repeatable read");
        self.transaction.is_read_only = has("read only");
    }

    /// Savepoints are SQLite's, so the engine is kept from the first one on.
    async fn savepoint(&mut self, command: &str, name: &str) -> SqlResult<()> {
        if !matches!(self.transaction.status, Status::Open | Status::Failed) {
            let message = format!("{command} can only be used in transaction blocks");
            return Err(SqlError::new("25P01", message));
        }
        plans_outdated();
        let (engine, ..) = self.engine(true).await?;
        engine.execute(&format!("{command} {}", quote(name)))
    }

    fn set(&mut self, statement: &Statement) -> SqlResult<()> {
        let is_refused = statement.at(1).is_any("local constraints transaction");
        if is_refused || statement.at(2).is("characteristics") {
            let words = format!("SET {}", statement.at(1).text).to_ascii_uppercase();
            return Err(SqlError::unsupported(words));
        }
        let (name, at) = setting(statement, statement.skip_any(1, "session"));
        let is_followed = statement.at(at).is("to") || statement.at(at).is_operator("=");
        let at = at + usize::from(is_followed);
        if at >= statement.len() {
            return Err(SqlError::syntax("expected a value"));
        }
        let value = (at..statement.len()).map(|at| statement.at(at).text.as_str());
        let value: String = value.collect();
        let value = Some(value.as_str()).filter(|value| !value.eq_ignore_ascii_case("default"));
        self.change_settings(|settings| settings.set(&name, value))
    }

    /// Changes settings, and reports those values that are no longer what the client knows.
    fn change_settings(
        &mut self,
        change: impl FnOnce(&mut Settings) -> SqlResult<()>,
    ) -> SqlResult<()> {
        let before = self.scope.settings.clone();
        change(&mut self.scope.settings)?;
        plans_outdated();
        let reported = self.scope.settings.reported().zip(before.reported());
        for (setting, _) in reported.filter(|(setting, before)| setting != before) {
            wire::texts(&mut self.wire.out, b'S', &setting);
        }
        Ok(())
    }

    /// Creates, changes or drops a schema, table or index.
    async fn define(&mut self, statement: &Statement) -> SqlResult<String> {
        self.check_usable(true, false)?;
        let (engine, scope, _) = self.engine(true).await?;
        engine.define(&define(statement, &engine.connection, scope)?)?;
        let [first, second] = [0, 1].map(|at| statement.at(at).text.to_ascii_uppercase());
        Ok(match (first.as_str(), second.as_str()) {
            ("TRUNCATE", _) => "TRUNCATE TABLE".to_owned(),
            (_, "UNIQUE") => "CREATE INDEX".to_owned(),
            _ => format!("{first} {second}"),
        })
    }
}
