//! Keys, checks and references of a table, as parts of the engine's definition and by name in the schema.

use sqlparser::ast::{
    ColumnDef, ColumnOption, Expr, ForeignKeyConstraint, Ident, IndexColumn, ObjectName,
    TableConstraint,
};

use super::super::engine::Engine;
use super::super::error::{SqlError, SqlResult};
use super::super::schema::{
    Column, Constraint, ConstraintKind, Index, Table, engine_name, fold, new_oid, qualified,
};
use super::super::translate::{Translator, quote_name};
use super::tables::engine_column;
use super::{Definer, folded, schema_mut};

/// A table as it is being put together.
pub(super) struct Draft {
    pub(super) table: Table,
    /// The engine's constraints, each as its own part of the definition.
    parts: Vec<String>,
    /// The columns of the primary key.
    primary: Vec<String>,
}

fn quoted(columns: &[String]) -> String {
    columns
        .iter()
        .map(|column| quote_name(column))
        .collect::<Vec<_>>()
        .join(",")
}

fn index_columns(columns: &[IndexColumn]) -> SqlResult<Vec<String>> {
    let name = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(ident) => Ok(fold(ident)),
        _ => Err(SqlError::unsupported("a key on an expression")),
    };
    columns.iter().map(name).collect()
}

impl Draft {
    /// The draft of a table that is to be made, or to which a constraint is added.
    pub(super) fn of(table: Table) -> Self {
        Draft {
            table,
            parts: Vec::new(),
            primary: Vec::new(),
        }
    }

    fn named(&self, given: Option<&Ident>, columns: &[String], suffix: &str) -> String {
        let taken = |name: &str| {
            self.table
                .constraints
                .iter()
                .any(|constraint| constraint.name == name)
        };
        let base = given.map(fold).unwrap_or_else(|| match suffix {
            "pkey" => format!("{}_pkey", self.table.name),
            _ if columns.is_empty() => format!("{}_{suffix}", self.table.name),
            _ => format!("{}_{}_{suffix}", self.table.name, columns.join("_")),
        });
        let mut name = base.clone();
        let mut number = 1;
        while given.is_none() && taken(&name) {
            name = format!("{base}{number}");
            number += 1;
        }
        name
    }

