//! Somebody between the workloads and their servers: what is lost, doubled, changed or done beside them is exit code 5.
//!
//! The servers are those that ship, and honest; a proxy in front of them meddles with the bytes on their way. The program
//! measures through it as through any target, so that what is seen here is what a user sees: the code, the operation's
//! number and what came. Workloads on a broken runtime are in `scenarios/tests/all/broken_promises.rs`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use photofinish_record::Outcome;

use crate::serve::served;
use crate::support::Sandbox;

/// Makes of bytes on their way what goes on.
type Change = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

/// What happens to both directions.
struct Meddling {
    /// To what workloads send.
    up: Change,
    /// To what they get.
    down: Change,
}

impl Meddling {
    fn none() -> Self {
        Self {
            up: Arc::new(|bytes| bytes),
            down: Arc::new(|bytes| bytes),
        }
    }

    fn up(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self {
            up: Arc::new(change),
            ..Self::none()
        }
    }

    fn down(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self {
            down: Arc::new(change),
            ..Self::none()
        }
    }

    /// Listens, and goes between each client and the server at `address`; gives where it listens.
    fn before(self, address: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").to_string();
        let address = address.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&address).expect("the server listens");
                let ends = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
                let (back, forth) = (ends(&client), ends(&server));
                let (up, down) = (Arc::clone(&self.up), Arc::clone(&self.down));
                std::thread::spawn(move || pass_on(client, server, &up));
                std::thread::spawn(move || pass_on(forth, back, &down));
            }
        });
        own
    }
}

/// Until one of the two ends.
fn pass_on(mut from: TcpStream, mut to: TcpStream, change: &Change) {
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&change(buffer[..count].to_vec())).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// `bytes` with `old` replaced by `new` wherever it stands.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(place) = rest.windows(old.len()).position(|window| window == old) {
        result.extend_from_slice(&rest[..place]);
        result.extend_from_slice(new);
        rest = &rest[place + old.len()..];
    }
    result.extend_from_slice(rest);
    result
}

/// Measures `scenario` against an honest server, and then with somebody in between: exit code 5, and all of `told`.
#[track_caller]
fn check(scenario: &str, kind: &str, more: &[&str], meddling: Meddling, expected: &[&str]) {
    let sandbox = Sandbox::new();
    let (_server, address) = served(&sandbox, &[kind]);
    let run = |address: &str| {
        let target = match kind {
            "postgres" => format!("db=postgres://photofinish@{address}/"),
            "ws" => format!("ws=ws://{address}/{}", scenario.replace("ws-", "")),
            _ => format!("http=http://{address}/"),
        };
        let arguments = ["run", scenario, "--target", &target, "--set=unit=1ms"];
        sandbox.run(&[&arguments, TINIEST, more].concat())
    };
    run(&Meddling::none().before(&address)).check(0, &[]);
    let wrong = ["measured, but wrong"];
    run(&meddling.before(&address)).check(5, &[&wrong, expected].concat());
}

/// Counted and not timed: on a busy machine the operation that is meddled with has to come all the same.
const TINIEST: &[&str] = &[
    "--rounds=1",
    "--set=load.ops=6",
    "--set=load.warmup_ops=1",
    "--no-redo",
];

const SYNC_AND_TASKS: &[&str] = &["--concurrency", "2", "--runtimes", "sync,tokio"];

/// A message of the PostgreSQL protocol that asks for `sql`.
fn query(sql: &str) -> Vec<u8> {
    let length = u32::try_from(sql.len() + 5).expect("short").to_be_bytes();
    [b"Q", &length[..], sql.as_bytes(), b"\0"].concat()
}

/// `bytes` with the simple queries that begin with `start` replaced by what `change` makes of their text.
fn requeried(bytes: &[u8], start: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let begins = |window: &[u8]| window == start.as_bytes();
    let Some(at) = bytes.windows(start.len()).position(begins) else {
        return bytes.to_vec();
    };
    let rest = String::from_utf8_lossy(&bytes[at..]);
    let sql = rest.split('\0').next().expect("a first part");
    replaced(bytes, &query(sql), &query(&change(sql)))
}

/// A row of one column, as it begins in the PostgreSQL protocol.
fn row(cell: &str) -> Vec<u8> {
    let length = u32::try_from(cell.len()).expect("short").to_be_bytes();
    [&[0, 1], &length[..], cell.as_bytes()].concat()
}

