//! The server `site` as its visitors meet it: robots.txt, pages, redirects, what fails once, and its report.

use serde_json::{Value, json};

use crate::client::Client;
use crate::driver::Server;

fn report(client: &mut Client) -> Value {
    serde_json::from_slice(&client.get("/site-report").body).unwrap()
}

#[test]
fn the_report_has_the_sites_contents_and_its_requests() {
    let server = Server::start("site", json!({"pages": 30, "slow": "1ms"}));
    let mut client = Client::connect(server.address());
    let before = report(&mut client);
    let pages = before["pages"].as_array().unwrap();
    let allowed = pages.iter().filter(|page| page["allowed"] == true).count();
    assert_eq!(allowed, 30);
    assert_eq!(before["requests"], json!({}), "the report is not counted");
    for path in ["/", "/", "/robots.txt", "/private/0", "/nowhere?x=1"] {
        client.get(path);
    }
    let after = report(&mut client);
    let expected = json!({"/": 2, "/robots.txt": 1, "/private/0": 1, "/nowhere?x=1": 1});
    assert_eq!(after["requests"], expected);
    assert_eq!(after["disallowed_requests"], 1);
    server.stop().unwrap();
}

#[test]
fn pages_are_served_with_links_to_the_host_that_was_asked() {
    let mut server = Server::start("site", json!({"pages": 30, "slow": "1ms"}));
    let mut client = Client::connect(server.address());
    let root = client.get("/");
    assert_eq!(
        (root.status, root.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(
        root.text().contains("href=\"http://test/"),
        "{}",
        root.text()
    );
    assert!(!root.text().contains("origin.invalid"));
    let moved = client.get("/moved/9");
    assert!(matches!(moved.status, 301 | 302), "{moved:?}");
    assert_eq!(moved.header("location"), Some("/pages/9"));
    assert_eq!(client.get("/missing/0").status, 404);
    assert_eq!(client.get("/documents/1.bin").body.len(), 4096);
    assert_eq!(client.request("POST", "/", "", b"").status, 405);
    assert_eq!(server.counts().requests, Some(5));
    server.stop().unwrap();
}

#[test]
fn the_failing_page_fails_once_for_each_client() {
    let server = Server::start("site", json!({"pages": 30}));
    let mut client = Client::connect(server.address());
    let mut status = |who: &str| {
        let header = format!("x-client: {who}\r\n");
        client.request("GET", "/pages/2", &header, b"").status
    };
    let met = ["a", "b", "a", "b", "a", "a"].map(&mut status);
    assert_eq!(met, [503, 503, 200, 200, 503, 200]);
    server.stop().unwrap();
}

#[test]
fn too_many_pages_are_refused() {
    let kind = photofinish_servers::find("site").unwrap();
    let error = (kind.check_behaviour)(&json!({"pages": 10_001})).unwrap_err();
    assert_eq!(error.path, ["pages"]);
    assert!((kind.check_behaviour)(&json!({"pages": 0})).is_err());
}
