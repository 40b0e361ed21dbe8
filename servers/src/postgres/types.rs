//! The PostgreSQL types this server knows: identity (oid), names, width, and how a declaration maps to one.
//!
//! A type here is what the client sees; how its values are stored in the engine is in `value.rs`. A type that is not
//! in the table below is refused when it is declared, so nothing is ever stored under a wrong name.

use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo,
};

use super::error::{SqlError, SqlResult};

/// A type without its dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scalar {
    Bool,
    Bytea,
    Char,
    Name,
    Int8,
    Int2,
    Int4,
    Text,
    Oid,
    Json,
    Float4,
    Float8,
    Bpchar,
    Varchar,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Numeric,
    Uuid,
    Jsonb,
    Regclass,
    Regtype,
    Regnamespace,
    Void,
    /// A literal or parameter whose type nothing has decided yet.
    Unknown,
}

/// One line of the table of types.
struct Line {
    scalar: Scalar,
    oid: u32,
    array_oid: u32,
    /// The name in `pg_type`.
    name: &'static str,
    /// The name in error messages and `format_type`.
    sql_name: &'static str,
    /// Bytes, or negative where it varies.
    width: i16,
}

const fn line(
    scalar: Scalar,
    oids: (u32, u32),
    name: &'static str,
    sql_name: &'static str,
    width: i16,
) -> Line {
    Line {
        scalar,
        oid: oids.0,
        array_oid: oids.1,
        name,
        sql_name,
        width,
    }
}

/// In the order of [`Scalar`], so that a scalar finds its line by position; a test keeps it so.
static TYPES: [Line; 27] = [
    line(Scalar::Bool, (16, 1000), "bool", "boolean", 1),
    line(Scalar::Bytea, (17, 1001), "bytea", "bytea", -1),
    line(Scalar::Char, (18, 1002), "char", "\"char\"", 1),
    line(Scalar::Name, (19, 1003), "name", "name", 64),
    line(Scalar::Int8, (20, 1016), "int8", "bigint", 8),
    line(Scalar::Int2, (21, 1005), "int2", "smallint", 2),
    line(Scalar::Int4, (23, 1007), "int4", "integer", 4),
    line(Scalar::Text, (25, 1009), "text", "text", -1),
    line(Scalar::Oid, (26, 1028), "oid", "oid", 4),
    line(Scalar::Json, (114, 199), "json", "json", -1),
    line(Scalar::Float4, (700, 1021), "float4", "real", 4),
    line(Scalar::Float8, (701, 1022), "float8", "double precision", 8),
    line(Scalar::Bpchar, (1042, 1014), "bpchar", "character", -1),
    line(
        Scalar::Varchar,
        (1043, 1015),
        "varchar",
        "character varying",
        -1,
    ),
    line(Scalar::Date, (1082, 1182), "date", "date", 4),
    line(
        Scalar::Time,
        (1083, 1183),
        "time",
        "time without time zone",
        8,
    ),
    line(
        Scalar::Timestamp,
        (1114, 1115),
        "timestamp",
        "timestamp without time zone",
        8,
    ),
    line(
        Scalar::Timestamptz,
        (1184, 1185),
        "timestamptz",
        "timestamp with time zone",
        8,
    ),
    line(Scalar::Interval, (1186, 1187), "interval", "interval", 16),
    line(Scalar::Numeric, (1700, 1231), "numeric", "numeric", -1),
    line(Scalar::Uuid, (2950, 2951), "uuid", "uuid", 16),
    line(Scalar::Jsonb, (3802, 3807), "jsonb", "jsonb", -1),
    line(Scalar::Regclass, (2205, 2210), "regclass", "regclass", 4),
    line(Scalar::Regtype, (2206, 2211), "regtype", "regtype", 4),
    line(
        Scalar::Regnamespace,
        (4089, 4090),
        "regnamespace",
        "regnamespace",
        4,
    ),
    line(Scalar::Void, (2278, 0), "void", "void", 4),
    line(Scalar::Unknown, (705, 0), "unknown", "unknown", -2),
];

impl Scalar {
    fn line(self) -> &'static Line {
        &TYPES[self as usize]
    }
}

/// A type as the client sees it: a scalar, or a one-dimensional array of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PgType {
    pub(crate) scalar: Scalar,
    pub(crate) is_array: bool,
}

impl From<Scalar> for PgType {
    fn from(scalar: Scalar) -> Self {
        PgType {
            scalar,
            is_array: false,
        }
    }
}

impl PgType {
    pub(crate) const UNKNOWN: PgType = PgType {
        scalar: Scalar::Unknown,
        is_array: false,
    };
    pub(crate) const BOOL: PgType = PgType {
        scalar: Scalar::Bool,
        is_array: false,
    };
    pub(crate) const INT4: PgType = PgType {
        scalar: Scalar::Int4,
        is_array: false,
    };
    pub(crate) const INT8: PgType = PgType {
        scalar: Scalar::Int8,
        is_array: false,
    };
    pub(crate) const TEXT: PgType = PgType {
        scalar: Scalar::Text,
        is_array: false,
    };
    pub(crate) const FLOAT8: PgType = PgType {
        scalar: Scalar::Float8,
        is_array: false,
    };
    pub(crate) const NUMERIC: PgType = PgType {
        scalar: Scalar::Numeric,
        is_array: false,
    };

