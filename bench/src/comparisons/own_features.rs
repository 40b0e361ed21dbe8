//! Photofinish beside itself: what checks, slots, feeds and captures cost.

use super::{Comparison, Contestant, Group, HTTP_RUNTIME, Role, own};
use crate::photofinish::{Ours, OwnScenario};
use crate::work::{HttpServer, HttpWork, Page, Work};

const CONNECTIONS: u32 = 64;

const FIXED: OwnScenario = OwnScenario::new("fixed", "[[request]]\nsend = \"GET /13\"\n");
const SLOTS: OwnScenario = OwnScenario::new(
    "slots",
    r#"draw.id = { from = 1, to = 100_000 }
draw.note = { text = 16 }
[[request]]
send = "GET /13?id={{id}}&note={{note}}"
headers = { x-op = "{{run}}-{{op}}" }
"#,
);
const FEED: OwnScenario = OwnScenario {
    name: "feed",
    toml: r#"feed.user = { file = "users.csv" }
[[request]]
send = "GET /13?user={{user.email}}"
"#,
    file: Some((
        "users.csv",
        "email,password\nann@example.org,one\nbob@example.org,two\neve@example.org,three\n",
    )),
};
const JSON: OwnScenario = OwnScenario::new("json", "[[request]]\nsend = \"GET /json\"\n");
const CHECKS: OwnScenario = OwnScenario::new(
    "checks",
    r#"[[request]]
send = "GET /json"
expect = { status = 200, header = { content-type = "application/json" }, json = { "/id" = 7, "/items/1/name" = "b" } }
"#,
);
const FLOW: OwnScenario = OwnScenario::new(
    "flow",
    r#"[[flow]]
[[flow.request]]
send = "GET /json"
[[flow.request]]
send = "GET /13"
headers = { authorization = "Bearer 0123456789abcdef" }
"#,
);
const CAPTURES: OwnScenario = OwnScenario::new(
    "captures",
    r#"[[flow]]
[[flow.request]]
send = "GET /json"
capture = { token = "json /token" }
[[flow.request]]
send = "GET /13"
headers = { authorization = "Bearer {{token}}" }
"#,
);

pub(super) fn comparisons() -> Vec<Comparison> {
    let mut all = vec![
        pair(
            "slots",
            "A draw, a text and a header in slots",
            SLOTS,
            FIXED,
        ),
        pair("feed", "A row of a feed", FEED, FIXED),
        pair(
            "checks",
            "Checks of status, header and two JSON pointers",
            CHECKS,
            JSON,
        ),
        pair(
            "captures",
            "A token captured from JSON, two requests",
            CAPTURES,
            FLOW,
        ),
    ];
    all.extend([Page::Small, Page::Kib10, Page::Mib1].map(cost_of_checking));
    all
}

fn work(page: Page) -> Work {
    Work::Http(HttpWork {
        page,
        ..HttpWork::new(HttpServer::Nginx, CONNECTIONS)
    })
}

/// Two scenarios on one nginx: with a feature, and without it.
fn pair(id: &str, title: &str, with: OwnScenario, without: OwnScenario) -> Comparison {
    let work = work(Page::Small);
    Comparison {
        group: Group::Own,
        id: format!("own-{id}"),
        title: format!("{title}, {CONNECTIONS} connections"),
        contestants: vec![
            own("with", with, Role::Candidate, work),
            own("without", without, Role::Other, work),
        ],
        note: None,
    }
}

/// Every byte of a body compared, and its framing only.
fn cost_of_checking(page: Page) -> Comparison {
    let unchecked = Ours {
        setting: Some("params.content=any"),
        ..Ours::new(HTTP_RUNTIME)
    };
    let (label, work) = (page.label(), work(page));
    Comparison {
        group: Group::Own,
        id: format!("own-checking-{}", label.replace(' ', "").to_lowercase()),
        title: format!("Cost of checking {label}, {CONNECTIONS} connections"),
        contestants: vec![
            Contestant::ours(Ours::new(HTTP_RUNTIME), Role::Candidate, work).named("body compared"),
            Contestant::ours(unchecked, Role::Other, work).named("length and status only"),
        ],
        note: None,
    }
}
