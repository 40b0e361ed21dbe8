//! Commands: transactions, settings, definitions, and the clean-up of a session.

use super::super::database::{Engine, Status};
use super::super::ddl::define;
use super::super::error::{SqlError, SqlResult};
use super::super::names::{Scope, quote};
use super::super::settings::setting;
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
pub(crate) fn check_command(statement: &Statement<'_>) -> SqlResult<bool> {
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
    /// Carries out a command.
    pub(super) async fn command(&mut self, statement: &Statement<'_>) -> SqlResult<()> {
        self.check_usable(false, check_command(statement)?)?;
        let mut tag = statement.at(0).text.to_ascii_uppercase();
        let last = statement.at(statement.len() - 1).name();
        let is_all = statement.at(1).is("all");
        match tag.as_str() {
            "BEGIN" | "START" => {
                self.begin(statement)?;
                tag = "BEGIN".to_owned();
            }
            "COMMIT" | "END" => {
                let has_failed = self.transaction.status == Status::Failed;
                tag = if has_failed { "ROLLBACK" } else { "COMMIT" }.to_owned();
                self.warn_outside();
                self.portals.clear();
                if has_failed {
                    self.transaction.rollback();
                }
                self.transaction.commit()?;
            }
            "ROLLBACK" | "ABORT" if (1..3).any(|at| statement.at(at).is("to")) => {
                self.savepoint("ROLLBACK TO", &last).await?;
                self.transaction.status = Status::Open;
            }
            "ROLLBACK" | "ABORT" => {
                tag = "ROLLBACK".to_owned();
                self.warn_outside();
                self.portals.clear();
                self.transaction.rollback();
            }
            "SAVEPOINT" | "RELEASE" => self.savepoint(&tag, &last).await?,
            "SET" => self.set(statement)?,
            "RESET" if is_all => {
                self.scope.settings.reset();
                self.setting_changed("search_path");
            }
            "RESET" => {
                let name = setting(statement, 1).0;
                self.scope.settings.set(&name, None)?;
                self.setting_changed(&name);
            }
            "DEALLOCATE" if last == "all" => self.prepared.clear(),
            "DEALLOCATE" => {
                let missing = || SqlError::missing("26000", "prepared statement", &last);
                self.prepared.remove(&last).ok_or_else(missing)?;
            }
            "CLOSE" if is_all => self.portals.clear(),
            "CLOSE" => return Err(SqlError::unsupported("a cursor")),
            "VACUUM" | "ANALYZE" | "UNLISTEN" => (),
            _ => {
                self.define(statement).await?;
                let kind = statement.at(1).text.to_ascii_uppercase();
                tag = match kind.as_str() {
                    _ if tag == "TRUNCATE" => "TRUNCATE TABLE".to_owned(),
                    "UNIQUE" => "CREATE INDEX".to_owned(),
                    _ => format!("{tag} {kind}"),
                };
            }
        }
        self.complete(&tag);
        Ok(())
    }

    fn begin(&mut self, statement: &Statement<'_>) -> SqlResult<()> {
        if self.transaction.status == Status::Open {
            wire::warning(
                &mut self.wire.out,
                "25001",
                "there is already a transaction in progress",
            );
            return Ok(());
        }
        let has = |words: &str| (1..statement.len()).any(|at| statement.skip(at, words).is_some());
        let transaction = &mut self.transaction;
        transaction.status = Status::Open;
        transaction.is_strict = has("serializable") || has("repeatable read");
        transaction.is_read_only = has("read only");
        Ok(())
    }

    fn warn_outside(&mut self) {
        if matches!(self.transaction.status, Status::Idle | Status::Implicit) {
            wire::warning(
                &mut self.wire.out,
                "25P01",
                "there is no transaction in progress",
            );
        }
    }

    /// Savepoints are SQLite's, so the engine is kept from the first one on.
    async fn savepoint(&mut self, command: &str, name: &str) -> SqlResult<()> {
        if !matches!(self.transaction.status, Status::Open | Status::Failed) {
            let message = format!("{command} can only be used in transaction blocks");
            return Err(SqlError::new("25P01", message));
        }
        let sql = format!("{command} {}", quote(name));
        self.with_engine(true, |engine, _, _| {
            engine.definitions_changed();
            engine.execute(&sql)
        })
        .await
    }

    fn set(&mut self, statement: &Statement<'_>) -> SqlResult<()> {
        let is_refused = statement.at(1).is_any("local constraints transaction");
        if is_refused || statement.at(2).is("characteristics") {
            let words = format!("SET {}", statement.at(1).text).to_ascii_uppercase();
            return Err(SqlError::unsupported(words));
        }
        let (name, at) = setting(statement, statement.skip(1, "session").unwrap_or(1));
        let is_followed = statement.at(at).is("to") || statement.at(at).is_operator("=");
        let at = at + usize::from(is_followed);
        let values = statement.tokens.get(at..).unwrap_or_default();
        let value: String = values.iter().map(|token| token.text.as_ref()).collect();
        if value.is_empty() && values.is_empty() {
            return Err(SqlError::syntax("expected a value"));
        }
        let is_default = value.eq_ignore_ascii_case("default");
        self.scope
            .settings
            .set(&name, (!is_default).then_some(&value))?;
        self.setting_changed(&name);
        Ok(())
    }

    fn setting_changed(&mut self, name: &str) {
        self.scope.update_path();
        self.database.plans_outdated();
        if let Some((name, value)) = self.scope.settings.report(name) {
            wire::texts(&mut self.wire.out, b'S', &[name, value]);
        }
    }

    /// Creates, changes or drops a schema, table or index.
    async fn define(&mut self, statement: &Statement<'_>) -> SqlResult<()> {
        self.check_usable(true, false)?;
        let run = |engine: &Engine, scope: &Scope, _: &mut Vec<u8>| {
            let sql = define(statement, &engine.connection, scope)?;
            if sql.is_empty() {
                Ok(())
            } else {
                engine.define(&sql)
            }
        };
        self.with_engine(true, run).await
    }
}
