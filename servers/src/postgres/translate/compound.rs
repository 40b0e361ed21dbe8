//! Queries made of queries: WITH, UNION and its like, and VALUES.
//!
//! Where two queries meet, their columns are brought to common types. A single SELECT is in `queries.rs`.

use sqlparser::ast::{CteAsMaterialized, Expr, Parens, SetExpr, SetOperator, SetQuantifier, With};

use super::super::casts::Cast;
use super::super::error::{SqlError, SqlResult};
use super::super::schema::{QualifiedName, fold};
use super::super::types::PgType;
use super::conversions::{cast_call, common_type};
use super::queries::{Queried, renamed};
use super::{Output, Translator, quote_name};

impl Translator<'_> {
    /// The WITH of a query or a change.
    pub(super) fn with(&mut self, with: &With) -> SqlResult<String> {
        let mut parts = Vec::with_capacity(with.cte_tables.len());
        for cte in &with.cte_tables {
            let name = fold(&cte.alias.name);
            let given: Vec<String> = cte
                .alias
                .columns
                .iter()
                .map(|column| fold(&column.name))
                .collect();
            let (sql, outputs) = match cte.query.body.as_ref() {
                SetExpr::SetOperation {
                    left,
                    op: SetOperator::Union,
                    set_quantifier,
                    right,
                } if with.recursive => {
                    self.recursive(&name, &given, left, *set_quantifier, right)?
                }
                _ => self.query(&cte.query)?,
            };
            let outputs = renamed(outputs, &given)?;
            let columns: Vec<String> = outputs
                .iter()
                .map(|output| quote_name(&output.name))
                .collect();
            let materialized = match cte.materialized {
                None => "",
                Some(CteAsMaterialized::Materialized) => "MATERIALIZED ",
                Some(CteAsMaterialized::NotMaterialized) => "NOT MATERIALIZED ",
            };
            parts.push(format!(
                "{}({}) AS {materialized}({sql})",
                quote_name(&name),
                columns.join(",")
            ));
            self.ctes.push((name, outputs));
        }
        let recursive = if with.recursive { "RECURSIVE " } else { "" };
        Ok(format!("WITH {recursive}{} ", parts.join(",")))
    }

    /// A query that names itself: what it starts from tells its columns.
    pub(super) fn recursive(
        &mut self,
        name: &str,
        given: &[String],
        start: &SetExpr,
        quantifier: SetQuantifier,
        step: &SetExpr,
    ) -> SqlResult<Queried> {
        let (start_sql, outputs) = self.set_expr(start)?;
        let decided: Vec<Output> = outputs.into_iter().map(super::decided).collect();
        self.ctes
            .push((name.to_owned(), renamed(decided.clone(), given)?));
        let step = self.set_expr(step);
        self.ctes.pop();
        let (step_sql, step_outputs) = step?;
        if step_outputs.len() != decided.len() {
            return Err(different_widths("UNION"));
        }
        let all = if quantifier == SetQuantifier::All {
            "UNION ALL"
        } else {
            "UNION"
        };
        Ok((format!("{start_sql} {all} {step_sql}"), decided))
    }

    pub(super) fn set_expr(&mut self, body: &SetExpr) -> SqlResult<Queried> {
        match body {
            SetExpr::Select(select) => self.select(select, &[]),
            SetExpr::Query(query) => {
                let (sql, outputs) = self.query(query)?;
                Ok((format!("SELECT * FROM ({sql})"), outputs))
            }
            SetExpr::Values(values) => self.values(&values.rows),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => self
                .deeper(|translator| translator.set_operation(left, *op, *set_quantifier, right)),
            SetExpr::Table(table) => {
                let name = table.table_name.clone().unwrap_or_default();
                let name = QualifiedName {
                    schema: table.schema_name.clone(),
                    name,
                };
                let table = self.table(&name)?;
                let source = self.source_of(&table, &name.name, false);
                let outputs = source
                    .columns
                    .into_iter()
                    .map(|(_, output)| output)
                    .collect();
                Ok((
                    format!("SELECT * FROM {}", quote_name(&table.engine_name())),
                    outputs,
                ))
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(SqlError::unsupported("a change inside of a query"))
            }
        }
    }

    pub(super) fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
    ) -> SqlResult<Queried> {
        let name = match (op, quantifier) {
            (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
            (SetOperator::Union, _) => "UNION",
            (_, SetQuantifier::All) => {
                return Err(SqlError::unsupported("EXCEPT ALL or INTERSECT ALL"));
            }
            (SetOperator::Intersect, _) => "INTERSECT",
            (SetOperator::Except | SetOperator::Minus, _) => "EXCEPT",
        };
        let (left_sql, left_outputs) = self.set_expr(left)?;
        let (right_sql, right_outputs) = self.set_expr(right)?;
        if left_outputs.len() != right_outputs.len() {
            return Err(different_widths(name));
        }
        let mut outputs = Vec::with_capacity(left_outputs.len());
        for (left, right) in left_outputs.iter().zip(&right_outputs) {
            let ty = common_type(left.ty, right.ty)?;
            let ty = if ty.is_unknown() { PgType::TEXT } else { ty };
            let modifier = if left.modifier == right.modifier {
                left.modifier
            } else {
                -1
            };
            outputs.push(Output {
                ty,
                modifier,
                origin: None,
                not_null: left.not_null && right.not_null,
                ..left.clone()
            });
        }
        let (left, right) = (
            arm(left_sql, &left_outputs, &outputs),
            arm(right_sql, &right_outputs, &outputs),
        );
        // The engine reads a chain from the left, so an operation on the right side needs its own parentheses.
        let right = if right.contains(" UNION ")
            || right.contains(" EXCEPT ")
            || right.contains(" INTERSECT ")
        {
            format!("SELECT * FROM ({right})")
        } else {
            right
        };
        Ok((format!("{left} {name} {right}"), outputs))
    }

    pub(super) fn values(&mut self, rows: &[Parens<Vec<Expr>>]) -> SqlResult<Queried> {
        let width = rows.first().map_or(0, |row| row.content.len());
        if rows.iter().any(|row| row.content.len() != width) {
            return Err(SqlError::new(
                "42601",
                "VALUES lists must all be the same length",
            ));
        }
        let mut columns = Vec::with_capacity(width);
        let mut outputs = Vec::with_capacity(width);
        for position in 0..width {
            let exprs: Vec<&Expr> = rows.iter().map(|row| &row.content[position]).collect();
            let (pieces, ty) = self.united(&exprs, None)?;
            columns.push(pieces);
            let name = format!("column{}", position + 1);
            outputs.push(Output {
                name,
                ty,
                modifier: -1,
                origin: None,
                not_null: false,
            });
        }
        let row = |index: usize| {
            let items: Vec<&str> = columns
                .iter()
                .map(|column| column[index].sql.as_str())
                .collect();
            format!("({})", items.join(","))
        };
        let rows: Vec<String> = (0..rows.len()).map(row).collect();
        Ok((format!("VALUES {}", rows.join(",")), outputs))
    }
}

fn different_widths(operation: &str) -> SqlError {
    SqlError::new(
        "42601",
        format!("each {operation} query must have the same number of columns"),
    )
}

/// One side of a UNION with its columns converted to the types of the whole.
fn arm(sql: String, from: &[Output], to: &[Output]) -> String {
    if from
        .iter()
        .zip(to)
        .all(|(from, to)| from.ty == to.ty || from.ty.is_text() && to.ty.is_text())
    {
        return sql;
    }
    let column = |(from, to): (&Output, &Output)| {
        let name = quote_name(&from.name);
        let how = Cast {
            from: from.ty,
            to: to.ty,
            modifier: -1,
            explicit: false,
        };
        if from.ty == to.ty {
            name
        } else {
            format!("{} AS {name}", cast_call(&name, how))
        }
    };
    let columns: Vec<String> = from.iter().zip(to).map(column).collect();
    format!("SELECT {} FROM ({sql})", columns.join(","))
}
