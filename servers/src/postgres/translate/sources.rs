//! The FROM clause: tables, joins, subqueries and functions, and how their columns are named inside the query.
//!
//! The engine has no LATERAL; a lateral subquery without a FROM of its own is written out wherever its columns are
//! named, any other is refused.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator, ObjectName, Query,
    SetExpr, TableAlias, TableFactor, TableWithJoins,
};

use super::super::error::{SqlError, SqlResult};
use super::super::schema::{fold, fold_parts, qualified};
use super::super::types::{PgType, Scalar};
use super::queries::renamed;
use super::{Output, Scope, Source, Translator, quote_name};

impl Translator<'_> {
    /// The whole clause; its sources join the innermost scope.
    pub(super) fn from(&mut self, tables: &[TableWithJoins]) -> SqlResult<String> {
        let mut parts = Vec::with_capacity(tables.len());
        for table in tables {
            let sql = self.table_with_joins(table)?;
            if !sql.is_empty() {
                parts.push(sql);
            }
        }
        Ok(if parts.is_empty() {
            String::new()
        } else {
            format!(" FROM {}", parts.join(","))
        })
    }

    pub(super) fn table_with_joins(&mut self, table: &TableWithJoins) -> SqlResult<String> {
        let first = self.own_sources().len();
        let mut sql = self.factor(&table.relation)?;
        for join in &table.joins {
            sql = self.join(sql, join, first)?;
        }
        Ok(sql)
    }

    fn own_sources(&mut self) -> &mut Vec<Source> {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last].sources
    }

    fn add_source(&mut self, source: Source) -> SqlResult<()> {
        let sources = self.own_sources();
        if sources.iter().any(|known| known.alias == source.alias) {
            let message = format!("table name \"{}\" specified more than once", source.alias);
            return Err(SqlError::new("42712", message));
        }
        sources.push(source);
        Ok(())
    }

    /// Adds `join` to what is on its left; the join's own tables begin at the source `first`.
    fn join(&mut self, left: String, join: &Join, first: usize) -> SqlResult<String> {
        use JoinOperator as J;
        let (words, constraint, left_optional, right_optional) = match &join.join_operator {
            J::Join(constraint) | J::Inner(constraint) => ("JOIN", constraint, false, false),
            J::Left(constraint) | J::LeftOuter(constraint) => {
                ("LEFT JOIN", constraint, false, true)
            }
            J::Right(constraint) | J::RightOuter(constraint) => {
                ("RIGHT JOIN", constraint, true, false)
            }
            J::FullOuter(constraint) => ("FULL JOIN", constraint, true, true),
            J::CrossJoin(constraint) => ("CROSS JOIN", constraint, false, false),
            _ => return Err(SqlError::unsupported("this join")),
        };
        let middle = self.own_sources().len();
        let right = self.factor(&join.relation)?;
        let sources = self.own_sources();
        let optional = sources[first..middle]
            .iter_mut()
            .filter(|_| left_optional)
            .map(|source| source.columns.as_mut_slice());
        optional.for_each(may_be_null);
        let sources = self.own_sources();
        sources[middle..]
            .iter_mut()
            .filter(|_| right_optional)
            .map(|source| source.columns.as_mut_slice())
            .for_each(may_be_null);
        let condition = match constraint {
            JoinConstraint::None => String::new(),
            JoinConstraint::On(condition) => {
                format!(" ON {}", self.condition_of(condition, "JOIN/ON")?.sql)
            }
            JoinConstraint::Using(columns) => self.using(columns, middle)?,
            JoinConstraint::Natural => return Err(SqlError::unsupported("NATURAL JOIN")),
        };
        if right.is_empty() {
            // A subquery that is written out where it is named has nothing to join.
            return if condition.is_empty() || condition == " ON 1" {
                Ok(left)
            } else {
                Err(SqlError::unsupported("LATERAL with a condition"))
            };
        }
        Ok(format!("{left} {words} {right}{condition}"))
    }

    fn using(&mut self, columns: &[ObjectName], right: usize) -> SqlResult<String> {
        let mut names = Vec::with_capacity(columns.len());
        for column in columns {
            names.push(fold_parts(column)?.pop().unwrap_or_default());
        }
        for source in &mut self.own_sources()[right..] {
            source.merged.extend(names.iter().cloned());
        }
        let quoted: Vec<String> = names.iter().map(|name| quote_name(name)).collect();
        Ok(format!(" USING ({})", quoted.join(",")))
    }

    fn factor(&mut self, factor: &TableFactor) -> SqlResult<String> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_ordinality: false,
                sample: None,
                ..
            } => self.named(name, alias.as_ref()),
            TableFactor::Table {
                name,
                alias,
                args: Some(args),
                with_ordinality: false,
                ..
            } => self.function(name, &args.args, alias.as_ref()),
            TableFactor::Function {
                name,
                args,
                alias,
                with_ordinality: false,
                ..
            } => self.function(name, args, alias.as_ref()),
            TableFactor::Table {
                name,
                alias: Some(alias),
                args: Some(args),
                with_ordinality: true,
                ..
            } => self.numbered(name, &args.args, alias),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_ordinality: false,
                ..
            } => {
                let [array] = array_exprs.as_slice() else {
                    return Err(SqlError::unsupported("unnest of several arrays"));
                };
                self.unnest(array, alias.as_ref())
            }
            TableFactor::Derived {
                lateral: true,
                subquery,
                alias: Some(alias),
                ..
            } => self.lateral(subquery, alias),
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                ..
            } => self.derived(subquery, alias.as_ref()),
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => Ok(format!("({})", self.table_with_joins(table_with_joins)?)),
            _ => Err(SqlError::unsupported("this item of FROM")),
        }
    }

    fn named(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> SqlResult<String> {
        let full = qualified(name)?;
        let alias_name = alias.map_or_else(|| full.name.clone(), |alias| fold(&alias.name));
        let cte = self
            .ctes
            .iter()
            .rev()
            .find(|(cte, _)| full.schema.is_none() && *cte == full.name);
        let (engine, columns) = match cte {
            Some((cte, outputs)) => (cte.clone(), outputs.clone()),
            None => {
                let table = self.table(&full)?;
                let source = self.source_of(&table, &alias_name, true);
                (
                    table.engine_name(),
                    source
                        .columns
                        .into_iter()
                        .map(|(_, output)| output)
                        .collect(),
                )
            }
        };
        self.add_columns(&alias_name, columns, alias)?;
        Ok(format!(
            "{} AS {}",
            quote_name(&engine),
            quote_name(&alias_name)
        ))
    }

    /// Adds a source whose columns the engine knows by their own names, and the query by those of the alias.
    fn add_columns(
        &mut self,
        alias_name: &str,
        columns: Vec<Output>,
        alias: Option<&TableAlias>,
    ) -> SqlResult<()> {
        let prefix = quote_name(alias_name);
        let sqls: Vec<String> = columns
            .iter()
            .map(|output| format!("{prefix}.{}", quote_name(&output.name)))
            .collect();
        let columns = renamed(columns, &alias_columns(alias))?;
        self.add_source(Source {
            alias: alias_name.to_owned(),
            columns: sqls.into_iter().zip(columns).collect(),
            merged: Vec::new(),
        })
    }

    fn derived(&mut self, subquery: &Query, alias: Option<&TableAlias>) -> SqlResult<String> {
        // Without LATERAL the tables beside it are out of its sight.
        let own = self.scopes.pop().unwrap_or_default();
        let queried = self.query(subquery);
        self.scopes.push(own);
        let (sql, outputs) = queried?;
        let outputs: Vec<Output> = outputs.into_iter().map(super::decided).collect();
        let alias_name = alias.map_or_else(
            || format!("pf_{}", self.own_sources().len()),
            |alias| fold(&alias.name),
        );
        self.add_columns(&alias_name, outputs, alias)?;
        Ok(format!("({sql}) AS {}", quote_name(&alias_name)))
    }

    fn lateral(&mut self, subquery: &Query, alias: &TableAlias) -> SqlResult<String> {
        let simple = match subquery.body.as_ref() {
            SetExpr::Select(select)
                if select.from.is_empty()
                    && select.selection.is_none()
                    && subquery.with.is_none() =>
            {
                select
            }
            _ => return Err(SqlError::unsupported("LATERAL over a table")),
        };
        let (sqls, outputs) = self.projection(&simple.projection)?;
        let columns = renamed(outputs, &alias_columns(Some(alias)))?;
        let bare = |sql: String| match sql.rfind(" AS ") {
            Some(end) => format!("({})", &sql[..end]),
            None => sql,
        };
        let columns = sqls.into_iter().map(bare).zip(columns).collect();
        self.add_source(Source {
            alias: fold(&alias.name),
            columns,
            merged: Vec::new(),
        })?;
        Ok(String::new())
    }

    fn function(
        &mut self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        alias: Option<&TableAlias>,
    ) -> SqlResult<String> {
        let function = Self::function_name(name)?;
        let mut exprs = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => exprs.push(expr),
                _ => return Err(SqlError::unsupported("a named argument")),
            }
        }
        match (function.as_str(), exprs.as_slice()) {
            ("generate_series", [_, _] | [_, _, _]) => {
                let mut list = Vec::with_capacity(3);
                let mut ty = PgType::INT4;
                for expr in exprs {
                    let piece = self.expr(expr, Some(PgType::INT4))?;
                    if !piece.ty.is_integer() {
                        return Err(SqlError::unsupported(
                            "generate_series of anything but integers",
                        ));
                    }
                    ty = if piece.ty == PgType::INT8 {
                        PgType::INT8
                    } else {
                        ty
                    };
                    list.push(piece.sql);
                }
                self.function_source(
                    "generate_series",
                    &format!("value FROM generate_series({})", list.join(",")),
                    ty,
                    alias,
                )
            }
            ("unnest", [array]) => self.unnest(array, alias),
            _ => {
                let call = Expr::Function(call_of(name, arguments));
                let piece = self.expr(&call, None)?;
                self.function_source(&function, &piece.sql, piece.ty, alias)
            }
        }
    }

    /// A function that gives one row, with the number of that row.
    fn numbered(
        &mut self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        alias: &TableAlias,
    ) -> SqlResult<String> {
        if ["unnest", "generate_series"].contains(&Self::function_name(name)?.as_str()) {
            return Err(SqlError::unsupported("WITH ORDINALITY over several rows"));
        }
        let piece = self.expr(&Expr::Function(call_of(name, arguments)), None)?;
        let output = |name: &str, ty| Output {
            name: name.to_owned(),
            ty,
            modifier: -1,
            origin: None,
            not_null: false,
        };
        let alias_name = fold(&alias.name);
        self.add_columns(
            &alias_name,
            vec![
                output("value", piece.ty),
                output("ordinality", PgType::INT8),
            ],
            Some(alias),
        )?;
        Ok(format!(
            "(SELECT {} AS \"value\", 1 AS \"ordinality\") AS {}",
            piece.sql,
            quote_name(&alias_name)
        ))
    }

    fn unnest(&mut self, array: &Expr, alias: Option<&TableAlias>) -> SqlResult<String> {
        let piece = self.expr(array, Some(PgType::array(Scalar::Text)))?;
        if !piece.ty.is_array {
            return Err(SqlError::new(
                "42883",
                format!("function unnest({}) does not exist", piece.ty.sql_name()),
            ));
        }
        self.function_source(
            "unnest",
            &format!("value FROM json_each({})", piece.sql),
            piece.ty.scalar.into(),
            alias,
        )
    }

    /// A function with one column, which is called like the alias, or like the function.
    fn function_source(
        &mut self,
        function: &str,
        select: &str,
        ty: PgType,
        alias: Option<&TableAlias>,
    ) -> SqlResult<String> {
        let alias_name = alias.map_or_else(|| function.to_owned(), |alias| fold(&alias.name));
        let column = alias_columns(alias)
            .into_iter()
            .next()
            .unwrap_or_else(|| alias_name.clone());
        let output = Output {
            name: column.clone(),
            ty,
            modifier: -1,
            origin: None,
            not_null: false,
        };
        let quoted = quote_name(&alias_name);
        // A function of the engine can see the tables beside it, which a subquery could not.
        let (sql, from) = match select.strip_prefix("value FROM ") {
            Some(call) => (format!("{quoted}.value"), format!("{call} AS {quoted}")),
            None => (
                format!("{quoted}.{}", quote_name(&column)),
                format!("(SELECT {select} AS {}) AS {quoted}", quote_name(&column)),
            ),
        };
        self.add_source(Source {
            alias: alias_name,
            columns: vec![(sql, output)],
            merged: Vec::new(),
        })?;
        Ok(from)
    }
}

fn alias_columns(alias: Option<&TableAlias>) -> Vec<String> {
    alias
        .map(|alias| {
            alias
                .columns
                .iter()
                .map(|column| fold(&column.name))
                .collect()
        })
        .unwrap_or_default()
}

fn may_be_null(columns: &mut [(String, Output)]) {
    columns
        .iter_mut()
        .for_each(|(_, output)| output.not_null = false);
}

/// A function of FROM as the call it would be in an expression.
fn call_of(name: &ObjectName, arguments: &[FunctionArg]) -> sqlparser::ast::Function {
    use sqlparser::ast::{FunctionArgumentList, FunctionArguments};
    sqlparser::ast::Function {
        name: name.clone(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.to_vec(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}