#[test]
fn a_row_other_than_the_inserted_one_is_reported() {
    let other_name = |bytes: Vec<u8>| replaced(&bytes, b"item ", b"itme ");
    check(
        "db-select",
        "postgres",
        SYNC_AND_TASKS,
        Meddling::down(other_name),
        &[
            "operation 0",
            "gave 1 rows, which are not the one that was inserted",
        ],
    );
    let other_label = |bytes: Vec<u8>| replaced(&bytes, b"operation ", b"operatoin ");
    check(
        "db-crud",
        "postgres",
        SYNC_AND_TASKS,
        Meddling::down(other_label),
        &["operation 0", "is not as it was inserted"],
    );
    let two = |bytes: Vec<u8>| replaced(&bytes, &row("1"), &row("2"));
    check(
        "db-connect",
        "postgres",
        SYNC_AND_TASKS,
        Meddling::down(two),
        &["operation 0", "SELECT 1 gave 1 rows, which are not 1"],
    );
    let one_more = |bytes: Vec<u8>| replaced(&bytes, &row("300"), &row("301"));
    check(
        "db-pool",
        "postgres",
        SYNC_AND_TASKS,
        Meddling::down(one_more),
        &[
            "operation 0",
            "expected 300 rows in `orders`, got Some(301)",
        ],
    );
}

#[test]
fn rows_inserted_by_someone_else_are_reported() {
    let one_more = |bytes: Vec<u8>| {
        requeried(&bytes, "CREATE TABLE IF NOT EXISTS ", |create| {
            let table = create.split(' ').nth(5).expect("its name");
            format!("{create}; INSERT INTO {table} (label, amount) VALUES ('x', 0)")
        })
    };
    check(
        "db-crud",
        "postgres",
        SYNC_AND_TASKS,
        Meddling::up(one_more),
        &[" entries, got "],
    );
}

#[test]
fn lost_incomplete_and_untransacted_transfers_are_reported() {
    let instead = |old: &'static str, new: &'static str| {
        Meddling::up(move |bytes| replaced(&bytes, &query(old), &query(new)))
    };
    check(
        "db-transaction",
        "postgres",
        SYNC_AND_TASKS,
        instead("BEGIN", "SELECT 1"),
        &[
            "operation 0",
            "expected the session inside of a transaction after an UPDATE, got outside of",
        ],
    );
    check(
        "db-transaction",
        "postgres",
        SYNC_AND_TASKS,
        instead("COMMIT", "ROLLBACK"),
        &["accounts are not as their transfers left them: number"],
    );
    // The table is in the schema of the round, which the statements before have named.
    let table = Mutex::new(String::new());
    let add_one = Meddling::up(move |bytes| {
        let mut table = table.lock().expect("no panic");
        let text = String::from_utf8_lossy(&bytes);
        let mut words = text.split([' ', '\0']);
        if let Some(name) = words.rfind(|word| word.ends_with(".accounts")) {
            name.clone_into(&mut table);
        }
        let and_one = format!("UPDATE {table} SET balance = balance + 1 WHERE id = 7; COMMIT");
        replaced(&bytes, &query("COMMIT"), &query(&and_one))
    });
    check(
        "db-transaction",
        "postgres",
        SYNC_AND_TASKS,
        add_one,
        &["expected a sum of 100000 over all accounts, got"],
    );
}

/// Short text frames on their way to a client: what becomes of each is said by its number and those before it.
fn frames(becomes: impl Fn(u64, &[u8]) -> Vec<u8> + Send + Sync + 'static) -> Meddling {
    let passed = AtomicU64::new(0);
    Meddling::down(move |bytes| {
        let mut result = Vec::new();
        let mut rest = &bytes[..];
        while let [0x81, length @ 0..126, ..] = *rest
            && let Some((frame, behind)) = rest.split_at_checked(usize::from(length) + 2)
        {
            let number = passed.fetch_add(1, Ordering::Relaxed);
            result.extend(becomes(number, frame));
            rest = behind;
        }
        result.extend_from_slice(rest);
        result
    })
}

/// A room of three is filled with six of them, and an operation has three; one of an echo has five.
fn is_hit(number: u64) -> bool {
    number % 20 == 19
}

const ONE_ROOM: &[&str] = &[
    "--concurrency",
    "1",
    "--runtimes",
    "tokio",
    "--set=clients=3",
];
const ONE_CLIENT: &[&str] = &["--concurrency", "1", "--runtimes", "tokio"];

#[test]
fn a_lost_message_is_reported() {
    let lose = || {
        frames(|number, frame| match is_hit(number) {
            true => Vec::new(),
            false => frame.to_vec(),
        })
    };
    let expected = ["operation ", "was not answered within 5 s"];
    check("ws-echo", "ws", ONE_CLIENT, lose(), &expected);
    let expected = ["operation ", "was not heard by every client within 5 s"];
    check("ws-chat", "ws", ONE_ROOM, lose(), &expected);
}