    /// The array of it.
    pub(crate) fn array(scalar: Scalar) -> Self {
        PgType {
            scalar,
            is_array: true,
        }
    }

    /// The type with this oid; 0 and unknown ones are undecided.
    pub(crate) fn from_oid(oid: u32) -> Option<Self> {
        TYPES.iter().find_map(|line| match oid {
            0 => None,
            _ if line.oid == oid => Some(line.scalar.into()),
            _ if line.array_oid == oid => Some(PgType::array(line.scalar)),
            _ => None,
        })
    }

    pub(crate) fn oid(self) -> u32 {
        let line = self.scalar.line();
        if self.is_array {
            line.array_oid
        } else {
            line.oid
        }
    }

    /// Bytes of a value, or negative where that varies.
    pub(crate) fn width(self) -> i16 {
        if self.is_array {
            -1
        } else {
            self.scalar.line().width
        }
    }

    /// The name in `pg_type`.
    pub(crate) fn name(self) -> String {
        let name = self.scalar.line().name;
        if self.is_array {
            format!("_{name}")
        } else {
            name.to_owned()
        }
    }

    /// The name people read.
    pub(crate) fn sql_name(self) -> String {
        let name = self.scalar.line().sql_name;
        if self.is_array {
            format!("{name}[]")
        } else {
            name.to_owned()
        }
    }

    pub(crate) fn is_unknown(self) -> bool {
        self.scalar == Scalar::Unknown
    }

    pub(crate) fn is_integer(self) -> bool {
        use Scalar::{Int2, Int4, Int8, Oid};
        !self.is_array && (self.is_name_by_oid() || matches!(self.scalar, Int2 | Int4 | Int8 | Oid))
    }

    /// Whether values are oids that show themselves as names.
    pub(crate) fn is_name_by_oid(self) -> bool {
        !self.is_array
            && matches!(
                self.scalar,
                Scalar::Regclass | Scalar::Regtype | Scalar::Regnamespace
            )
    }

    pub(crate) fn is_float(self) -> bool {
        !self.is_array && matches!(self.scalar, Scalar::Float4 | Scalar::Float8)
    }

    pub(crate) fn is_numeric(self) -> bool {
        self == PgType::NUMERIC
    }

    pub(crate) fn is_number(self) -> bool {
        self.is_integer() || self.is_float() || self.is_numeric()
    }

    pub(crate) fn is_text(self) -> bool {
        use Scalar::{Bpchar, Char, Name, Text, Unknown, Varchar};
        !self.is_array && matches!(self.scalar, Text | Varchar | Bpchar | Name | Char | Unknown)
    }

    /// Every type, for `pg_type`.
    pub(crate) fn all() -> impl Iterator<Item = PgType> {
        TYPES.iter().flat_map(|line| {
            let array = (line.array_oid != 0).then(|| PgType::array(line.scalar));
            [Some(PgType::from(line.scalar)), array]
                .into_iter()
                .flatten()
        })
    }

    /// The oid of its array type, or 0.
    pub(crate) fn array_oid(self) -> u32 {
        if self.is_array {
            0
        } else {
            self.scalar.line().array_oid
        }
    }

    /// The type of that name, as used in casts to `regtype`.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        let (base, is_array) = match name.strip_suffix("[]") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let line = TYPES
            .iter()
            .find(|line| line.name == base || line.sql_name == base)?;
        Some(PgType {
            scalar: line.scalar,
            is_array,
        })
    }
}

/// A declared type: the type, its modifier (-1 for none), and whether a sequence feeds it (`serial`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) ty: PgType,
    pub(crate) modifier: i32,
    pub(crate) is_serial: bool,
}

impl From<Scalar> for Declared {
    fn from(scalar: Scalar) -> Self {
        Declared {
            ty: scalar.into(),
            modifier: -1,
            is_serial: false,
        }
    }
}

