//! PostgreSQL logins to a scripted server, targets, and the client's messages.
//!
//! `protocol_postgres_server.rs` tests authentication with a real server; this file has responses that no real server
//! sends. Messages are compared byte for byte with those of `postgres-protocol`.

use bytes::BytesMut;
use photofinish_record::Verification;
use photofinish_workloads::protocol::ServerLocation;
use photofinish_workloads::protocol::postgres::{
    EncodeError, Parameter, PgConfig, PgError, PgTarget, Secret, Startup, accept_tls, encode,
};
use postgres_protocol::IsNull;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::message::frontend;
use proptest::prelude::*;

use crate::support::backend_messages::{cut, fields, message};

fn config(password: Option<&str>) -> PgConfig {
    let password = password.map(Secret::new);
    PgConfig {
        password,
        ..PgConfig::new("ann")
    }
}

/// Feeds the pieces as a socket would, and returns the client's messages after the first.
fn log_in<'a>(
    config: &PgConfig,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, Startup), PgError> {
    let mut startup = Startup::begin(config, &mut Vec::new()).unwrap();
    let (mut buffer, mut said) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let advance = startup.advance(&buffer, &mut said)?;
        assert!(
            advance.consumed <= buffer.len(),
            "{} of {}",
            advance.consumed,
            buffer.len()
        );
        buffer.drain(..advance.consumed);
        if advance.done {
            break;
        }
    }
    startup.end_of_input().map(|()| (said, startup))
}

fn request(body: &[u8]) -> Vec<u8> {
    message(b'R', body)
}

fn ok() -> Vec<u8> {
    request(&[0; 4])
}

/// The server's messages after a successful authentication.
fn introduction() -> Vec<u8> {
    let notice = fields(b'N', &[('M', "welcome")]);
    let version = message(b'S', b"server_version\x0017.2 (Test)\0");
    [
        notice,
        version,
        message(b'S', b"TimeZone\0UTC\0"),
        message(b'K', &[7; 8]),
        message(b'Z', b"I"),
    ]
    .concat()
}

/// `expected` is the client's messages (length bytes as dots), or the kind and text of the error.
fn check(password: Option<&str>, answers: &[Vec<u8>], expected: &str) {
    let actual = match log_in(&config(password), [answers.concat().as_slice()]) {
        Ok((said, _)) => said.escape_ascii().to_string(),
        Err(error) => format!("{}: {error}", error.kind()),
    };
    assert_eq!(actual, expected, "{answers:?}");
}

#[test]
fn the_first_message_names_user_database_and_application() {
    let mut out = b"before".to_vec();
    let config = PgConfig {
        database: "shop".into(),
        application_name: "test".into(),
        ..config(None)
    };
    let _startup = Startup::begin(&config, &mut out).unwrap();
    let body =
        b"\0\x03\0\0user\0ann\0database\0shop\0application_name\0test\0client_encoding\0UTF8\0\0";
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    assert_eq!(out, [b"before", &length[..], body].concat());
    let nul = PgConfig {
        database: "sh\0op".into(),
        ..config
    };
    assert_eq!(
        Startup::begin(&nul, &mut out).unwrap_err(),
        EncodeError::Nul
    );
}

#[test]
fn trust_and_password_authentication_succeed() {
    let (said, startup) =
        log_in(&config(None), [[ok(), introduction()].concat().as_slice()]).unwrap();
    assert_eq!(
        (said.as_slice(), startup.server_version()),
        (&b""[..], Some("17.2 (Test)"))
    );
    check(
        Some("pw"),
        &[request(&[0, 0, 0, 3]), ok(), introduction()],
        r"p\x00\x00\x00\x07pw\x00",
    );
    let hash = md5_hash(b"ann", b"pw", *b"salt");
    check(
        Some("pw"),
        &[request(b"\0\0\0\x05salt"), ok(), introduction()],
        &format!(r"p\x00\x00\x00({hash}\x00"),
    );
}

#[test]
fn a_server_error_is_passed_on_with_its_sqlstate() {
    let refusal = fields(
        b'E',
        &[('S', "FATAL"), ('C', "28P01"), ('M', "password wrong")],
    );
    check(
        Some("pw"),
        &[request(&[0, 0, 0, 3]), refusal],
        "server: server reported FATAL 28P01: password wrong",
    );
    let full = fields(
        b'E',
        &[('S', "FATAL"), ('C', "53300"), ('M', "too many clients")],
    );
    check(
        None,
        &[full],
        "server: server reported FATAL 53300: too many clients",
    );
}

