//! Commands: transactions, settings, definitions, and what cleans a session up.

use super::super::database::Engine;
use super::super::ddl::define;
use super::super::error::{SqlError, SqlResult};
use super::super::names::Scope;
use super::super::token::{Kind, Statement};
use super::super::transaction::{Modes, Status};
use super::super::types::{Type, write_value};
use super::super::wire;
use super::Session;

/// First words of commands that are carried out.
const SUPPORTED: [&str; 24] = [
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "set",
    "reset",
    "show",
    "discard",
    "deallocate",
    "lock",
    "vacuum",
    "analyze",
    "checkpoint",
    "close",
    "unlisten",
    "copy",
    "create",
    "drop",
    "alter",
    "truncate",
];

/// First words of commands that PostgreSQL has and this server does not.
const UNSUPPORTED: [&str; 24] = [
    "call", "cluster", "comment", "declare", "do", "execute", "explain", "fetch", "grant",
    "import", "listen", "load", "merge", "move", "notify", "prepare", "reassign", "refresh",
    "reindex", "revoke", "security", "table", "values", "(",
];

/// What CREATE, DROP and ALTER can be followed by.
const DEFINED: [&str; 7] = [
    "schema",
    "table",
    "index",
    "unlogged",
    "temp",
    "temporary",
    "unique",
];

/// Refuses what is no command of this server; true if it ends a transaction.
pub(crate) fn check_command(statement: &Statement<'_>) -> SqlResult<bool> {
    let (first, second) = (statement.at(0), statement.at(1));
    let is_definition = first.is_one_of(&["create", "drop", "alter"]);
    if UNSUPPORTED
        .iter()
        .any(|known| first.text.eq_ignore_ascii_case(known))
    {
        return Err(SqlError::unsupported(first.text.to_ascii_uppercase()));
    }
    if is_definition && !second.is_one_of(&DEFINED) {
        let what = format!("{} {}", first.text, second.text).to_ascii_uppercase();
        return Err(SqlError::unsupported(what));
    }
    if !first.is_one_of(&SUPPORTED) {
        return Err(SqlError::syntax(format!(
            "syntax error at or near \"{}\"",
            first.text
        )));
    }
    Ok(first.is_one_of(&["commit", "end", "rollback", "abort"]))
}

/// The column of the rows that a command gives, if it gives any.
pub(super) fn command_column(statement: &Statement<'_>) -> Option<String> {
    statement
        .at(0)
        .is_word("show")
        .then(|| shown_setting(statement))
}

fn shown_setting(statement: &Statement<'_>) -> String {
    let name = setting_name(statement, 1).0;
    match name.as_str() {
        "transaction" => "transaction_isolation".to_owned(),
        _ => name,
    }
}

/// The name of a setting, which may have a dot or be a phrase, and the position after it.
fn setting_name(statement: &Statement<'_>, at: usize) -> (String, usize) {
    if statement.has_words(at, &["time", "zone"]) {
        return ("timezone".to_owned(), at + 2);
    }
    let name = statement.at(at).name();
    match name.as_str() {
        "names" => ("client_encoding".to_owned(), at + 1),
        _ if statement.at(at + 1).is_operator(".") => {
            (format!("{name}.{}", statement.at(at + 2).name()), at + 3)
        }
        _ => (name, at + 1),
    }
}

/// Reads ISOLATION LEVEL, READ ONLY and READ WRITE.
fn modes(statement: &Statement<'_>, mut at: usize) -> SqlResult<Modes> {
    const LEVELS: [&str; 4] = [
        "read uncommitted",
        "read committed",
        "repeatable read",
        "serializable",
    ];
    let mut modes = Modes::default();
    while at < statement.len() {
        if statement.has_words(at, &["isolation", "level"]) {
            let two = format!(
                "{} {}",
                statement.at(at + 2).text,
                statement.at(at + 3).text
            )
            .to_ascii_lowercase();
            let known = LEVELS.into_iter().find(|level| two.starts_with(level));
            let level = known.ok_or_else(|| SqlError::syntax("unknown isolation level"))?;
            modes.level = Some(level);
            at += 2 + level.split(' ').count();
        } else if statement.at(at).is_word("read")
            && statement.at(at + 1).is_one_of(&["only", "write"])
        {
            modes.is_read_only = Some(statement.at(at + 1).is_word("only"));
            at += 2;
        } else if statement
            .at(at)
            .is_one_of(&["not", "deferrable", "work", "transaction"])
            || statement.at(at).is_operator(",")
        {
            at += 1;
        } else {
            return Err(SqlError::syntax(format!(
                "syntax error at or near \"{}\"",
                statement.at(at).text
            )));
        }
    }
    Ok(modes)
}

