//! Queries: SELECT with everything around it, VALUES, UNION and the like, and WITH.
//!
//! Each result column gets a type and an explicit name here, because the engine has neither. Sources of FROM are in
//! `sources.rs`.

use sqlparser::ast::{
    Distinct, Expr, Fetch, GroupByExpr, Ident, LimitClause, OrderBy, OrderByExpr, OrderByKind,
    OrderBySort, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Value,
    WildcardAdditionalOptions,
};

use super::super::error::{SqlError, SqlResult};
use super::super::schema::{fold, fold_parts};
use super::super::types::{PgType, Scalar};
use super::labels::output_name;
use super::{Form, Output, Piece, Scope, Translator, quote_name};

/// The engine's SQL of a query, and its columns.
pub(super) type Queried = (String, Vec<Output>);

impl Translator<'_> {
    /// Translates a whole query.
    pub(super) fn query(&mut self, query: &Query) -> SqlResult<Queried> {
        self.deeper(|translator| {
            let ctes = translator.ctes.len();
            let result = translator.query_within(query);
            translator.ctes.truncate(ctes);
            result
        })
    }

    fn query_within(&mut self, query: &Query) -> SqlResult<Queried> {
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return Err(SqlError::unsupported("this clause of a query"));
        }
        self.takes_lease |= !query.locks.is_empty();
        let with = query
            .with
            .as_ref()
            .map(|with| self.with(with))
            .transpose()?
            .unwrap_or_default();
        let order = match &query.order_by {
            None => &[][..],
            Some(OrderBy {
                kind: OrderByKind::Expressions(list),
                interpolate: None,
            }) => list,
            Some(_) => return Err(SqlError::unsupported("this ORDER BY")),
        };
        let (body, outputs) = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, order)?,
            body => {
                let (sql, outputs) = self.set_expr(body)?;
                let order = order
                    .iter()
                    .map(|item| self.order_item(item, &outputs, false))
                    .collect::<SqlResult<Vec<_>>>()?;
                (format!("{sql}{}", listed(" ORDER BY ", &order)), outputs)
            }
        };
        let limit = self.limit(query.limit_clause.as_ref(), query.fetch.as_ref())?;
        Ok((format!("{with}{body}{limit}"), outputs))
    }

    /// A single SELECT, with the ORDER BY of the query around it.
    pub(super) fn select(&mut self, select: &Select, order: &[OrderByExpr]) -> SqlResult<Queried> {
        refuse_foreign_clauses(select)?;
        self.scopes.push(Scope::default());
        let result = self.select_within(select, order);
        self.scopes.pop();
        result
    }

    fn select_within(&mut self, select: &Select, order: &[OrderByExpr]) -> SqlResult<Queried> {
        let from = self.from(&select.from)?;
        let condition = match &select.selection {
            Some(condition) => format!(" WHERE {}", self.condition_of(condition, "WHERE")?.sql),
            None => String::new(),
        };
        let (items, outputs) = self.projection(&select.projection)?;
        let group = self.group_by(&select.group_by, &select.projection, &outputs)?;
        let having = match &select.having {
            Some(having) => format!(" HAVING {}", self.condition_of(having, "HAVING")?.sql),
            None => String::new(),
        };
        let order = order
            .iter()
            .map(|item| self.order_item(item, &outputs, true))
            .collect::<SqlResult<Vec<_>>>()?;
        let distinct = match &select.distinct {
            None | Some(Distinct::All) => "",
            Some(Distinct::Distinct) => "DISTINCT ",
            Some(Distinct::On(_)) => return Err(SqlError::unsupported("DISTINCT ON")),
        };
        // A row without columns is nothing the engine can give.
        let items = if items.is_empty() {
            "NULL".to_owned()
        } else {
            items.join(",")
        };
        let sql = format!(
            "SELECT {distinct}{items}{from}{condition}{group}{having}{}",
            listed(" ORDER BY ", &order)
        );
        Ok((sql, outputs))
    }

    /// The list of result columns: of SELECT, or of RETURNING.
    pub(super) fn projection(
        &mut self,
        items: &[SelectItem],
    ) -> SqlResult<(Vec<String>, Vec<Output>)> {
        let (mut sqls, mut outputs) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = output_name(expr);
                    self.project(expr, name, &mut sqls, &mut outputs)?;
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.project(expr, fold(alias), &mut sqls, &mut outputs)?
                }
                SelectItem::Wildcard(options) => {
                    self.wildcard(None, options, &mut sqls, &mut outputs)?
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    let table = fold_parts(name)?.pop();
                    self.wildcard(table.as_deref(), options, &mut sqls, &mut outputs)?;
                }
                _ => return Err(SqlError::unsupported("this item of a SELECT list")),
            }
        }
        Ok((sqls, outputs))
    }

    fn project(
        &mut self,
        expr: &Expr,
        name: String,
        sqls: &mut Vec<String>,
        outputs: &mut Vec<Output>,
    ) -> SqlResult<()> {
        let piece = self.expr(expr, None)?;
        if piece.ty.is_unknown() && piece.form == Form::Other {
            return Err(SqlError::unsupported("a row as a result column"));
        }
        // A parameter that nothing decides is a text; a literal stays open for a UNION or a column to decide.
        let piece = if matches!(piece.form, Form::Parameter(_)) {
            self.settle(piece, PgType::TEXT)?
        } else {
            piece
        };
        sqls.push(format!("{} AS {}", piece.sql, quote_name(&name)));
        outputs.push(Output {
            name,
            ty: piece.ty,
            modifier: piece.modifier,
            origin: piece.origin,
            not_null: piece.not_null,
        });
        Ok(())
    }

    fn wildcard(
        &mut self,
        table: Option<&str>,
        options: &WildcardAdditionalOptions,
        sqls: &mut Vec<String>,
        outputs: &mut Vec<Output>,
    ) -> SqlResult<()> {
        if options.opt_exclude.is_some()
            || options.opt_except.is_some()
            || options.opt_replace.is_some()
            || options.opt_rename.is_some()
        {
            return Err(SqlError::unsupported("this form of *"));
        }
        let sources = self
            .scopes
            .last()
            .map(|scope| scope.sources.as_slice())
            .unwrap_or_default();
        if let Some(table) = table
            && !sources.iter().any(|source| source.alias == table)
        {
            return Err(SqlError::new(
                "42P01",
                format!("missing FROM-clause entry for table \"{table}\""),
            ));
        }
        if sources.is_empty() {
            return Err(SqlError::new(
                "42601",
                "SELECT * with no tables specified is not valid",
            ));
        }
        for source in sources
            .iter()
            .filter(|source| table.is_none_or(|table| source.alias == table))
        {
            for (sql, output) in &source.columns {
                if table.is_none() && source.merged.contains(&output.name) {
                    continue;
                }
                sqls.push(format!("{sql} AS {}", quote_name(&output.name)));
                outputs.push(output.clone());
            }
        }
        Ok(())
    }

    fn group_by(
        &mut self,
        group: &GroupByExpr,
        projection: &[SelectItem],
        outputs: &[Output],
    ) -> SqlResult<String> {
        let GroupByExpr::Expressions(list, modifiers) = group else {
            return Err(SqlError::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::unsupported("this form of GROUP BY"));
        }
        let mut sqls = Vec::with_capacity(list.len());
        for expr in list {
            // A position or an alias stands for the expression itself; the engine's aliases hide columns, so it is said in full.
            let meant = match expr {
                Expr::Value(value) => {
                    position(&value.value, outputs)?.and_then(|at| plain_item(projection, at))
                }
                Expr::Identifier(ident) if self.find_column(None, &fold(ident)).is_err() => {
                    named_item(projection, ident)
                }
                _ => None,
            };
            let piece = self.expr(meant.unwrap_or(expr), None)?;
            let collation = if piece.ty.is_numeric() {
                " COLLATE pf_numeric"
            } else {
                ""
            };
            sqls.push(format!("{}{collation}", piece.sql));
        }
        Ok(listed(" GROUP BY ", &sqls))
    }

    /// One item of a query's ORDER BY: a position, a result column, or (`with_input`) any expression of the input.
    fn order_item(
        &mut self,
        item: &OrderByExpr,
        outputs: &[Output],
        with_input: bool,
    ) -> SqlResult<String> {
        let at = match &item.expr {
            Expr::Value(value) => position(&value.value, outputs)?,
            Expr::Identifier(ident) => {
                let name = fold(ident);
                outputs.iter().position(|output| output.name == name)
            }
            _ => None,
        };
        let piece = match at {
            // By position, which is the same for the engine and cannot be taken for a column of the input.
            Some(at) => Piece {
                not_null: outputs[at].not_null,
                ..Piece::new((at + 1).to_string(), outputs[at].ty)
            },
            None if with_input => self.expr(&item.expr, Some(PgType::TEXT))?,
            None => return Err(SqlError::unsupported("ORDER BY an expression over a UNION")),
        };
        ordered(piece, item)
    }

    /// The ORDER BY of a window or an aggregate.
    pub(super) fn order_list(&mut self, list: &[OrderByExpr]) -> SqlResult<String> {
        let items: SqlResult<Vec<String>> = list
            .iter()
            .map(|item| {
                let piece = self.expr(&item.expr, Some(PgType::TEXT))?;
                ordered(piece, item)
            })
            .collect();
        Ok(items?.join(","))
    }

    fn limit(&mut self, clause: Option<&LimitClause>, fetch: Option<&Fetch>) -> SqlResult<String> {
        let (limit, offset) = match clause {
            None => (None, None),
            Some(LimitClause::LimitOffset {
                limit,
                offset,
                limit_by,
            }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(_) => return Err(SqlError::new("42601", "LIMIT #,# syntax is not supported")),
        };
        let one = Expr::Value(Value::Number("1".into(), false).into());
        let limit = match fetch {
            None => limit,
            Some(Fetch {
                with_ties: false,
                percent: false,
                quantity,
            }) => Some(quantity.as_ref().unwrap_or(&one)),
            Some(_) => return Err(SqlError::unsupported("this form of FETCH")),
        };
        let mut count = |expr: &Expr| -> SqlResult<String> {
            let piece = self.expr(expr, Some(PgType::INT8))?;
            Ok(self.coerce(piece, PgType::INT8)?.sql)
        };
        let limit = limit.map(&mut count).transpose()?;
        let offset = offset.map(&mut count).transpose()?;
        Ok(match (limit, offset) {
            (None, None) => String::new(),
            // No limit is -1 to the engine and NULL to PostgreSQL.
            (limit, None) => format!(" LIMIT coalesce({},-1)", limit.unwrap_or_default()),
            (limit, Some(offset)) => {
                format!(
                    " LIMIT coalesce({},-1) OFFSET coalesce({offset},0)",
                    limit.as_deref().unwrap_or("NULL")
                )
            }
        })
    }
}