#[test]
fn a_duplicate_message_is_reported() {
    let double = || {
        frames(|number, frame| match is_hit(number) {
            true => frame.repeat(2),
            false => frame.to_vec(),
        })
    };
    let expected = ["operation ", "came once more than it was sent"];
    check("ws-echo", "ws", ONE_CLIENT, double(), &expected);
    let expected = ["operation ", "was heard twice or out of order"];
    check("ws-chat", "ws", ONE_ROOM, double(), &expected);
}

#[test]
fn a_substituted_message_is_reported() {
    // A server's frames are not masked.
    let other = || {
        frames(|number, frame| match is_hit(number) {
            true => replaced(frame, b"message ", b"massage "),
            false => frame.to_vec(),
        })
    };
    let expected = ["operation ", "was answered with `massage "];
    check("ws-echo", "ws", ONE_CLIENT, other(), &expected);
    let expected = ["operation ", "was heard instead of message "];
    check("ws-chat", "ws", ONE_ROOM, other(), &expected);
}

/// A room is filled before the clock starts, and its clients talk meanwhile: what is wrong then is no failure to run.
#[test]
fn a_wrong_message_in_a_filling_room_is_caught() {
    let other = frames(|_, frame| replaced(frame, b"message 2", b"message 7"));
    let sandbox = Sandbox::new();
    let (_server, address) = served(&sandbox, &["ws"]);
    let target = format!("ws=ws://{}/chat", other.before(&address));
    let arguments = ["run", "ws-chat", "--target", &target];
    let expected = [
        "opening session 0 failed: wrong-content",
        "`message 7` was heard instead of message 2",
    ];
    sandbox
        .run(&[&arguments, TINIEST, ONE_ROOM].concat())
        .check(5, &expected);
    let record = sandbox.record();
    assert!(
        matches!(&record.rounds[0].outcome, Outcome::Failed { reason } if reason.contains(expected[1]))
    );
}

#[test]
fn wrong_titles_documents_and_rules_are_reported() {
    let other_title =
        || Meddling::down(|bytes| replaced(&bytes, b"<title>\n  Page ", b"<title>\n  Pace "));
    check(
        "scrape",
        "site",
        SYNC_AND_TASKS,
        other_title(),
        &[
            "operation 0",
            "expected `Page 0` as the title of /, got `Pace 0`",
        ],
    );
    check(
        "crawl",
        "site",
        SYNC_AND_TASKS,
        other_title(),
        &["operation 0", ", got `Pace "],
    );
    let other_rules = |bytes: Vec<u8>| replaced(&bytes, b"/private/ ", b"/privacy/ ");
    check(
        "crawl",
        "site",
        SYNC_AND_TASKS,
        Meddling::down(other_rules),
        &["operation 0", "but is not a page to visit"],
    );
    check(
        "download",
        "site",
        &[SYNC_AND_TASKS, &["--set=documents=['/documents/1.bin']"]].concat(),
        Meddling::down(changed_document),
        &["the file of /documents/", "bytes that are not the"],
    );
}

/// Another first byte, where a document begins in these bytes.
fn changed_document(mut bytes: Vec<u8>) -> Vec<u8> {
    let find = |text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
    let is_document = find(b"octet-stream").is_some();
    let begins = find(b"\r\n\r\n").map(|place| place + 4);
    if let Some(first) = begins
        .filter(|_| is_document)
        .and_then(|at| bytes.get_mut(at))
    {
        *first ^= 1;
    }
    bytes
}

#[test]
fn a_page_requested_twice_is_reported() {
    let sandbox = Sandbox::new();
    let (_server, address) = served(&sandbox, &["site"]);
    let site = address.clone();
    let once_more = Meddling::up(move |bytes| {
        let asked = b"GET /pages/7 ";
        if bytes.windows(asked.len()).any(|window| window == asked) {
            let mut other = TcpStream::connect(&site).expect("the site listens");
            let request = "GET /pages/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            other.write_all(request.as_bytes()).expect("asked");
            other.read_to_end(&mut Vec::new()).expect("answered");
        }
        bytes
    });
    let target = format!("http=http://{}/", once_more.before(&address));
    let arguments = ["run", "crawl", "--target", &target, "--set=unit=1ms"];
    sandbox
        .run(&[&arguments, TINIEST, ONE_CLIENT].concat())
        .check(5, &["measured, but wrong", "requests of /pages/7 in"]);
}