#[test]
fn an_invalid_exchange_is_an_error() {
    let needs = |method| {
        format!("authentication: server asked for a password ({method}), but none was given")
    };
    check(None, &[request(&[0, 0, 0, 3])], &needs("cleartext"));
    check(None, &[request(b"\0\0\0\x05salt")], &needs("MD5"));
    check(
        None,
        &[request(b"\0\0\0\x0aSCRAM-SHA-256\0\0")],
        &needs("SCRAM-SHA-256"),
    );
    let lacks = |method| {
        format!("authentication: server asked for {method} authentication, which is not supported")
    };
    check(
        Some("pw"),
        &[request(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0")],
        &lacks("SASL other than SCRAM-SHA-256"),
    );
    check(Some("pw"), &[request(&[0, 0, 0, 7])], &lacks("GSSAPI"));
    check(Some("pw"), &[request(&[0, 0, 0, 9])], &lacks("SSPI"));
    check(
        Some("pw"),
        &[request(&[0, 0, 0, 99])],
        "malformed: malformed message 'R': invalid authentication request",
    );
    check(
        None,
        &[message(b'Z', b"I")],
        "unexpected: unexpected message 'Z' during the start of a connection",
    );
    check(
        None,
        &[ok(), ok()],
        "unexpected: unexpected message 'R' during the start of a connection",
    );
    check(
        None,
        &[ok()],
        "short: connection closed while waiting for the start of a connection",
    );
    check(
        None,
        &[b"HTTP/1.1 400".to_vec()],
        "too-large: message 'H' of 1414811695 bytes is longer than 65536 bytes",
    );
}

/// A server that does not know the password cannot finish SCRAM; skipping its proof must not help it.
#[test]
fn a_server_that_skips_its_part_of_scram_is_refused() {
    let begin = request(b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let unexpected = "unexpected: unexpected message 'R' during the start of a connection";
    check(Some("pw"), &[begin.clone(), ok()], unexpected);
    check(
        Some("pw"),
        &[begin.clone(), request(b"\0\0\0\x0cv=proof")],
        unexpected,
    );
    check(
        Some("pw"),
        &[begin, request(b"\0\0\0\x0br=another,s=c2FsdA==,i=4096")],
        "authentication: SCRAM authentication failed: invalid nonce",
    );
}

/// Like the test above, but the impostor continues up to the step that needs the password.
#[test]
fn a_server_that_does_not_know_the_password_fails_scram() {
    let mut said = Vec::new();
    let mut startup = Startup::begin(&config(Some("pw")), &mut Vec::new()).unwrap();
    let mut answer = |body: &[u8], said: &mut Vec<u8>| startup.advance(&request(body), said);
    assert!(
        !answer(b"\0\0\0\x0aSCRAM-SHA-256\0\0", &mut said)
            .unwrap()
            .done
    );
    let nonce = said.windows(2).position(|pair| pair == b"r=").unwrap() + 2;
    let nonce = String::from_utf8(said.split_off(nonce)).unwrap();
    let first = format!("\0\0\0\x0br={nonce}more,s=c2FsdA==,i=4096");
    assert!(!answer(first.as_bytes(), &mut said).unwrap().done);
    let wrong = format!("\0\0\0\x0cv={}=", "A".repeat(43));
    let error = answer(wrong.as_bytes(), &mut said).unwrap_err();
    assert_eq!(
        error.to_string(),
        "SCRAM authentication failed: SCRAM verification error"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_division_of_a_login_changes_nothing(
        method in 0_u8..8, edit in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        at in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut bytes = [request(&[0, 0, 0, method, 1, 2, 3, 4][..if method == 5 { 8 } else { 4 }]), ok(), introduction()].concat();
        if let Some((place, byte)) = edit {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let read = |pieces: Vec<&[u8]>| log_in(&config(Some("pw")), pieces).map(|(said, _)| said);
        prop_assert_eq!(read(cut(&bytes, &at)), read(vec![&bytes]));
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100), method in 0_u8..14) {
        let _whatever = log_in(&config(Some("pw")), [bytes.as_slice()]);
        let bytes = [request(&[&[0, 0, 0, method][..], &bytes].concat()), bytes].concat();
        let _whatever = log_in(&config(Some("pw")), [bytes.as_slice()]);
    }

    #[test]
    fn messages_match_an_independent_encoder(
        name in "[a-z]{0,6}", sql in "[ -~]{0,30}", oids in prop::collection::vec(any::<u32>(), 0..4),
        text in "[ -~]{0,9}", int4: i32,
    ) {
        let mut ours = Vec::new();
        let mut theirs = BytesMut::new();
        encode::simple(&sql, &mut ours)?;
        frontend::query(&sql, &mut theirs)?;
        encode::parse(&name, &sql, &oids, &mut ours)?;
        frontend::parse(&name, &sql, oids, &mut theirs)?;
        let parameters = [Parameter::Text(&text), Parameter::Int4(int4)];
        encode::bind_execute(&name, &parameters, &mut ours)?;
        let values = [text.clone().into_bytes(), int4.to_be_bytes().to_vec()];
        let write = |value: Vec<u8>, buffer: &mut BytesMut| {
            buffer.extend_from_slice(&value);
            Ok(IsNull::No)
        };
        let bound = frontend::bind("", &name, [0, 1], values, write, [], &mut theirs);
        prop_assert!(bound.is_ok());
        frontend::execute("", 0, &mut theirs)?;
        frontend::sync(&mut theirs);
        encode::terminate(&mut ours);
        frontend::terminate(&mut theirs);
        prop_assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string());
    }
}

#[test]
fn a_message_is_written_whole_or_not_at_all() {
    let mut out = b"before".to_vec();
    let many = vec![Parameter::Int4(0); 65_536];
    let too_many = Err(EncodeError::TooManyParameters { count: 65_536 });
    assert_eq!(
        encode::simple("SELECT '\0'", &mut out),
        Err(EncodeError::Nul)
    );
    assert_eq!(
        encode::parse("a\0", "", &[], &mut out),
        Err(EncodeError::Nul)
    );
    assert_eq!(encode::parse("a", "", &[0; 65_536], &mut out), too_many);
    assert_eq!(
        encode::bind_execute("a\0", &[], &mut out),
        Err(EncodeError::Nul)
    );
    assert_eq!(encode::bind_execute("a", &many, &mut out), too_many);
    assert_eq!(out, b"before");
}

#[test]
fn writing_into_a_used_buffer_allocates_nothing() {
    let parameters = [Parameter::Int4(1), Parameter::Text("two")];
    let mut out = Vec::new();
    encode::bind_execute("point", &parameters, &mut out).unwrap();
    let allocations = allocation_counter::measure(|| {
        out.clear();
        encode::bind_execute("point", &parameters, &mut out).unwrap();
    });
    assert_eq!(allocations.count_total, 0);
}

/// `expected` is host, port, user, database and application, or the text of the error.
fn check_target(text: &str, expected: &str) {
    let actual = match PgTarget::parse(text) {
        Ok(PgTarget {
            location, config, ..
        }) => {
            let place = match location {
                ServerLocation::Host(host, port) => format!("{host} {port}"),
                ServerLocation::Socket(file) => file.display().to_string(),
            };
            format!(
                "{place} {} {} {}",
                config.user, config.database, config.application_name
            )
        }
        Err(error) => error.to_string(),
    };
    assert!(actual.starts_with(expected), "{text}: {actual}");
}

#[test]
fn a_target_is_split_into_its_parts() {
    check_target(
        "postgres://ann@localhost",
        "localhost 5432 ann ann photofinish",
    );
    check_target(
        "postgresql://ann:pw@127.0.0.1:5433/",
        "127.0.0.1 5433 ann ann photofinish",
    );
    check_target(
        "postgres://a%40b:p%2F@[::1]/my%20shop",
        "::1 5432 a@b my shop photofinish",
    );
    check_target(
        "postgres://ann@h/d?sslmode=disable&application_name=x",
        "h 5432 ann d x",
    );
    for (text, file) in [
        ("postgres://ann@/d?host=/run/pg", "/run/pg/.s.PGSQL.5432"),
        (
            "postgres://ann:pw@/d?port=6&host=%2Frun%2Fpg",
            "/run/pg/.s.PGSQL.6",
        ),
        ("postgres://ann@h:7/d?host=/run/pg", "/run/pg/.s.PGSQL.7"),
    ] {
        check_target(text, &format!("{file} ann d photofinish"));
    }
}

#[test]
fn the_tls_mode_and_files_match_libpq() {
    let tls = |query: &str| {
        let target = PgTarget::parse(&format!("postgres://ann@h/d?{query}"));
        let tls = target.expect("a target").tls?;
        let files = [tls.root_cert, tls.cert, tls.key].map(Option::unwrap_or_default);
        Some((tls.verification, files.join(" ")))
    };
    let none = "  ".to_owned();
    for plain in ["", "sslmode=disable", "sslmode=allow", "sslmode=prefer"] {
        assert_eq!(tls(plain), None, "{plain}");
    }
    for (query, verification) in [
        ("sslmode=require", Verification::Nothing),
        ("sslmode=verify-ca", Verification::Authority),
        ("sslmode=verify-full", Verification::Full),
        ("sslmode=verify-full&sslrootcert=system", Verification::Full),
    ] {
        assert_eq!(tls(query), Some((verification, none.clone())), "{query}");
    }
    let files = "sslmode=require&sslrootcert=a%20b&sslcert=/c&sslkey=/k";
    let expected = (Verification::Authority, "a b /c /k".to_owned());
    assert_eq!(tls(files), Some(expected));
}

#[test]
fn only_a_single_byte_agreement_to_tls_is_accepted() {
    assert_eq!(accept_tls(b"S"), Ok(()));
    assert_eq!(accept_tls(b"N"), Err(PgError::NoTls));
    assert!(PgError::NoTls.hint().is_some());
    // A statement that an attacker injected before the handshake.
    assert_eq!(accept_tls(b"S\x16\x03"), Err(PgError::Unencrypted));
    assert_eq!(
        accept_tls(b"E\0\0\0").expect_err("an error").kind(),
        "unexpected"
    );
    assert_eq!(accept_tls(b"").expect_err("the end").kind(), "short");
}

#[test]
fn an_unusable_target_is_refused_with_a_reason() {
    check_target(
        "localhost:5432",
        "expected the scheme postgres or postgresql",
    );
    check_target(
        "mysql://ann@h/d",
        "expected the scheme postgres or postgresql",
    );
    check_target("postgres://h/d", "expected a user");
    check_target("postgres:///d", "expected a single host");
    check_target(
        "postgres://ann@%2Frun%2Fpostgresql/d",
        "expected a single host",
    );
    check_target("postgres://ann@a,b/d", "expected a single host");
    for nowhere in [
        "h:0/d",
        "/d?host=run/pg",
        "/d?host=/run/pg&port=0",
        "h/d?port=x",
    ] {
        check_target(
            &format!("postgres://ann@{nowhere}"),
            "expected a single host",
        );
    }
    check_target(
        "postgres://ann:%FF@h/d",
        "user, password or database is not UTF-8 text",
    );
    check_target(
        "postgres://ann:a%00b@h/d",
        "user, password or database is not UTF-8 text",
    );
    check_target(
        "postgres://ann@h/d?sslmode=maybe",
        "expected sslmode=disable, allow, prefer",
    );
    for unused in ["sslrootcert=f", "sslmode=prefer&sslcert=f", "sslkey=f"] {
        check_target(
            &format!("postgres://ann@h/d?{unused}"),
            "sslrootcert, sslcert and sslkey need sslmode=require",
        );
    }
    check_target(
        "postgres://ann@/d?host=/run/pg&sslmode=require",
        "TLS is not available on a Unix socket",
    );
    check_target(
        "postgres://ann@h/d?connect_timeout=3",
        "expected no query parameters",
    );
}

/// No text made from a URL contains the password, whatever the error, and wherever the password ends up.
#[test]
fn no_text_ever_contains_the_password() {
    let passwords = [
        "hunter2",
        "hun%74er2",
        "hun/ter2",
        "hun#ter2",
        "hun?ter2",
        "1/hunter2",
        "1?hunter2",
        "1#hunter2",
        "x@1/hunter2",
        "x@y?application_name=hunter2",
    ];
    for password in passwords {
        for rest in [
            "@h/d",
            "@h:1/d",
            "@h:x/d",
            "@h",
            "@/d",
            "@h/d?hunter2=1",
            "@h/d?sslmode=hunter2",
        ] {
            let url = format!("postgres://ann:{password}{rest}");
            let text = match PgTarget::parse(&url) {
                Ok(target) => format!(
                    "{target} {target:?} {:?}",
                    Startup::begin(&target.config, &mut Vec::new())
                ),
                Err(error) => format!("{error} {error:?}"),
            };
            for leak in ["hunter2", "ter2", "hun"] {
                assert!(!text.contains(leak), "{url} shows in {text}");
            }
        }
    }
}
