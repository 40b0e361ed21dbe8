//! Every type, in both formats and both directions.

use std::error::Error;

use bytes::BytesMut;
use serde_json::json;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::connect::{text, with_client};

/// A value as it travels in binary, whatever its type.
#[derive(Debug, Clone, PartialEq)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn bytes(hex: &str) -> Raw {
    let digits: Vec<char> = hex.chars().filter(|digit| *digit != ' ').collect();
    Raw(digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect())
}

/// Declaration, oid, binary form and text form of a value; the binary ones were taken from PostgreSQL 15.
const VALUES: [(&str, u32, &str, &str); 19] = [
    ("boolean", 16, "01", "t"),
    ("boolean", 16, "00", "f"),
    ("smallint", 21, "8000", "-32768"),
    ("integer", 23, "7fffffff", "2147483647"),
    ("bigint", 20, "8000000000000000", "-9223372036854775808"),
    ("real", 700, "3dcccccd", "0.1"),
    ("real", 700, "7f800000", "Infinity"),
    ("double precision", 701, "3fb999999999999a", "0.1"),
    ("double precision", 701, "4415af1d78b58c40", "1e+20"),
    ("double precision", 701, "7ff0000000000000", "Infinity"),
    ("text", 25, "67726fc3b165", "groñe"),
    ("text", 25, "", ""),
    ("varchar(10)", 25, "616263", "abc"),
    ("char(5)", 25, "6162", "ab"),
    ("bytea", 17, "00ff5c", "\\x00ff5c"),
    ("bytea", 17, "", "\\x"),
    // Dates, times and JSON are text.
    (
        "timestamp with time zone",
        25,
        "323032342d30312d3032",
        "2024-01-02",
    ),
    ("date", 25, "323032342d30312d3032", "2024-01-02"),
    ("jsonb", 25, "7b2261223a20317d", "{\"a\": 1}"),
];

#[test]
fn every_type_survives_both_formats_in_both_directions() {
    // Goal: what goes in binary comes out binary and as text, and what goes in as text comes out binary. Method: a
    // table with one column of the type, and values whose forms PostgreSQL has given.
    with_client(json!({}), async |client, _| {
        for (declaration, oid, binary, readable) in VALUES {
            let expected = bytes(binary);
            client
                .batch_execute(&format!(
                    "DROP TABLE IF EXISTS v; CREATE TABLE v (x {declaration})"
                ))
                .await
                .unwrap();
            let insert = client.prepare("INSERT INTO v VALUES ($1)").await.unwrap();
            let select = client.prepare("SELECT x FROM v").await.unwrap();
            assert_eq!(insert.params()[0].oid(), oid, "parameter of {declaration}");
            assert_eq!(
                select.columns()[0].type_().oid(),
                oid,
                "column of {declaration}"
            );
            client
                .execute(&insert, &[&expected])
                .await
                .unwrap_or_else(|error| panic!("{declaration}: {error:?}"));
            let got: Raw = client.query_one(&select, &[]).await.unwrap().get(0);
            assert_eq!(got, expected, "{declaration} binary to binary");
            assert_eq!(
                text(&client, "SELECT x FROM v").await,
                readable,
                "{declaration} binary to text"
            );
            let quoted = readable.replace('\'', "''");
            client
                .batch_execute(&format!("DELETE FROM v; INSERT INTO v VALUES ('{quoted}')"))
                .await
                .unwrap();
            let got: Raw = client.query_one(&select, &[]).await.unwrap().get(0);
            assert_eq!(got, expected, "{declaration} text to binary");
            let cast: Raw = client
                .query_one(&format!("SELECT '{quoted}'::{declaration}"), &[])
                .await
                .unwrap()
                .get(0);
            assert_eq!(cast, expected, "{declaration} as a cast");
        }
    });
}

#[test]
fn null_is_null_for_every_type() {
    with_client(json!({}), async |client, _| {
        for (declaration, ..) in VALUES {
            client
                .batch_execute(&format!(
                    "DROP TABLE IF EXISTS v; CREATE TABLE v (x {declaration})"
                ))
                .await
                .unwrap();
            client
                .execute("INSERT INTO v VALUES ($1)", &[&None::<Raw>])
                .await
                .unwrap();
            let got: Option<Raw> = client
                .query_one("SELECT x FROM v WHERE x IS NULL", &[])
                .await
                .unwrap()
                .get(0);
            assert_eq!(got, None, "{declaration}");
        }
    });
}

/// The type names of a statement's columns and parameters, as PostgreSQL tells them.
#[track_caller]
fn check_types(sql: &str, parameters: &str, columns: &str) {
    with_client(json!({"preload": ["items"]}), async |client, _| {
        let statement = client
            .prepare(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let names: Vec<&str> = statement.params().iter().map(Type::name).collect();
        assert_eq!(names.join(","), parameters, "parameters of {sql}");
        let names: Vec<&str> = statement
            .columns()
            .iter()
            .map(|column| column.type_().name())
            .collect();
        assert_eq!(names.join(","), columns, "columns of {sql}");
    });
}

#[test]
fn parameters_and_columns_get_the_types_postgresql_would_give_them() {
    check_types(
        "SELECT * FROM items WHERE id = $1",
        "int4",
        "int4,text,int4,float8,text",
    );
    check_types(
        "SELECT $1, $2::int8, $3 || 'x', $4 + 1",
        "text,int8,text,int4",
        "text,int8,text,int4",
    );
    check_types(
        "INSERT INTO items (id, name, quantity, price) VALUES ($1, $2, $3, $4) RETURNING id, price",
        "int4,text,int4,float8",
        "int4,float8",
    );
    check_types(
        "UPDATE items SET quantity = quantity + $1 WHERE name LIKE $2",
        "int4,text",
        "",
    );
    check_types(
        "SELECT count(*), sum(quantity), avg(quantity), max(price), min(name) FROM items LIMIT $1",
        "int8",
        "int8,int8,float8,float8,text",
    );
    check_types(
        "SELECT id FROM items WHERE id = $1 AND created > $2 AND price BETWEEN $3 AND $4",
        "int4,text,float8,float8",
        "int4",
    );
    check_types(
        "SELECT coalesce(price, $1), CASE WHEN $2::bool THEN id ELSE 0 END, 1.5, now(), true FROM items",
        "float8,bool",
        "float8,int4,float8,text,bool",
    );
    check_types(
        "SELECT (SELECT name FROM items WHERE id = $1), id IN ($2, 3) FROM items",
        "int4,int4",
        "text,bool",
    );
    check_types(
        "SELECT i.*, 1::int8, max(i.id) OVER () AS most FROM items AS i",
        "",
        "int4,text,int4,float8,text,int8,int4",
    );
}