/// The PostgreSQL order of NULLs: after everything else, or before it when descending.
fn ordered(piece: Piece, item: &OrderByExpr) -> SqlResult<String> {
    let is_position = piece.sql.bytes().all(|byte| byte.is_ascii_digit());
    let piece = match piece.ty.scalar {
        Scalar::Interval if !piece.ty.is_array && !is_position => Piece {
            sql: format!("pf_interval_length({})", piece.sql),
            ..piece
        },
        _ => piece,
    };
    let descending = match &item.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(_)) => return Err(SqlError::unsupported("ORDER BY USING")),
    };
    let collation = if piece.ty.is_numeric() {
        " COLLATE pf_numeric"
    } else {
        ""
    };
    let direction = if descending { " DESC" } else { "" };
    let nulls = match item.options.nulls_first {
        // Said only where there can be any, since it keeps the engine from using an index.
        None if piece.not_null => "",
        None if descending => " NULLS FIRST",
        None => " NULLS LAST",
        Some(true) => " NULLS FIRST",
        Some(false) => " NULLS LAST",
    };
    Ok(format!("{}{collation}{direction}{nulls}", piece.sql))
}

fn refuse_foreign_clauses(select: &Select) -> SqlResult<()> {
    let foreign = select.top.is_some()
        || select.into.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || !select.named_window.is_empty()
        || select.qualify.is_some()
        || select.value_table_mode.is_some();
    if foreign {
        Err(SqlError::unsupported("this clause of SELECT"))
    } else {
        Ok(())
    }
}