impl Session {
    /// Carries out a command, and returns its tag; none if its answer comes later. Only a Query message `describes` rows.
    pub(super) async fn command(
        &mut self,
        statement: &Statement<'_>,
        describes: bool,
    ) -> SqlResult<Option<String>> {
        self.check_usable(check_command(statement)?)?;
        let word = statement.at(0).text.to_ascii_uppercase();
        let is_all = statement.at(1).is_word("all");
        match word.as_str() {
            "BEGIN" | "START" => {
                let modes = modes(statement, 1)?;
                self.begin_block(modes);
                return Ok(Some(if word == "START" {
                    "START TRANSACTION".to_owned()
                } else {
                    word
                }));
            }
            "COMMIT" | "END" => return self.commit_block().map(Some),
            "ROLLBACK" | "ABORT" => return self.rollback_block(statement).map(Some),
            "SAVEPOINT" => self.transaction.savepoint(&statement.at(1).name())?,
            "RELEASE" => {
                let at = if statement.at(1).is_word("savepoint") {
                    2
                } else {
                    1
                };
                self.transaction.release(&statement.at(at).name())?;
            }
            "SET" => self.set(statement)?,
            "RESET" => {
                let name = setting_name(statement, 1).0;
                self.scope.settings.reset((!is_all).then_some(&name))?;
                self.setting_changed(&name);
            }
            "SHOW" => {
                let count = self.show(statement, describes)?;
                return Ok(Some(if count == 1 {
                    word
                } else {
                    format!("SHOW {count}")
                }));
            }
            "DISCARD" => {
                if is_all {
                    self.scope.settings.reset(None)?;
                    self.prepared.clear();
                }
                if is_all || statement.at(1).is_one_of(&["temp", "temporary"]) {
                    self.drop_temporary().await?;
                    self.scope.has_temporary = false;
                }
                self.scope.update_path();
                return Ok(Some(format!(
                    "DISCARD {}",
                    statement.at(1).text.to_ascii_uppercase()
                )));
            }
            "DEALLOCATE" => {
                let at = if statement.at(1).is_word("prepare") {
                    2
                } else {
                    1
                };
                let name = statement.at(at).name();
                if statement.at(at).is_word("all") {
                    self.prepared.clear();
                    return Ok(Some("DEALLOCATE ALL".to_owned()));
                }
                let missing = || {
                    SqlError::new(
                        "26000",
                        format!("prepared statement \"{name}\" does not exist"),
                    )
                };
                self.prepared.remove(&name).ok_or_else(missing)?;
            }
            "LOCK" => {
                if self.transaction.status == Status::Idle {
                    return Err(SqlError::new(
                        "25P01",
                        "LOCK TABLE can only be used in transaction blocks",
                    ));
                }
                self.transaction.lease_for(&self.database, true).await?;
                return Ok(Some("LOCK TABLE".to_owned()));
            }
            "CLOSE" if is_all => {
                self.portals.clear();
                return Ok(Some("CLOSE CURSOR ALL".to_owned()));
            }
            "CLOSE" => return Err(SqlError::unsupported("a cursor")),
            "COPY" if describes => {
                self.start_copy(statement).await?;
                return Ok(None);
            }
            "COPY" => return Err(SqlError::unsupported("COPY in the extended protocol")),
            "VACUUM" | "ANALYZE" | "CHECKPOINT" | "UNLISTEN" => (),
            _ => return self.define(statement).await.map(Some),
        }
        Ok(Some(word))
    }

    fn warn(&mut self, state: &str, message: &str) {
        wire::notice(&mut self.wire.out, "WARNING", state, message);
    }

    fn begin_block(&mut self, modes: Modes) {
        if self.transaction.status == Status::Open {
            return self.warn("25001", "there is already a transaction in progress");
        }
        self.begin(Status::Open, modes);
        if let Some(level) = modes.level {
            // The level is one of those that the setting takes.
            let _ = self
                .scope
                .settings
                .set("transaction_isolation", level, true);
        }
    }

    fn commit_block(&mut self) -> SqlResult<String> {
        let has_failed = self.transaction.status == Status::Failed;
        if matches!(self.transaction.status, Status::Idle | Status::Implicit) {
            self.warn("25P01", "there is no transaction in progress");
        }
        let result = if has_failed {
            Ok(self.transaction.rollback())
        } else {
            self.transaction.commit()
        };
        self.transaction_ended();
        result?;
        Ok(if has_failed { "ROLLBACK" } else { "COMMIT" }.to_owned())
    }

