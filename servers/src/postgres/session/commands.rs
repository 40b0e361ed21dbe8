//! Commands: transactions, settings, definitions, and the clean-up of a session.

use super::super::database::Status;
use super::super::error::{SqlError, SqlResult};
use super::super::query::quote;
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
    let is_definition = first.is("create drop alter");
    if first.is(UNSUPPORTED) || is_definition && !second.is(DEFINED) {
        let command = format!("{} {}", first.text, second.text).to_ascii_uppercase();
        return Err(SqlError::unsupported(command));
    }
    if !first.is(SUPPORTED) {
        return Err(SqlError::syntax_at(first.text));
    }
    Ok(first.is("commit end rollback abort"))
}

impl Session<'_> {
    /// Carries out a command.
    pub(super) async fn command(&mut self, statement: &Statement<'_>) -> SqlResult<()> {
        self.check_usable(false, check_command(statement)?)?;
        let first = statement.at(0).text.to_ascii_uppercase();
        let last = statement.before(statement.len()).value();
        let definition: String;
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
                if self.transaction.status == Status::Implicit {
                    self.warn("25P01", "there is no transaction in progress");
                }
                self.portals.clear();
                let has_failed = self.transaction.status == Status::Failed;
                tag = if has_failed || matches!(tag, "ROLLBACK" | "ABORT") {
                    self.transaction.rollback();
                    "ROLLBACK"
                } else {
                    self.transaction.commit()?;
                    "COMMIT"
                };
            }
            "SAVEPOINT" | "RELEASE" => self.savepoint(tag, &last).await?,
            "SET" => self.set(statement)?,
            "RESET" => self.change_setting(&setting(statement, 1).0, None)?,
            "DEALLOCATE" if last == "all" => self.prepared.clear(),
            "DEALLOCATE" => {
                let missing = || SqlError::missing("26000", "prepared statement", &last);
                self.prepared.remove(&last).ok_or_else(missing)?;
            }
            "CLOSE" if last == "all" => self.portals.clear(),
            "VACUUM" | "ANALYZE" | "UNLISTEN" => (),
            _ => {
                self.check_usable(true, false)?;
                let (engine, scope, _) = self.engine(true).await?;
                engine.define(statement, scope)?;
                let second = Some(statement.at(1).text).filter(|_| tag != "TRUNCATE");
                let words = format!("{tag} {}", second.unwrap_or("TABLE")).to_ascii_uppercase();
                definition = words.replace("UNIQUE", "INDEX");
                tag = &definition;
            }
        }
        self.complete(tag);
        Ok(())
    }

    fn warn(&mut self, state: &'static str, message: &str) {
        let mut warning = SqlError::new(state, message);
        warning.severity = "WARNING";
        wire::report(&mut self.wire.out, &warning);
    }

    fn begin(&mut self, statement: &Statement<'_>) {
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
        if self.transaction.status == Status::Implicit {
            let message = format!("{command} can only be used in transaction blocks");
            return Err(SqlError::new("25P01", message));
        }
        let (engine, ..) = self.engine(true).await?;
        engine.outdate_plans();
        engine.execute(&format!("{command} {}", quote(name)))
    }

    fn set(&mut self, statement: &Statement<'_>) -> SqlResult<()> {
        let is_refused = statement.at(1).is("local constraints transaction");
        if is_refused || statement.at(2).is("characteristics") {
            let words = format!("SET {}", statement.at(1).text).to_ascii_uppercase();
            return Err(SqlError::unsupported(words));
        }
        let (name, at) = setting(statement, statement.skip_any(1, "session"));
        let at = at + usize::from(statement.at(at).is("to ="));
        if at >= statement.len() {
            return Err(SqlError::syntax("expected a value"));
        }
        let words = (at..statement.len()).map(|at| statement.at(at).value());
        let value = Some(words.collect::<String>()).filter(|value| value != "default");
        self.change_setting(&name, value.as_deref())
    }

    /// Changes a setting, or all of them, and reports those values that are no longer what the client knows.
    fn change_setting(&mut self, name: &str, value: Option<&str>) -> SqlResult<()> {
        let before = self.scope.settings.clone();
        self.scope.settings.set(name, value)?;
        for prepared in self.prepared.values_mut() {
            prepared.plan = None;
        }
        let reported = self.scope.settings.reported().zip(before.reported());
        for (setting, _) in reported.filter(|(setting, before)| setting != before) {
            wire::texts(&mut self.wire.out, b'S', &setting);
        }
        Ok(())
    }
}
