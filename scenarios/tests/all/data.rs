//! Request data: values from files cannot break out of their place, rows are never shared, nothing is allocated.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use photofinish_harness::measure::FIRST_WARMUP_OP;
use photofinish_harness::observed::Observed;
use photofinish_harness::parts::Parts;
use photofinish_harness::workload::{Failure, RoundEnv};
use photofinish_record::load::Stop;
use photofinish_workloads::data::{
    Data, DataSpec, Encoding, JsonPointer, Mix, Scope, Template, UNFIT, Values, files,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn env(directory: &Path, seed: u64, warmup_ops: u64) -> RoundEnv<()> {
    RoundEnv {
        runtime: (),
        seed,
        concurrency: 1,
        targets: Default::default(),
        work_dir: directory.to_owned(),
        directory: directory.to_owned(),
        run: "run-1".to_owned(),
        round: 3,
        warmup: Stop::Ops(NonZeroU64::new(warmup_ops).expect("some")),
        traffic: Default::default(),
        memo: Default::default(),
        observed: Observed::default(),
        parts: Parts::default(),
    }
}

/// The scope of a table of feeds and draws, after the survey of the feeds' files.
fn scope(directory: &Path, mut spec: Value) -> Scope {
    assert_eq!(files::survey(&mut spec, directory), []);
    let spec: DataSpec = serde_json::from_value(spec).expect("types");
    Scope::new(&spec).expect("sound")
}

fn values(data: &Arc<Data>, directory: &Path, session: u32) -> Values {
    let round = data.load(&env(directory, 42, 5)).expect("readable");
    Values::new(&round, session).expect("sound constants")
}

fn text(values: &mut Values, template: &Template) -> Result<String, Failure> {
    values.fill(template)?;
    let mut out = Vec::new();
    values.render(template, &mut out);
    assert_eq!(out.len(), values.rendered_len(template));
    Ok(String::from_utf8(out).expect("UTF-8"))
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

#[test]
fn built_in_values_and_columns_stand_where_the_template_names_them() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(
        directory.path().join("users.csv"),
        "id,e-mail\n7,ann@x\n8,bob@x\n",
    )
    .expect("a file");
    let spec = json!({
        "feed": {"user": {"file": "users.csv"}},
        "draw": {"n": {"sequence": 100}},
    });
    let mut scope = scope(directory.path(), spec);
    let mut compile = |text| Template::compile(text, &mut scope, Encoding::Percent).expect(text);
    let all = compile(
        "/{{op}}/{{session}}/{{round}}/{{ run }}/{{n}}/{{user.id}}/{{user.e-mail}}/{{user.e-mail|raw}}",
    );
    let literal = compile("/a}}b{c");
    assert_eq!(literal.literal(), Some(&b"/a}}b{c"[..]));
    assert_eq!(all.literal(), None);
    let mut values = values(&scope.finish(), directory.path(), 9);
    values.begin(1).expect("a row");
    let expected = "/1/9/3/run-1/101/8/bob%40x/bob@x";
    assert_eq!(text(&mut values, &all).as_deref(), Ok(expected));
}

#[test]
fn a_variable_is_read_and_redacted() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut scope = scope(directory.path(), json!({}));
    let header = "{{env.CARGO_MANIFEST_DIR}}";
    let template = Template::compile(header, &mut scope, Encoding::Header).expect("set by cargo");
    let data = scope.finish();
    let mut values = values(&data, directory.path(), 0);
    values.begin(0).expect("no feeds");
    let text = text(&mut values, &template).expect("printable");
    assert_eq!(text, env!("CARGO_MANIFEST_DIR"));
    assert_eq!(data.redact(&format!("at {text}!")), format!("at {header}!"));
}