    fn rollback_block(&mut self, statement: &Statement<'_>) -> SqlResult<String> {
        let at = if statement.at(1).is_one_of(&["work", "transaction"]) {
            2
        } else {
            1
        };
        if statement.at(at).is_word("to") {
            let at = if statement.at(at + 1).is_word("savepoint") {
                at + 2
            } else {
                at + 1
            };
            self.transaction.rollback_to(&statement.at(at).name())?;
            return Ok("ROLLBACK".to_owned());
        }
        if self.transaction.status == Status::Idle {
            self.warn("25P01", "there is no transaction in progress");
        }
        self.transaction.rollback();
        self.transaction_ended();
        Ok("ROLLBACK".to_owned())
    }

    fn set(&mut self, statement: &Statement<'_>) -> SqlResult<()> {
        if statement.has_words(1, &["transaction"]) {
            let modes = modes(statement, 2)?;
            self.transaction.set_modes(modes);
            return Ok(());
        }
        if statement.has_words(1, &["session", "characteristics", "as", "transaction"]) {
            let level = modes(statement, 5)?.level.unwrap_or("read committed");
            return self
                .scope
                .settings
                .set("default_transaction_isolation", level, false);
        }
        let is_local = statement.at(1).is_word("local");
        let start = if is_local || statement.at(1).is_word("session") {
            2
        } else {
            1
        };
        let (name, mut at) = setting_name(statement, start);
        if statement.at(at).is_word("to") || statement.at(at).is_operator("=") {
            at += 1;
        }
        if at >= statement.len() {
            return Err(SqlError::syntax("expected a value"));
        }
        let mut value = String::new();
        for token in &statement.tokens[at..] {
            match token.kind {
                Kind::Word if name == "search_path" => value.push_str(&token.name()),
                Kind::Operator if token.text == "," => value.push_str(", "),
                _ => value.push_str(&token.text),
            }
        }
        let is_default = statement.at(at).is_word("default") && at + 1 == statement.len();
        if is_default {
            self.scope.settings.reset(Some(&name))?;
        } else {
            self.scope.settings.set(
                &name,
                &value,
                is_local && self.transaction.status != Status::Idle,
            )?;
        }
        self.setting_changed(&name);
        Ok(())
    }

    fn setting_changed(&mut self, name: &str) {
        self.scope.update_path();
        if let Some((name, value)) = self.scope.settings.report(name) {
            wire::parameter_status(&mut self.wire.out, name, value);
        }
    }

    /// Sends one setting, or all with their names, and returns the number of rows.
    fn show(&mut self, statement: &Statement<'_>, describes: bool) -> SqlResult<usize> {
        let name = shown_setting(statement);
        let rows = if name == "all" {
            let all = self.scope.settings.all();
            all.map(|(name, value)| format!("{name} = {value}"))
                .collect()
        } else {
            vec![self.scope.settings.show(&name)?]
        };
        let out = &mut self.wire.out;
        if describes {
            wire::row_description(out, [(name.as_str(), Type::Text, false)].into_iter());
        }
        for row in &rows {
            let mut written = Ok(());
            wire::message(out, b'D', |out| {
                out.extend_from_slice(&1i16.to_be_bytes());
                written = write_value(out, row.as_str().into(), Type::Text, false);
            });
            written?;
        }
        Ok(rows.len())
    }

    /// Makes, changes or drops a schema, table or index.
    async fn define(&mut self, statement: &Statement<'_>) -> SqlResult<String> {
        if self.transaction.is_read_only {
            return Err(SqlError::new(
                "25006",
                "cannot change definitions in a read-only transaction",
            ));
        }
        let define = |engine: &mut Engine, scope: &Scope, _: &mut Vec<u8>| {
            let definition = define(statement, &engine.connection, scope)?;
            let definition = definition.ok_or_else(|| SqlError::unsupported("this definition"))?;
            if !definition.sql.is_empty() {
                engine.define(&definition.sql)?;
            }
            Ok(definition)
        };
        let definition = self.with_engine(true, define).await?;
        if let Some((state, message)) = definition.notice {
            wire::notice(&mut self.wire.out, "NOTICE", state, &message);
        }
        if definition.makes_temporary {
            self.scope.has_temporary = true;
            self.scope.update_path();
        }
        Ok(definition.tag.to_owned())
    }
}
