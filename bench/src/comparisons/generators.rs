//! HTTP generators: keep-alive, a connection per request, open load, TLS and HTTP/2.

use std::num::NonZeroU32;

use super::{
    COMPIO, COMPIO_EPOLL, Comparison, Contestant, FLOORS, Group, HTTP_RUNTIME, Role, beside_rivals,
    own,
};
use crate::photofinish::OwnScenario;
use crate::work::{HttpServer, HttpWork, Page, Work};

/// Arrivals per second of the open load.
const RATE_HZ: u32 = 20_000;

const CONNECTIONS: u32 = 64;

const STREAMS: NonZeroU32 = NonZeroU32::new(8).expect("not 0");

const WITHOUT_SLOTS: OwnScenario = OwnScenario::new("fixed", "[[request]]\nsend = \"GET /13\"\n");

pub(super) fn comparisons() -> Vec<Comparison> {
    let mut all = Vec::new();
    for server in [HttpServer::Responder, HttpServer::Nginx] {
        all.extend([1, 64, 1000].map(|connections| keep_alive(HttpWork::new(server, connections))));
    }
    for (page, connections) in [(Page::Kib10, &[1, 64, 1000][..]), (Page::Mib1, &[1, 64])] {
        let work = |connections: &u32| HttpWork {
            page,
            ..HttpWork::new(HttpServer::Nginx, *connections)
        };
        all.extend(connections.iter().map(work).map(keep_alive));
    }
    let nginx = HttpWork::new(HttpServer::Nginx, CONNECTIONS);
    for server in [HttpServer::Responder, HttpServer::Nginx] {
        all.push(connection_per_request(HttpWork {
            keep_alive: false,
            ..HttpWork::new(server, CONNECTIONS)
        }));
    }
    all.extend([false, true].map(|bursts| {
        open_load(HttpWork {
            rate_hz: Some(RATE_HZ),
            bursts,
            ..HttpWork::new(HttpServer::Responder, CONNECTIONS)
        })
    }));
    all.push(tls(HttpWork { tls: true, ..nginx }));
    all.extend([false, true].map(|tls| {
        http2(HttpWork {
            tls,
            streams: Some(STREAMS),
            connections: 8,
            ..nginx
        })
    }));
    all.push(own_requests(HttpWork::new(
        HttpServer::Responder,
        CONNECTIONS,
    )));
    all
}

fn server_name(server: HttpServer) -> &'static str {
    match server {
        HttpServer::Responder => "responder",
        HttpServer::Nginx => "nginx",
        HttpServer::Mock => "mock",
    }
}

/// A comparison of our runtimes with all rivals that can do the work.
fn comparison(kind: &str, title: &str, http: HttpWork, note: Option<&'static str>) -> Comparison {
    let (server, connections) = (server_name(http.server), http.connections);
    let plural = if connections == 1 {
        "connection"
    } else {
        "connections"
    };
    Comparison {
        group: Group::Http,
        id: format!("http-{kind}-{server}-{connections}"),
        title: format!("{title} from the {server}, {connections} {plural}")
            .replace("the nginx", "nginx"),
        contestants: beside_rivals(
            Work::Http(http),
            &[HTTP_RUNTIME, COMPIO, COMPIO_EPOLL],
            &FLOORS,
        ),
        note,
    }
}

fn keep_alive(http: HttpWork) -> Comparison {
    let page = http.page.label();
    comparison(&page.replace(' ', "").to_lowercase(), page, http, None)
}

fn connection_per_request(http: HttpWork) -> Comparison {
    comparison("connect", "A connection for each 13 B", http, None)
}

fn open_load(http: HttpWork) -> Comparison {
    let note = "The rate is given: compare the CPU time, and see that the rate was held. \
                h2load sends each connection's requests every 10 ms, one after the other. Only Photofinish and oha count response times from when a request was due";
    let (kind, title) = if http.bursts {
        (
            "open-bursts",
            "13 B at 20,000 requests per second, in bursts every 10 ms,",
        )
    } else {
        ("open", "13 B at 20,000 requests per second")
    };
    comparison(kind, title, http, Some(note))
}

fn tls(http: HttpWork) -> Comparison {
    comparison(
        "tls",
        "13 B over TLS",
        http,
        Some("Photofinish verifies the certificate; the others do not"),
    )
}

fn http2(http: HttpWork) -> Comparison {
    let note = "An operation of Photofinish sends a request per stream and waits for all of them; \
                the others start the next request at once. Rates are in requests";
    let (kind, title) = if http.tls {
        ("http2-tls", "13 B over HTTP/2 and TLS, 8 streams each,")
    } else {
        ("http2", "13 B over HTTP/2 without TLS, 8 streams each,")
    };
    let contestants = beside_rivals(Work::Http(http), &[HTTP_RUNTIME, COMPIO], &[]);
    Comparison {
        contestants,
        ..comparison(kind, title, http, Some(note))
    }
}

/// The workload `http`, which users describe in a file, beside the built-in one and wrk.
fn own_requests(http: HttpWork) -> Comparison {
    let work = Work::Http(http);
    let mut contestants = vec![own(
        "photofinish http",
        WITHOUT_SLOTS,
        Role::Candidate,
        work,
    )];
    let others = beside_rivals(work, &[HTTP_RUNTIME], &[]).into_iter();
    contestants.extend(others.filter_map(|contestant| {
        match contestant.name.as_str() {
            "wrk" => Some(contestant),
            _ if contestant.role == Role::Candidate => Some(
                Contestant {
                    role: Role::Other,
                    ..contestant
                }
                .named("photofinish http-get"),
            ),
            _ => None,
        }
    }));
    let note = "`http` checks the status, `http-get` the whole body as well";
    Comparison {
        contestants,
        ..comparison(
            "own-requests",
            "User-defined requests of 13 B",
            http,
            Some(note),
        )
    }
}