    /// The constraints written behind a column.
    pub(super) fn column_constraints(
        &mut self,
        engine: &Engine,
        definer: &Definer<'_>,
        definition: &ColumnDef,
    ) -> SqlResult<()> {
        let columns = vec![fold(&definition.name)];
        for option in &definition.options {
            let name = option.name.as_ref();
            match &option.option {
                ColumnOption::PrimaryKey(_) => self.primary_key(name, columns.clone())?,
                ColumnOption::Unique(_) => self.unique(name, columns.clone()),
                ColumnOption::Check(check) => {
                    self.check(
                        engine,
                        definer,
                        name.or(check.name.as_ref()),
                        columns.clone(),
                        &check.expr,
                    )?;
                }
                ColumnOption::ForeignKey(key) => {
                    self.foreign_key(engine, definer, name, columns.clone(), key)?
                }
                ColumnOption::Null
                | ColumnOption::NotNull
                | ColumnOption::Default(_)
                | ColumnOption::Generated { .. } => (),
                ColumnOption::Collation(_) => (),
                other => {
                    return Err(SqlError::unsupported(format_args!(
                        "the column option {other}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The checks written behind a column that is added, as they follow its type.
    pub(super) fn added_checks(
        &mut self,
        engine: &Engine,
        definer: &Definer<'_>,
        definition: &ColumnDef,
    ) -> SqlResult<String> {
        for option in &definition.options {
            if let ColumnOption::Check(check) = &option.option {
                let name = option.name.as_ref().or(check.name.as_ref());
                let columns = vec![fold(&definition.name)];
                self.check(engine, definer, name, columns, &check.expr)?;
            }
        }
        Ok(self.parts.join(" "))
    }

    /// A constraint written beside the columns.
    pub(super) fn table_constraint(
        &mut self,
        engine: &Engine,
        definer: &Definer<'_>,
        constraint: &TableConstraint,
    ) -> SqlResult<()> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                self.primary_key(key.name.as_ref(), index_columns(&key.columns)?)
            }
            TableConstraint::Unique(unique) => {
                let columns = index_columns(&unique.columns)?;
                columns
                    .iter()
                    .try_for_each(|column| self.table.column(column).map(|_| ()))?;
                self.unique(unique.name.as_ref(), columns);
                Ok(())
            }
            TableConstraint::Check(check) => self.check(
                engine,
                definer,
                check.name.as_ref(),
                Vec::new(),
                &check.expr,
            ),
            TableConstraint::ForeignKey(key) => self.foreign_key(
                engine,
                definer,
                key.name.as_ref(),
                folded(&key.columns),
                key,
            ),
            other => Err(SqlError::unsupported(format_args!(
                "the constraint {other}"
            ))),
        }
    }

    fn add(
        &mut self,
        name: String,
        kind: ConstraintKind,
        columns: Vec<String>,
        definition: String,
    ) {
        self.table.constraints.push(Constraint {
            oid: new_oid(),
            name,
            kind,
            columns,
            refers_to: None,
            definition,
        });
    }

    fn add_index(&mut self, name: &str, columns: &[String], primary: bool) {
        let listed = columns.join(", ");
        let definition = format!(
            "CREATE UNIQUE INDEX {name} ON {}.{} USING btree ({listed})",
            self.table.schema, self.table.name
        );
        self.table.indexes.push(Index {
            oid: new_oid(),
            name: name.to_owned(),
            unique: true,
            primary,
            definition,
            columns: columns.to_vec(),
        });
    }

    fn primary_key(&mut self, name: Option<&Ident>, columns: Vec<String>) -> SqlResult<()> {
        if self
            .table
            .constraints
            .iter()
            .any(|constraint| constraint.kind == ConstraintKind::Primary)
        {
            let message = format!(
                "multiple primary keys for table \"{}\" are not allowed",
                self.table.name
            );
            return Err(SqlError::new("42P16", message));
        }
        for name in &columns {
            let (at, _) = self.table.column(name)?;
            self.table.columns[at].not_null = true;
        }
        let name = self.named(name, &columns, "pkey");
        self.add_index(&name, &columns, true);
        self.primary.clone_from(&columns);
        let definition = format!("PRIMARY KEY ({})", columns.join(", "));
        self.add(name, ConstraintKind::Primary, columns, definition);
        Ok(())
    }

    /// A unique constraint over these columns.
    pub(super) fn unique(&mut self, name: Option<&Ident>, columns: Vec<String>) {
        let name = self.named(name, &columns, "key");
        self.parts.push(format!("UNIQUE ({})", quoted(&columns)));
        self.add_index(&name, &columns, false);
        let definition = format!("UNIQUE ({})", columns.join(", "));
        self.add(name, ConstraintKind::Unique, columns, definition);
    }

    fn check(
        &mut self,
        engine: &Engine,
        definer: &Definer<'_>,
        name: Option<&Ident>,
        columns: Vec<String>,
        expr: &Expr,
    ) -> SqlResult<()> {
        let sql = Translator::condition(&self.table, &engine.schema, definer.names, expr)?;
        // About one column, it is called after it.
        let mut named_columns = self.named_in(expr);
        named_columns.truncate(if named_columns.len() == 1 { 1 } else { 0 });
        let columns = if columns.is_empty() {
            named_columns
        } else {
            columns
        };
        let name = self.named(name, &columns, "check");
        self.parts
            .push(format!("CONSTRAINT {} CHECK ({sql})", quote_name(&name)));
        self.add(
            name,
            ConstraintKind::Check,
            columns,
            format!("CHECK ({expr})"),
        );
        Ok(())
    }

    /// The columns whose names are words of the expression.
    fn named_in(&self, expr: &Expr) -> Vec<String> {
        let text = expr.to_string().to_lowercase();
        let is_word = |name: &str| {
            text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .any(|word| word == name)
        };
        let names = self.table.columns.iter().map(|column| &column.name);
        names.filter(|name| is_word(name)).cloned().collect()
    }

    fn foreign_key(
        &mut self,
        engine: &Engine,
        definer: &Definer<'_>,
        name: Option<&Ident>,
        columns: Vec<String>,
        key: &ForeignKeyConstraint,
    ) -> SqlResult<()> {
        let (parent, parent_columns) = self.referred(
            engine,
            definer,
            &key.foreign_table,
            folded(&key.referred_columns),
        )?;
        columns
            .iter()
            .try_for_each(|column| self.table.column(column).map(|_| ()))?;
        let name = self.named(name, &columns, "fkey");
        let actions = [("DELETE", key.on_delete), ("UPDATE", key.on_update)];
        let actions: String = actions
            .iter()
            .filter_map(|(event, action)| action.map(|action| format!(" ON {event} {action}")))
            .collect();
        let deferred = match &key.characteristics {
            Some(characteristics) => format!(" {characteristics}"),
            None => String::new(),
        };
        let engine_parent = quote_name(&parent.engine_name());
        let (from, to) = (quoted(&columns), quoted(&parent_columns));
        self.parts.push(format!(
            "FOREIGN KEY ({from}) REFERENCES {engine_parent}({to}){actions}{deferred}"
        ));
        let definition = format!(
            "FOREIGN KEY ({}) REFERENCES {}({}){actions}",
            columns.join(", "),
            parent.name,
            parent_columns.join(", ")
        );
        self.add(name, ConstraintKind::Foreign, columns, definition);
        if let Some(constraint) = self.table.constraints.last_mut() {
            constraint.refers_to = Some(parent.oid);
        }
        Ok(())
    }

    /// The table and the key that a foreign key refers to.
    fn referred(
        &self,
        engine: &Engine,
        definer: &Definer<'_>,
        name: &ObjectName,
        columns: Vec<String>,
    ) -> SqlResult<(Table, Vec<String>)> {
        let name = qualified(name)?;
        let is_self = name.name == self.table.name
            && name
                .schema
                .as_ref()
                .is_none_or(|schema| *schema == self.table.schema);
        let parent = if is_self {
            &self.table
        } else {
            engine.schema.table(&name, &definer.names.path)?.as_ref()
        };
        let keys = || {
            parent.constraints.iter().filter(|constraint| {
                matches!(
                    constraint.kind,
                    ConstraintKind::Primary | ConstraintKind::Unique
                )
            })
        };
        let columns = match keys().find(|constraint| constraint.kind == ConstraintKind::Primary) {
            Some(primary) if columns.is_empty() => primary.columns.clone(),
            _ => columns,
        };
        if columns.is_empty() {
            return Err(SqlError::new(
                "42704",
                format!(
                    "there is no primary key for referenced table \"{}\"",
                    parent.name
                ),
            ));
        }
        let has_key = keys().any(|constraint| constraint.columns == columns)
            || parent
                .indexes
                .iter()
                .any(|index| index.unique && index.columns == columns);
        if !has_key {
            let message = format!(
                "there is no unique constraint matching given keys for referenced table \"{}\"",
                parent.name
            );
            return Err(SqlError::new("42830", message));
        }
        Ok((parent.clone(), columns))
    }

    /// Creates the table in the engine, and makes it known.
    pub(super) fn finish(mut self, engine: &mut Engine) -> SqlResult<()> {
        if self.table.columns.is_empty() {
            return Err(SqlError::unsupported("a table without columns"));
        }
        let row_number = match self.primary.as_slice() {
            [only] => self
                .table
                .columns
                .iter()
                .position(|column| column.name == *only && column.ty.is_integer()),
            _ => None,
        };
        if let Some(at) = row_number {
            self.table.columns[at].is_row_number = true;
        } else if !self.primary.is_empty() {
            self.parts
                .push(format!("PRIMARY KEY ({})", quoted(&self.primary)));
        }
        let column = |column: &Column| match column.is_row_number {
            true => format!("{} INTEGER PRIMARY KEY", quote_name(&column.name)),
            false => engine_column(column),
        };
        let parts: Vec<String> = self
            .table
            .columns
            .iter()
            .map(column)
            .chain(self.parts)
            .collect();
        let name = engine_name(&self.table.schema, &self.table.name);
        engine.execute(&format!(
            "CREATE TABLE {} ({})",
            quote_name(&name),
            parts.join(",")
        ))?;
        schema_mut(engine).put_table(self.table);
        Ok(())
    }
}