#[test]
fn a_faulty_template_is_refused_with_the_nearest_name() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("users.csv"), "email\na@x\n").expect("a file");
    let spec = json!({"feed": {"user": {"file": "users.csv"}}, "draw": {"item": {"sequence": 1}}});
    let mut scope = scope(directory.path(), spec);
    let mut check = |text: &str, message: &str| {
        let error = Template::compile(text, &mut scope, Encoding::None).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
    };
    check(
        "{{user.emial}}",
        "got `user.emial`; did you mean `user.email`?",
    );
    check("{{itme}}", "did you mean `item`?");
    check(
        "{{nonsense}}",
        "known here: user.email, item, op, session, round, run, uuid",
    );
    check("{{user}}", "got `user`");
    check("{{item", "expected `}}` behind `{{item`");
    check("{{item|hex}}", "expected `|raw`, got `|hex`");
    check(
        "{{env.PHOTOFINISH_UNSET_VARIABLE}}",
        "export PHOTOFINISH_UNSET_VARIABLE=…",
    );
    for (name, message) in [
        ("op", "is built in"),
        ("item", "a feed or a draw"),
        ("a b", "letters, digits"),
    ] {
        let error = scope.capture(name).expect_err(name);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn captures_last_until_the_operation_or_flow_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut scope = scope(directory.path(), json!({}));
    let token = scope.capture("token").expect("a new name");
    let template =
        Template::compile("Bearer {{token}}", &mut scope, Encoding::Header).expect("known");
    scope.end_flow();
    let other_flow = Template::compile("{{token}}", &mut scope, Encoding::Header);
    assert!(other_flow.expect_err("forgotten").contains("got `token`"));
    let mut values = values(&scope.finish(), directory.path(), 0);
    values.begin(0).expect("no feeds");
    let missing = text(&mut values, &template).expect_err("nothing captured");
    assert_eq!(missing.kind, UNFIT);
    for value in ["abc", "replaced"] {
        values.capture(token, |out| out.extend_from_slice(value.as_bytes()));
        assert_eq!(text(&mut values, &template), Ok(format!("Bearer {value}")));
    }
    values.capture(token, |out| out.extend_from_slice(b"a\r\nx: 1"));
    assert_eq!(
        text(&mut values, &template).expect_err("two lines").kind,
        UNFIT
    );
    values.begin(1).expect("no feeds");
    assert!(
        text(&mut values, &template).is_err(),
        "captured by another operation"
    );
}

#[test]
fn no_row_is_used_twice_over_sessions_and_phases_and_the_end_is_reported() {
    let directory = tempfile::tempdir().expect("a directory");
    let lines: Vec<String> = (0..40).map(|row| format!("{{\"id\": {row}}}")).collect();
    fs::write(directory.path().join("ids.jsonl"), lines.join("\n")).expect("a file");
    let mut scope = scope(
        directory.path(),
        json!({"feed": {"row": {"file": "ids.jsonl", "order": "once"}}}),
    );
    let template = Template::compile("{{row.id}}", &mut scope, Encoding::None).expect("known");
    let data = scope.finish();
    let round = data.load(&env(directory.path(), 1, 5)).expect("readable");
    let mut used = Vec::new();
    for session in 0..4 {
        let mut values = Values::new(&round, session).expect("no constants");
        for first in [FIRST_WARMUP_OP, 0] {
            for op in (u64::from(session)..).step_by(4) {
                match values.begin(first + op) {
                    Ok(()) => used.push(
                        text(&mut values, &template)
                            .expect("a row")
                            .parse::<u32>()
                            .expect("an id"),
                    ),
                    Err(end) => {
                        assert_eq!(end.kind, Failure::ROWS_END);
                        break;
                    }
                }
            }
        }
    }
    used.sort_unstable();
    assert!(used.into_iter().eq(0..40));
}

#[test]
fn equal_seeds_give_equal_texts_whatever_was_drawn_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let spec = json!({"draw": {"a": {"text": 20}, "b": {"from": 1, "to": 1000}}});
    let mut scope = scope(directory.path(), spec);
    let template =
        Template::compile("{{a}} {{b}} {{uuid}}", &mut scope, Encoding::None).expect("known");
    let data = scope.finish();
    let texts = |seed, ops: &mut dyn Iterator<Item = u64>| {
        let round = data
            .load(&env(directory.path(), seed, 1))
            .expect("readable");
        let mut values = Values::new(&round, 0).expect("sound");
        let all = ops.map(|op| {
            values.begin(op).expect("no feeds");
            text(&mut values, &template).expect("sound")
        });
        all.collect::<Vec<_>>()
    };
    let mut backwards = texts(1, &mut (0..20).rev());
    backwards.reverse();
    assert_eq!(texts(1, &mut (0..20)), backwards);
    assert!(
        texts(2, &mut (0..20))
            .iter()
            .zip(&backwards)
            .all(|(one, other)| one != other)
    );
}