fn listed(word: &str, items: &[String]) -> String {
    if items.is_empty() {
        String::new()
    } else {
        format!("{word}{}", items.join(","))
    }
}

/// The columns under the names that were given for them, from the first.
pub(super) fn renamed(mut outputs: Vec<Output>, given: &[String]) -> SqlResult<Vec<Output>> {
    if given.len() > outputs.len() {
        let message = format!(
            "{} columns available but {} columns specified",
            outputs.len(),
            given.len()
        );
        return Err(SqlError::new("42P10", message));
    }
    for (output, name) in outputs.iter_mut().zip(given) {
        output.name.clone_from(name);
    }
    Ok(outputs)
}

/// The result column that a whole number stands for in ORDER BY and GROUP BY.
fn position(value: &Value, outputs: &[Output]) -> SqlResult<Option<usize>> {
    let Value::Number(text, _) = value else {
        return Ok(None);
    };
    match text.parse::<usize>() {
        Ok(number) if (1..=outputs.len()).contains(&number) => Ok(Some(number - 1)),
        Ok(number) => Err(SqlError::new(
            "42P10",
            format!("position {number} is not in select list"),
        )),
        Err(_) => Ok(None),
    }
}

fn plain_item(projection: &[SelectItem], at: usize) -> Option<&Expr> {
    // Positions after a * are not those of the list; then the engine's own reading of the number is right.
    let listed = projection[..=at.min(projection.len() - 1)].iter();
    let items: Option<Vec<&Expr>> = listed
        .map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        })
        .collect();
    items?.get(at).copied()
}

fn named_item<'p>(projection: &'p [SelectItem], name: &Ident) -> Option<&'p Expr> {
    let name = fold(name);
    projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if fold(alias) == name => Some(expr),
        SelectItem::UnnamedExpr(expr) if output_name(expr) == name => Some(expr),
        _ => None,
    })
}
