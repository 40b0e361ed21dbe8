//! Statements that concern the session and its transaction only: what each asks for.

use std::sync::Arc;

use sqlparser::ast::{
    CloseCursor, DiscardObject, Expr, Query, Reset, SelectItem, Set, SetExpr, Statement,
    TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};

use super::super::error::{SqlError, SqlResult};
use super::super::schema::{fold, fold_parts, qualified};
use super::super::translate::first_words;
use super::super::types::declared;
use super::{Action, Modes};

/// What concerns the session and its transaction, and needs no definitions.
pub(super) fn session_action(statement: &Statement) -> SqlResult<Option<Action>> {
    Ok(Some(match statement {
        Statement::StartTransaction { modes, .. } => Action::Begin(modes_of(modes)),
        Statement::Commit { chain, .. } => Action::Commit { chain: *chain },
        Statement::Rollback {
            chain,
            savepoint: None,
        } => Action::Rollback { chain: *chain },
        Statement::Rollback {
            savepoint: Some(name),
            ..
        } => Action::RollbackTo(fold(name)),
        Statement::Savepoint { name } => Action::Savepoint(fold(name)),
        Statement::ReleaseSavepoint { name } => Action::Release(fold(name)),
        Statement::Set(set) => set_action(set)?,
        Statement::ShowVariable { variable } => {
            let words: Vec<String> = variable
                .iter()
                .map(|word| word.value.to_lowercase())
                .collect();
            Action::Show(
                words.join(
                    if words
                        .first()
                        .is_some_and(|word| word == "time" || word == "transaction")
                    {
                        " "
                    } else {
                        "."
                    },
                ),
            )
        }
        Statement::Reset(reset) => match &reset.reset {
            Reset::ALL => Action::Reset(None),
            Reset::ConfigurationParameter(name) => Action::Reset(Some(name.to_string())),
            Reset::SessionAuthorization => Action::Nothing("RESET"),
        },
        Statement::Discard {
            object_type: DiscardObject::ALL,
        } => Action::DiscardAll,
        Statement::Discard {
            object_type: DiscardObject::PLANS,
        } => Action::Deallocate(None),
        Statement::Deallocate { name, .. } if fold(name) == "all" => Action::Deallocate(None),
        Statement::Deallocate { name, .. } => Action::Deallocate(Some(fold(name))),
        Statement::Prepare {
            name,
            data_types,
            statement,
        } => {
            let types: SqlResult<Vec<_>> = data_types
                .iter()
                .map(|ty| Ok(Some(declared(ty)?.ty)))
                .collect();
            Action::Prepare {
                name: fold(name),
                statement: Arc::new(Statement::clone(statement)),
                types: types?,
            }
        }
        Statement::Execute {
            name: Some(name),
            parameters,
            ..
        } => Action::Execute {
            name: qualified(name)?.name,
            arguments: parameters.clone(),
        },
        Statement::Lock(_) => Action::Lock,
        // Nothing is cached on disk or counted here, so there is nothing to clean.
        Statement::Vacuum(_) => Action::Nothing("VACUUM"),
        Statement::Analyze(_) => Action::Nothing("ANALYZE"),
        Statement::UNLISTEN { .. } => Action::Nothing("UNLISTEN"),
        Statement::Close {
            cursor: CloseCursor::All,
        } => Action::Nothing("CLOSE CURSOR ALL"),
        Statement::Query(query) => match sleep_of(query) {
            Some(seconds) => Action::Sleep(seconds),
            None => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

fn modes_of(modes: &[TransactionMode]) -> Modes {
    let mut said = Modes::default();
    for mode in modes {
        match mode {
            TransactionMode::AccessMode(access) => {
                said.read_only = Some(*access == TransactionAccessMode::ReadOnly)
            }
            TransactionMode::IsolationLevel(level) => {
                use TransactionIsolationLevel as Level;
                said.level = Some(match level {
                    Level::ReadUncommitted => "read uncommitted",
                    Level::ReadCommitted => "read committed",
                    Level::RepeatableRead | Level::Snapshot => "repeatable read",
                    Level::Serializable => "serializable",
                });
            }
        }
    }
    said
}

fn set_action(set: &Set) -> SqlResult<Action> {
    use sqlparser::ast::ContextModifier::Local;
    Ok(match set {
        Set::SingleAssignment {
            scope,
            variable,
            values,
            ..
        } => {
            let local = matches!(scope, Some(Local));
            Action::Set {
                local,
                name: variable.to_string().replace('"', ""),
                value: setting_value(values),
            }
        }
        Set::SetTimeZone { local, value } => Action::Set {
            local: *local,
            name: "timezone".into(),
            value: setting_value(std::slice::from_ref(value)),
        },
        Set::SetNames { charset_name, .. } => Action::Set {
            local: false,
            name: "client_encoding".into(),
            value: Some(charset_name.value.clone()),
        },
        Set::SetNamesDefault {} => Action::Set {
            local: false,
            name: "client_encoding".into(),
            value: None,
        },
        Set::SetTransaction { modes, session, .. } => match session {
            true => {
                let level = modes_of(modes).level.unwrap_or("read committed");
                Action::Set {
                    local: false,
                    name: "default_transaction_isolation".into(),
                    value: Some(level.into()),
                }
            }
            false => Action::SetTransaction(modes_of(modes)),
        },
        Set::SetRole {
            role_name: None, ..
        } => Action::Nothing("SET"),
        other => {
            return Err(SqlError::unsupported(first_words(&other.to_string())));
        }
    })
}

/// The text of a setting; words, texts and numbers are all texts here. `None` for DEFAULT.
fn setting_value(values: &[Expr]) -> Option<String> {
    let word = |expr: &Expr| match expr {
        Expr::Value(value) => value
            .value
            .clone()
            .into_string()
            .unwrap_or_else(|| value.value.to_string()),
        Expr::Identifier(ident) => ident.value.clone(),
        other => other.to_string(),
    };
    let words: Vec<String> = values.iter().map(word).collect();
    match words.as_slice() {
        [only] if only.eq_ignore_ascii_case("default") => None,
        _ => Some(words.join(", ")),
    }
}

/// `SELECT pg_sleep(n)` and nothing else: it must not hold up the thread, which serves all sessions.
fn sleep_of(query: &Query) -> Option<f64> {
    use sqlparser::ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [SelectItem::UnnamedExpr(Expr::Function(function))] = select.projection.as_slice() else {
        return None;
    };
    let name = fold_parts(&function.name).ok()?.pop()?;
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))]
            if name == "pg_sleep" && select.from.is_empty() =>
        {
            value
                .value
                .to_string()
                .trim_matches('\'')
                .parse()
                .ok()
                .filter(|seconds| (0.0..86_400.0).contains(seconds))
        }
        _ => None,
    }
}