#[test]
fn an_operation_allocates_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let rows: String = (0..100)
        .map(|row| format!("{row},\"a \"\"{row}\"\"\"\n"))
        .collect();
    fs::write(
        directory.path().join("rows.csv"),
        format!("id,note\n{rows}"),
    )
    .expect("a file");
    let spec = json!({
        "feed": {"row": {"file": "rows.csv", "order": "shuffle"}},
        "draw": {
            "zipf": {"distribution": "zipf", "from": 1, "to": 100_000, "exponent": 1.1, "scatter": true},
            "gaussian": {"distribution": "gaussian", "from": 1, "to": 100, "parameter": 3},
            "note": {"text": 64},
            "choice": {"choice": ["ä \"b\"", "c"], "weights": [1, 2]},
        },
    });
    let mut scope = scope(directory.path(), spec);
    let token = scope.capture("token").expect("a new name");
    let mut request = Template::default();
    let place = "/{{zipf}}?n={{row.note}}&c={{choice}}&u={{uuid}}&o={{op}}";
    request
        .push(place, &mut scope, Encoding::Percent)
        .expect("known");
    request
        .push(
            "x: {{gaussian}} {{run}} {{token}}",
            &mut scope,
            Encoding::Header,
        )
        .expect("known");
    request
        .push(
            "{\"n\": \"{{note}} {{row.note}}\", \"z\": {{zipf}}}",
            &mut scope,
            Encoding::Json,
        )
        .expect("known");
    request
        .push("f={{choice}}&t={{token}}", &mut scope, Encoding::Form)
        .expect("known");
    let mut values = values(&scope.finish(), directory.path(), 0);
    let pointer = JsonPointer::parse("/b/1/token").expect("a pointer");
    let mix = Mix::new([9, 1]).expect("weights");
    let mut out = Vec::with_capacity(4 << 10);
    let mut operate = |op: u64| {
        values.begin(op).expect("rows for ever");
        out.clear();
        let answer = br#"{"a": "\"", "b": [null, {"token": "t \u00e4"}]}"#;
        let found = pointer.find(answer).expect("in the answer");
        values.capture(token, |out| found.write_text(out));
        values.fill(&request).expect("fits");
        values.render(&request, &mut out);
        assert_eq!(out.len(), values.rendered_len(&request));
        mix.choose(42, op)
    };
    let allocated = allocation_counter::measure(|| {
        assert!((0..2_000).map(&mut operate).sum::<usize>() > 100);
    });
    assert_eq!(allocated.count_total, 0);
}

#[test]
fn an_unusable_file_is_refused_at_its_key_without_quoting_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &[u8]| {
        fs::write(directory.path().join(name), content).expect("a file")
    };
    file("short.csv", b"a,b\n1,2\nsecret\n");
    file("latin.csv", b"a\nok\n\xe4\n");
    file("rows.txt", b"a\n1\n");
    file("rows.csv", b"a\n1\n");
    let check = |feed: Value, message: &str| {
        let errors = files::survey(&mut json!({"feed": {"f": feed}}), directory.path());
        let [error] = &errors[..] else {
            panic!("{errors:?}")
        };
        assert_eq!(error.param, "feed.f.file");
        assert!(error.message.contains(message), "{}", error.message);
        assert!(!error.message.contains("secret"), "{}", error.message);
    };
    check(
        json!({"file": "short.csv"}),
        "short.csv, line 3: expected 2 values",
    );
    check(
        json!({"file": "latin.csv"}),
        "latin.csv, line 3: expected UTF-8",
    );
    check(
        json!({"file": "rows.txt"}),
        "ends in `.csv`, `.jsonl` or `.ndjson`, got `rows.txt`",
    );
    check(json!({"file": "gone.csv"}), "cannot read `gone.csv`");
    check(
        json!({"file": "/etc/rows.csv"}),
        "relative to the scenario file",
    );
    check(
        json!({"file": "rows.csv", "sha256": "00"}),
        "to have the SHA-256 00, got ",
    );
    let mut sound = json!({"feed": {"f": {"file": "rows.csv"}}});
    assert_eq!(files::survey(&mut sound, directory.path()), []);
    let hash = files::sha256(b"a\n1\n");
    assert_eq!(
        sound["feed"]["f"],
        json!({"file": "rows.csv", "columns": ["a"], "rows": 1, "sha256": hash})
    );
    // The file changes between the plan and the round.
    let data = scope(directory.path(), sound).finish();
    file("rows.csv", b"a\n2\n");
    let changed = data
        .load(&env(directory.path(), 1, 1))
        .expect_err("another file");
    assert!(
        changed
            .detail
            .contains("feed `f`: expected `rows.csv` to have the SHA-256"),
        "{changed}"
    );
}