/// What a declaration says.
pub(crate) fn declared(data_type: &DataType) -> SqlResult<Declared> {
    use DataType as D;
    let plain = match data_type {
        D::Character(length) | D::Char(length) => {
            return sized(Scalar::Bpchar, length.as_ref(), Some(1));
        }
        D::CharacterVarying(length) | D::CharVarying(length) | D::Varchar(length) => {
            return sized(Scalar::Varchar, length.as_ref(), None);
        }
        D::Numeric(info) | D::Decimal(info) | D::Dec(info) => return numeric(info),
        D::Custom(name, arguments) => return custom(name, arguments),
        D::Array(element) => return array(element),
        D::Float(ExactNumberInfo::Precision(bits)) if *bits <= 24 => Scalar::Float4,
        D::Float4 | D::Real => Scalar::Float4,
        D::Float(_) | D::Float8 | D::Double(_) | D::DoublePrecision => Scalar::Float8,
        D::Uuid => Scalar::Uuid,
        D::Int2(_) | D::SmallInt(_) => Scalar::Int2,
        D::Int(_) | D::Int4(_) | D::Integer(_) => Scalar::Int4,
        D::Int8(_) | D::BigInt(_) => Scalar::Int8,
        D::Bool | D::Boolean => Scalar::Bool,
        D::Date => Scalar::Date,
        D::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Scalar::Time,
        D::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Scalar::Timestamp,
        D::Timestamp(_, _) => Scalar::Timestamptz,
        D::Interval { .. } => Scalar::Interval,
        D::JSON => Scalar::Json,
        D::JSONB => Scalar::Jsonb,
        D::Regclass => Scalar::Regclass,
        D::Text => Scalar::Text,
        D::Bytea => Scalar::Bytea,
        other => return Err(SqlError::unsupported(format_args!("type {other}"))),
    };
    Ok(plain.into())
}

fn sized(
    scalar: Scalar,
    length: Option<&CharacterLength>,
    default: Option<u64>,
) -> SqlResult<Declared> {
    let length = match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
        Some(CharacterLength::Max) | None => default,
    };
    match length {
        None => Ok(scalar.into()),
        // PostgreSQL counts its own header of four bytes in.
        Some(length @ 1..=10_485_760) => Ok(Declared {
            modifier: length as i32 + 4,
            ..scalar.into()
        }),
        Some(length) => Err(SqlError::new(
            "22023",
            format!("length {length} is out of range"),
        )),
    }
}

fn numeric(info: &ExactNumberInfo) -> SqlResult<Declared> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(Scalar::Numeric.into()),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if !(1..=1000).contains(&precision) || !(0..=1000).contains(&scale) {
        return Err(SqlError::new(
            "22023",
            format!("NUMERIC precision {precision}, scale {scale} is out of range"),
        ));
    }
    let modifier = ((precision as i32) << 16 | scale as i32) + 4;
    Ok(Declared {
        modifier,
        ..Scalar::Numeric.into()
    })
}

fn array(element: &ArrayElemTypeDef) -> SqlResult<Declared> {
    let inner = match element {
        ArrayElemTypeDef::SquareBracket(inner, _)
        | ArrayElemTypeDef::AngleBracket(inner)
        | ArrayElemTypeDef::Parenthesis(inner) => declared(inner)?,
        _ => return Err(SqlError::unsupported("this array type")),
    };
    if inner.ty.is_array {
        return Err(SqlError::unsupported("an array of more than one dimension"));
    }
    Ok(Declared {
        ty: PgType::array(inner.ty.scalar),
        ..inner
    })
}

fn custom(name: &ObjectName, arguments: &[String]) -> SqlResult<Declared> {
    let written = name
        .0
        .last()
        .map(|part| part.to_string())
        .unwrap_or_default();
    let folded = written.trim_matches('"').to_lowercase();
    let serial = match folded.as_str() {
        "serial" | "serial4" => Some(Scalar::Int4),
        "bigserial" | "serial8" => Some(Scalar::Int8),
        "smallserial" | "serial2" => Some(Scalar::Int2),
        _ => None,
    };
    if let Some(scalar) = serial {
        return Ok(Declared {
            is_serial: true,
            ..scalar.into()
        });
    }
    if folded == "timestamptz" {
        return Ok(Scalar::Timestamptz.into());
    }
    match PgType::by_name(&folded) {
        Some(ty)
            if arguments.is_empty() && !matches!(ty.scalar, Scalar::Void | Scalar::Unknown) =>
        {
            Ok(Declared {
                ty,
                modifier: -1,
                is_serial: false,
            })
        }
        Some(_) => Err(SqlError::unsupported(format_args!("type {name}"))),
        None => Err(SqlError::new(
            "42704",
            format!("type \"{written}\" does not exist"),
        )),
    }
}

/// The type with its modifier, as `format_type` writes it.
pub(crate) fn format_type(ty: PgType, modifier: i32) -> String {
    let name = ty.scalar.line().sql_name;
    let suffix = if ty.is_array { "[]" } else { "" };
    match ty.scalar {
        _ if modifier < 4 => format!("{name}{suffix}"),
        Scalar::Varchar | Scalar::Bpchar => format!("{name}({}){suffix}", modifier - 4),
        Scalar::Numeric => {
            let packed = modifier - 4;
            format!("{name}({},{}){suffix}", packed >> 16, packed & 0xffff)
        }
        _ => format!("{name}{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_types_is_in_the_order_of_the_enum() {
        for line in &TYPES {
            assert_eq!(
                line.scalar.line().oid,
                line.oid,
                "{} is out of place",
                line.name
            );
        }
    }

    #[test]
    fn a_modifier_is_written_as_it_was_declared() {
        let declared = numeric(&ExactNumberInfo::PrecisionAndScale(10, 2)).expect("valid");
        assert_eq!(format_type(declared.ty, declared.modifier), "numeric(10,2)");
    }
}
