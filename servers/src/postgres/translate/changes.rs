//! Changes: INSERT, UPDATE and DELETE, with ON CONFLICT and RETURNING.
//!
//! Defaults and sequences are written into the statement here, column by column, so that the engine needs to know
//! none of them; every value is converted to its column's type, and checked against its length, on the way in.

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, Insert, ObjectName,
    OnConflict, OnConflictAction, OnInsert, Query, SelectItem, SetExpr, Statement, TableFactor,
    TableObject, TableWithJoins, Update, UpdateTableFromKind,
};

use super::super::casts::Cast;
use super::super::error::{SqlError, SqlResult, null_in_column};
use super::super::schema::{Column, ConstraintKind, Table, TableKind, fold, fold_parts, qualified};
use super::{Form, Output, Scope, Source, Translator, quote_name, quote_text};

type Changed = (String, Vec<Output>);

impl Translator<'_> {
    /// A change with a WITH before it, which the parser gives as a query.
    pub(super) fn change_with(&mut self, query: &Query) -> SqlResult<Option<Changed>> {
        let change = match query.body.as_ref() {
            SetExpr::Insert(change) | SetExpr::Update(change) | SetExpr::Delete(change) => change,
            _ => return Ok(None),
        };
        let with = query
            .with
            .as_ref()
            .map(|with| self.with(with))
            .transpose()?
            .unwrap_or_default();
        let (sql, outputs) = match change {
            Statement::Insert(insert) => self.insert(insert)?,
            Statement::Update(update) => self.update(update)?,
            Statement::Delete(delete) => self.delete(delete)?,
            other => {
                return Err(SqlError::unsupported(super::first_words(
                    &other.to_string(),
                )));
            }
        };
        // The engine takes one WITH; an INSERT from a query has brought one of its own.
        let sql = match sql.strip_prefix("WITH ") {
            Some(rest) if !with.is_empty() => format!("{},{rest}", with.trim_end()),
            _ => format!("{with}{sql}"),
        };
        Ok(Some((sql, outputs)))
    }

    pub(super) fn insert(&mut self, insert: &Insert) -> SqlResult<Changed> {
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::unsupported("INSERT into anything but a table"));
        };
        let table = self.changeable(name)?;
        let alias = insert
            .table_alias
            .as_ref()
            .map_or_else(|| table.name.clone(), |alias| fold(&alias.alias));
        let targets = self.targets(&table, &insert.columns)?;
        let (prefix, columns, source) = match insert.source.as_deref() {
            None => self.default_row(&table)?,
            Some(query) => match query.body.as_ref() {
                SetExpr::Values(values)
                    if query.with.is_none()
                        && query.order_by.is_none()
                        && query.limit_clause.is_none() =>
                {
                    let rows: Vec<&[Expr]> = values
                        .rows
                        .iter()
                        .map(|row| row.content.as_slice())
                        .collect();
                    self.insert_values(&table, &targets, &rows)?
                }
                _ => self.insert_query(&table, &targets, query)?,
            },
        };
        let conflict = match &insert.on {
            None => String::new(),
            Some(OnInsert::OnConflict(conflict)) => self.on_conflict(&table, &alias, conflict)?,
            Some(_) => return Err(SqlError::unsupported("ON DUPLICATE KEY UPDATE")),
        };
        let (returning, outputs) = self.returning(&table, &alias, insert.returning.as_deref())?;
        let (engine, alias, columns) = (
            quote_name(&table.engine_name()),
            quote_name(&alias),
            columns.join(","),
        );
        Ok((
            format!(
                "{prefix}INSERT INTO {engine} AS {alias}({columns}) {source}{conflict}{returning}"
            ),
            outputs,
        ))
    }

    /// The table of a change; views and the system's own tables cannot be changed.
    fn changeable(&mut self, name: &ObjectName) -> SqlResult<std::sync::Arc<Table>> {
        let table = self.table(&qualified(name)?)?;
        match table.kind {
            TableKind::Table => Ok(table),
            TableKind::View => Err(SqlError::new(
                "55000",
                format!("cannot change view \"{}\"", table.name),
            )),
            TableKind::Catalog => Err(SqlError::new(
                "42501",
                format!("permission denied: \"{}\" is a system catalog", table.name),
            )),
        }
    }

    fn targets<'t>(&self, table: &'t Table, columns: &[ObjectName]) -> SqlResult<Vec<&'t Column>> {
        let mut targets: Vec<&Column> = Vec::with_capacity(columns.len());
        for column in columns {
            let name = fold_parts(column)?.pop().unwrap_or_default();
            let (_, column) = table.column(&name)?;
            if targets.iter().any(|known| known.name == name) {
                return Err(SqlError::new(
                    "42701",
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            targets.push(column);
        }
        Ok(if columns.is_empty() {
            table.columns.iter().collect()
        } else {
            targets
        })
    }

    /// The columns that are not given but have a value all the same.
    fn defaulted<'t>(&self, table: &'t Table, given: &[&Column]) -> Vec<&'t Column> {
        let is_given = |column: &&Column| given.iter().any(|known| known.name == column.name);
        let has_value = |column: &&Column| {
            column.default.is_some() || column.sequence.is_some() || column.is_row_number
        };
        table
            .columns
            .iter()
            .filter(|column| !is_given(column) && has_value(column))
            .collect()
    }

    fn default_row(&mut self, table: &Table) -> SqlResult<(String, Vec<String>, String)> {
        let mut columns = self.defaulted(table, &[]);
        if columns.is_empty() {
            columns = table.columns.iter().take(1).collect();
        }
        let values: SqlResult<Vec<String>> = columns
            .iter()
            .map(|column| self.default_of(table, column))
            .collect();
        Ok((
            String::new(),
            names(&columns),
            format!("VALUES ({})", values?.join(",")),
        ))
    }

    fn insert_values(
        &mut self,
        table: &Table,
        targets: &[&Column],
        rows: &[&[Expr]],
    ) -> SqlResult<(String, Vec<String>, String)> {
        let width = rows.first().map_or(0, |row| row.len());
        if width > targets.len() {
            return Err(SqlError::new(
                "42601",
                "INSERT has more expressions than target columns",
            ));
        }
        let given = &targets[..width];
        let defaulted = self.defaulted(table, given);
        let mut lists = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                return Err(SqlError::new(
                    "42601",
                    "VALUES lists must all be the same length",
                ));
            }
            let mut values = Vec::with_capacity(width + defaulted.len());
            for (expr, column) in row.iter().zip(given) {
                values.push(self.given_value(table, column, expr)?);
            }
            for column in &defaulted {
                values.push(self.default_of(table, column)?);
            }
            lists.push(format!("({})", values.join(",")));
        }
        let columns = [names(given), names(&defaulted)].concat();
        Ok((
            String::new(),
            columns,
            format!("VALUES {}", lists.join(",")),
        ))
    }

    fn insert_query(
        &mut self,
        table: &Table,
        targets: &[&Column],
        query: &Query,
    ) -> SqlResult<(String, Vec<String>, String)> {
        let (sql, outputs) = self.query(query)?;
        if outputs.len() > targets.len() {
            return Err(SqlError::new(
                "42601",
                "INSERT has more expressions than target columns",
            ));
        }
        let given = &targets[..outputs.len()];
        let defaulted = self.defaulted(table, given);
        let names_in: Vec<String> = (0..outputs.len())
            .map(|position| format!("c{position}"))
            .collect();
        let mut values = Vec::with_capacity(given.len() + defaulted.len());
        for ((name, output), column) in names_in.iter().zip(outputs).zip(given) {
            let piece = super::Piece {
                modifier: output.modifier,
                ..super::Piece::new(name.clone(), super::decided(output).ty)
            };
            values.push(self.fitted(table, column, piece)?);
        }
        for column in &defaulted {
            values.push(self.default_of(table, column)?);
        }
        let prefix = format!("WITH pf_source({}) AS ({sql}) ", names_in.join(","));
        let columns = [names(given), names(&defaulted)].concat();
        // Without a WHERE the engine would take ON CONFLICT for a join's condition.
        Ok((
            prefix,
            columns,
            format!("SELECT {} FROM pf_source WHERE 1", values.join(",")),
        ))
    }

    fn given_value(&mut self, table: &Table, column: &Column, expr: &Expr) -> SqlResult<String> {
        if is_default(expr) {
            return self.default_of(table, column);
        }
        if column.always_generated {
            let message = format!(
                "cannot insert a non-DEFAULT value into column \"{}\"",
                column.name
            );
            return Err(SqlError::new("428C9", message));
        }
        let piece = self.expr(expr, Some(column.ty))?;
        self.fitted(table, column, piece)
    }

    /// The value of a column that is not given.
    fn default_of(&mut self, table: &Table, column: &Column) -> SqlResult<String> {
        if let Some(sequence) = column.sequence {
            return Ok(format!("pf_nextval({sequence})"));
        }
        match &column.default {
            Some(default) => {
                let piece = self.expr(&default.clone(), Some(column.ty))?;
                self.fitted(table, column, piece)
            }
            None if column.is_row_number => Err(null_in_column(table, &column.name)),
            None => Ok("NULL".into()),
        }
    }

    /// A value as its column takes it.
    pub(super) fn fitted(
        &mut self,
        table: &Table,
        column: &Column,
        piece: super::Piece,
    ) -> SqlResult<String> {
        if column.is_row_number && piece.form == Form::Null {
            return Err(null_in_column(table, &column.name));
        }
        let sure = piece.not_null;
        let how = Cast {
            from: column.ty,
            to: column.ty,
            modifier: column.modifier.max(0),
            explicit: false,
        };
        let sql = self.convert(piece, how)?.sql;
        // Where the column is the engine's row number, a NULL would silently become a new number.
        Ok(if column.is_row_number && !sure {
            format!(
                "pf_not_null({sql},{},{})",
                quote_text(&column.name),
                quote_text(&table.name)
            )
        } else {
            sql
        })
    }

    fn on_conflict(
        &mut self,
        table: &Table,
        alias: &str,
        conflict: &OnConflict,
    ) -> SqlResult<String> {
        let target = match &conflict.conflict_target {
            None => String::new(),
            Some(ConflictTarget::Columns(columns)) => {
                let columns: SqlResult<Vec<String>> = columns
                    .iter()
                    .map(|column| Ok(quote_name(&table.column(&fold(column))?.1.name)))
                    .collect();
                format!("({})", columns?.join(","))
            }
            Some(ConflictTarget::OnConstraint(name)) => {
                let name = fold_parts(name)?.pop().unwrap_or_default();
                let is_named = |constraint: &&super::super::schema::Constraint| {
                    constraint.name == name
                        && matches!(
                            constraint.kind,
                            ConstraintKind::Primary | ConstraintKind::Unique
                        )
                };
                let constraint = table.constraints.iter().find(is_named).ok_or_else(|| {
                    let message = format!(
                        "constraint \"{name}\" for table \"{}\" does not exist",
                        table.name
                    );
                    SqlError::new("42704", message)
                })?;
                let columns: Vec<String> = constraint
                    .columns
                    .iter()
                    .map(|column| quote_name(column))
                    .collect();
                format!("({})", columns.join(","))
            }
        };
        let OnConflictAction::DoUpdate(update) = &conflict.action else {
            return Ok(format!(" ON CONFLICT{target} DO NOTHING"));
        };
        if target.is_empty() {
            return Err(SqlError::new(
                "42601",
                "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            ));
        }
        let sources = vec![
            self.source_of(table, alias, true),
            excluded(self.source_of(table, "excluded", true)),
        ];
        self.scopes.push(Scope { sources });
        let assignments = self.assignments(table, &update.assignments);
        let condition = match &update.selection {
            Some(condition) => self
                .condition_of(condition, "WHERE")
                .map(|piece| format!(" WHERE {}", piece.sql)),
            None => Ok(String::new()),
        };
        self.scopes.pop();
        Ok(format!(
            " ON CONFLICT{target} DO UPDATE SET {}{}",
            assignments?, condition?
        ))
    }

    fn assignments(&mut self, table: &Table, assignments: &[Assignment]) -> SqlResult<String> {
        let mut sqls = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            match (&assignment.target, &assignment.value) {
                (AssignmentTarget::ColumnName(name), value) => {
                    sqls.push(self.assignment(table, name, value)?)
                }
                (AssignmentTarget::Tuple(names), Expr::Tuple(values))
                    if names.len() == values.len() =>
                {
                    for (name, value) in names.iter().zip(values) {
                        sqls.push(self.assignment(table, name, value)?);
                    }
                }
                _ => return Err(SqlError::unsupported("this assignment of several columns")),
            }
        }
        Ok(sqls.join(","))
    }

    fn assignment(&mut self, table: &Table, name: &ObjectName, value: &Expr) -> SqlResult<String> {
        let name = fold_parts(name)?.pop().unwrap_or_default();
        let (_, column) = table.column(&name)?;
        let value = self.given_value(table, column, value)?;
        Ok(format!("{} = {value}", quote_name(&name)))
    }

    pub(super) fn update(&mut self, update: &Update) -> SqlResult<Changed> {
        if update.or.is_some() || !update.order_by.is_empty() || update.limit.is_some() {
            return Err(SqlError::new("42601", "syntax error in UPDATE"));
        }
        let (table, alias) = self.target(&update.table)?;
        self.scopes.push(Scope {
            sources: vec![self.source_of(&table, &alias, true)],
        });
        let changed = self.update_within(update, &table, &alias);
        self.scopes.pop();
        changed
    }

    fn update_within(&mut self, update: &Update, table: &Table, alias: &str) -> SqlResult<Changed> {
        let from = match &update.from {
            None => String::new(),
            Some(
                UpdateTableFromKind::AfterSet(tables) | UpdateTableFromKind::BeforeSet(tables),
            ) => self.from(tables)?,
        };
        let assignments = self.assignments(table, &update.assignments)?;
        let condition = self.where_clause(update.selection.as_ref())?;
        let (returning, outputs) = self.returning(table, alias, update.returning.as_deref())?;
        let (engine, alias) = (quote_name(&table.engine_name()), quote_name(alias));
        Ok((
            format!("UPDATE {engine} AS {alias} SET {assignments}{from}{condition}{returning}"),
            outputs,
        ))
    }

    fn where_clause(&mut self, condition: Option<&Expr>) -> SqlResult<String> {
        match condition {
            Some(condition) => Ok(format!(
                " WHERE {}",
                self.condition_of(condition, "WHERE")?.sql
            )),
            None => Ok(String::new()),
        }
    }

    fn target(&mut self, table: &TableWithJoins) -> SqlResult<(std::sync::Arc<Table>, String)> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = &table.relation
        else {
            return Err(SqlError::unsupported("a change of anything but a table"));
        };
        if !table.joins.is_empty() {
            return Err(SqlError::new("42601", "a change of several tables"));
        }
        let table = self.changeable(name)?;
        let alias = alias
            .as_ref()
            .map_or_else(|| table.name.clone(), |alias| fold(&alias.name));
        Ok((table, alias))
    }

    pub(super) fn delete(&mut self, delete: &Delete) -> SqlResult<Changed> {
        let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
        let ([table], true) = (
            tables.as_slice(),
            delete.tables.is_empty() && delete.order_by.is_empty() && delete.limit.is_none(),
        ) else {
            return Err(SqlError::new("42601", "syntax error in DELETE"));
        };
        let (table, alias) = self.target(table)?;
        self.scopes.push(Scope {
            sources: vec![self.source_of(&table, &alias, true)],
        });
        let changed = self.delete_within(delete, &table, &alias);
        self.scopes.pop();
        changed
    }

    fn delete_within(&mut self, delete: &Delete, table: &Table, alias: &str) -> SqlResult<Changed> {
        let (engine, quoted) = (quote_name(&table.engine_name()), quote_name(alias));
        let condition = match &delete.using {
            None => self.where_clause(delete.selection.as_ref())?,
            // The engine has no USING: the rows are found by their number.
            Some(using) => {
                let using = self.from(using)?.replacen(" FROM ", "", 1);
                let condition = self.where_clause(delete.selection.as_ref())?;
                format!(
                    " WHERE rowid IN (SELECT {quoted}.rowid FROM {engine} AS {quoted},{using}{condition})"
                )
            }
        };
        let (returning, outputs) = self.returning(table, alias, delete.returning.as_deref())?;
        Ok((
            format!("DELETE FROM {engine} AS {quoted}{condition}{returning}"),
            outputs,
        ))
    }

    fn returning(
        &mut self,
        table: &Table,
        alias: &str,
        items: Option<&[SelectItem]>,
    ) -> SqlResult<Changed> {
        let Some(items) = items else {
            return Ok((String::new(), Vec::new()));
        };
        // The engine knows the columns of RETURNING without a table before them.
        self.scopes.push(Scope {
            sources: vec![self.source_of(table, alias, false)],
        });
        let projected = self.projection(items);
        self.scopes.pop();
        let (sqls, outputs) = projected?;
        Ok((format!(" RETURNING {}", sqls.join(",")), outputs))
    }
}

/// The row that could not be inserted, which may be named by its own name only.
fn excluded(mut source: Source) -> Source {
    source.merged = source
        .columns
        .iter()
        .map(|(_, output)| output.name.clone())
        .collect();
    source
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

fn names(columns: &[&Column]) -> Vec<String> {
    columns
        .iter()
        .map(|column| quote_name(&column.name))
        .collect()
}