/// Texts full of what could break a request.
fn nasty() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "\r\n",
        "\n",
        "\0",
        "\"",
        "\\",
        "%",
        "%0d%0a",
        "{{",
        "}}",
        "{{op}}",
        " ",
        "/",
        "?",
        "#",
        "&",
        "=",
        "GET / HTTP/1.1\r\n\r\n",
        "ä",
        "\u{2028}",
        ",",
        "}",
        ": ",
        "1",
        "true",
        "\t",
        "\u{7f}",
    ];
    let piece = prop_oneof![
        prop::sample::select(PIECES).prop_map(str::to_owned),
        any::<String>()
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_value_of_a_file_makes_a_second_request_or_breaks_json(value in nasty()) {
        let directory = tempfile::tempdir().expect("a directory");
        let csv = format!("v\n{}\n", quoted(&value));
        fs::write(directory.path().join("v.csv"), csv).expect("a file");
        let mut scope = scope(directory.path(), json!({"feed": {"f": {"file": "v.csv"}}}));
        let mut compile = |text, encoding| Template::compile(text, &mut scope, encoding).expect("known");
        let target = compile("/a/{{f.v}}?q={{f.v}}", Encoding::Percent);
        let raw_target = compile("/a{{f.v|raw}}", Encoding::Percent);
        let header = compile("<{{f.v}}>", Encoding::Header);
        let raw_header = compile("<{{f.v|raw}}>", Encoding::Header);
        let body = compile("{\"a\": \"x{{f.v}}\", \"b\": [\"\\\"{{f.v}}\"]}", Encoding::Json);
        let scalar = compile("{\"a\": {{f.v}}, \"b\": 1}", Encoding::Json);
        let form = compile("a={{f.v}}&b=1", Encoding::Form);
        let mut values = values(&scope.finish(), directory.path(), 0);
        values.begin(0).expect("a row");

        let path = text(&mut values, &target).expect("everything can be encoded");
        let raw_path = text(&mut values, &raw_target);
        let fields = [&header, &raw_header].map(|template| text(&mut values, template));
        for path in [Ok(path.clone()), raw_path.clone()].into_iter().flatten() {
            for field in &fields {
                let field = field.as_deref().unwrap_or("<>");
                let head = format!("GET {path} HTTP/1.1\r\nx: {field}\r\n\r\n");
                let mut headers = [httparse::EMPTY_HEADER; 4];
                let mut request = httparse::Request::new(&mut headers);
                let parsed = request.parse(head.as_bytes()).expect("a request");
                prop_assert_eq!(parsed, httparse::Status::Complete(head.len()));
                prop_assert_eq!(request.path, Some(path.as_str()));
                prop_assert_eq!(request.headers.len(), 1);
                prop_assert_eq!(request.headers[0].value, field.as_bytes());
            }
        }
        let control = value.chars().any(|letter| letter.is_ascii_control() && letter != '\t');
        for field in fields {
            match field {
                Ok(field) => prop_assert_eq!(field, format!("<{value}>")),
                Err(refusal) => prop_assert!(control && refusal.kind == UNFIT),
            }
        }
        prop_assert_eq!(raw_path.is_ok(), value.bytes().all(|byte| byte.is_ascii_graphic()));
        let (segment, query) = path["/a/".len()..].split_once("?q=").expect("a query");
        for part in [segment, query] {
            let decoded = percent_encoding::percent_decode_str(part).decode_utf8().expect("UTF-8");
            prop_assert_eq!(decoded, value.as_str());
            prop_assert!(part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        }

        let parsed: Value = serde_json::from_str(&text(&mut values, &body).expect("fits")).expect("JSON");
        prop_assert_eq!(parsed, json!({"a": format!("x{value}"), "b": [format!("\"{value}")]}));
        let is_scalar = serde_json::from_str::<Value>(&value)
            .is_ok_and(|parsed| !parsed.is_string() && !parsed.is_array() && !parsed.is_object());
        match text(&mut values, &scalar) {
            Ok(text) => {
                prop_assert!(is_scalar);
                let parsed: Value = serde_json::from_str(&text).expect("JSON");
                prop_assert_eq!(parsed.as_object().map(|members| members.len()), Some(2));
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.kind, UNFIT);
                prop_assert!(!is_scalar || value.trim() != value);
            }
        }
        let form = text(&mut values, &form).expect("everything can be encoded");
        let pairs: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        prop_assert_eq!(pairs, [("a".to_owned(), value), ("b".to_owned(), "1".to_owned())]);
    }
}
