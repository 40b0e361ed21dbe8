//! The names of result columns that have no alias, by PostgreSQL's rules.
//!
//! A column and a function lend their names, also through a cast; a type lends its name where there is nothing better.

use sqlparser::ast::{Expr, SelectItem, SetExpr, Value};

use super::super::schema::{fold, fold_parts};
use super::super::types::declared;

/// What a column without any name is called.
const NAMELESS: &str = "?column?";

/// How good a name is: a cast gives its type's name only where there is none that is better.
enum Label {
    Own(String),
    OfType(String),
    None,
}

/// The name of a result column that has no alias.
pub(super) fn output_name(expr: &Expr) -> String {
    match label(expr) {
        Label::Own(name) | Label::OfType(name) => name,
        Label::None => NAMELESS.into(),
    }
}

fn own(name: &str) -> Label {
    Label::Own(name.to_owned())
}

fn label(expr: &Expr) -> Label {
    match expr {
        Expr::Identifier(ident) => Label::Own(fold(ident)),
        Expr::CompoundIdentifier(parts) => parts
            .last()
            .map_or(Label::None, |part| Label::Own(fold(part))),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => label(inner),
        Expr::CompoundFieldAccess { root, .. } => label(root),
        Expr::Function(function) => {
            let last = fold_parts(&function.name)
                .ok()
                .and_then(|mut parts| parts.pop());
            last.map_or(Label::None, Label::Own)
        }
        Expr::Cast {
            expr, data_type, ..
        } => match (label(expr), declared(data_type)) {
            (Label::Own(name), _) => Label::Own(name),
            (_, Ok(declared)) => Label::OfType(declared.ty.name()),
            (label, Err(_)) => label,
        },
        Expr::TypedString(typed) => declared(&typed.data_type)
            .map_or(Label::None, |declared| Label::OfType(declared.ty.name())),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => {
            Label::OfType("bool".into())
        }
        Expr::Interval(_) => Label::OfType("interval".into()),
        Expr::Case { else_result, .. } => match else_result.as_deref().map(label) {
            Some(Label::Own(name)) => Label::Own(name),
            _ => Label::OfType("case".into()),
        },
        Expr::Exists { negated: false, .. } => own("exists"),
        Expr::Array(_) => own("array"),
        Expr::Extract { .. } => own("extract"),
        Expr::Substring { shorthand, .. } => own(if *shorthand { "substr" } else { "substring" }),
        Expr::Position { .. } => own("position"),
        Expr::Trim { .. } => own("btrim"),
        Expr::Ceil { .. } => own("ceil"),
        Expr::Floor { .. } => own("floor"),
        Expr::AtTimeZone { .. } => own("timezone"),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => label(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => Label::Own(fold(alias)),
                _ => Label::None,
            },
            _ => Label::None,
        },
        _ => Label::None,
    }
}
