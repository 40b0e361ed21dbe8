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
const VALUES: [(&str, u32, &str, &str); 36] = [
    ("boolean", 16, "01", "t"),
    ("boolean", 16, "00", "f"),
    ("smallint", 21, "8000", "-32768"),
    ("integer", 23, "7fffffff", "2147483647"),
    ("bigint", 20, "8000000000000000", "-9223372036854775808"),
    ("real", 700, "3dcccccd", "0.1"),
    ("real", 700, "7fc00000", "NaN"),
    ("double precision", 701, "3fb999999999999a", "0.1"),
    ("double precision", 701, "4415af1d78b58c40", "1e+20"),
    ("double precision", 701, "7ff0000000000000", "Infinity"),
    ("double precision", 701, "7ff8000000000000", "NaN"),
    (
        "numeric",
        1700,
        "0003 0001 0000 0004 0001 0929 1a85",
        "12345.6789",
    ),
    ("numeric", 1700, "0001 ffff 4000 0002 01f4", "-0.05"),
    ("numeric", 1700, "0000 0000 0000 0002", "0.00"),
    ("numeric", 1700, "0000 0000 c000 0000", "NaN"),
    (
        "numeric(10,2)",
        1700,
        "0002 0000 0000 0002 0001 1388",
        "1.50",
    ),
    ("text", 25, "67726fc3b165", "groñe"),
    ("text", 25, "", ""),
    ("varchar(10)", 1043, "616263", "abc"),
    ("char(5)", 1042, "6162202020", "ab   "),
    ("bytea", 17, "00ff5c", "\\x00ff5c"),
    ("date", 1082, "00002267", "2024-02-11"),
    ("time", 1083, "0000000ab5b88e00", "12:46:38.444032"),
    ("timestamp", 1114, "0002b0ec8515f340", "2024-01-02 03:04:05"),
    (
        "timestamptz",
        1184,
        "0002b0ec8515f340",
        "2024-01-02 03:04:05+00",
    ),
    ("timestamptz", 1184, "7fffffffffffffff", "infinity"),
    (
        "interval",
        1186,
        "00000001ad274800 00000003 0000000e",
        "1 year 2 mons 3 days 02:00:00",
    ),
    (
        "uuid",
        2950,
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
    ("json", 114, "7b2261223a20317d", "{\"a\": 1}"),
    ("jsonb", 3802, "017b2261223a20317d", "{\"a\": 1}"),
    (
        "integer[]",
        1007,
        "00000001 00000001 00000017 00000003 00000001 00000004 00000001 ffffffff 00000004 00000003",
        "{1,NULL,3}",
    ),
    ("integer[]", 1007, "00000000 00000000 00000017", "{}"),
    (
        "text[]",
        1009,
        "00000001 00000000 00000019 00000002 00000001 00000001 61 00000003 622063",
        "{a,\"b c\"}",
    ),
    (
        "boolean[]",
        1000,
        "00000001 00000000 00000010 00000001 00000001 00000001 01",
        "{t}",
    ),
    ("oid", 26, "00000017", "23"),
    ("name", 19, "6162", "ab"),
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
        "int4,text,int4,float8,timestamptz",
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
        "int8,int8,numeric,float8,text",
    );
    check_types(
        "SELECT id FROM items WHERE id = ANY($1) AND created > $2 AND price BETWEEN $3 AND $4",
        "_int4,timestamptz,float8,float8",
        "int4",
    );
    check_types(
        "SELECT coalesce(price, $1), CASE WHEN $2 THEN id ELSE 0 END, 1.5, now(), true FROM items",
        "float8,bool",
        "float8,int4,numeric,timestamptz,bool",
    );
    check_types(
        "SELECT (SELECT name FROM items WHERE id = $1), id IN ($2, 3) FROM items",
        "int4,int4",
        "text,bool",
    );
}
