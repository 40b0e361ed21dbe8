//! A small shop's API, for scenarios that log in, read and write: `/api/login`, `/api/cart`, `/api/orders`, `/items/N`.
//!
//! It keeps nothing but the number of orders: a token is its user's name in hexadecimal, so that every answer follows
//! from its request. Pure: a route, header fields and a body in, a reply out. `answers.rs` collects bodies and counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

/// A resource of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Login,
    Cart,
    Orders,
    Item(u64),
}

impl Resource {
    /// The resource at `path`.
    pub(super) fn find(path: &str) -> Option<Self> {
        match path {
            "/api/login" => Some(Self::Login),
            "/api/cart" => Some(Self::Cart),
            "/api/orders" => Some(Self::Orders),
            _ => path.strip_prefix("/items/")?.parse().ok().map(Self::Item),
        }
    }

    /// The methods that it takes.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Login | Self::Orders => "POST",
            Self::Cart => "GET, HEAD",
            Self::Item(_) => "GET, HEAD, PUT",
        }
    }
}

/// A reply of the API.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The body, if there is one.
    pub(super) json: Option<Value>,
    pub(super) location: Option<String>,
    pub(super) cookie: Option<String>,
}

/// Replies to a request for a resource; `orders` is the number of orders so far.
pub(super) fn reply(
    resource: Resource,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
    orders: &AtomicU64,
) -> Reply {
    let user = user_of(headers);
    match (resource, user) {
        (Resource::Login, _) => login(body),
        (Resource::Cart | Resource::Orders, None) => {
            refusal(StatusCode::UNAUTHORIZED, "log in at /api/login")
        }
        (Resource::Cart, Some(user)) => Reply {
            json: Some(json!({
                "user": user,
                "currency": "EUR",
                "items": [{ "id": user.len(), "name": "a book", "price": 12.5 }],
            })),
            ..Reply::default()
        },
        (Resource::Orders, Some(user)) => order(&user, body, orders),
        (Resource::Item(_), _) if *method == Method::PUT => put(body),
        (Resource::Item(number), _) => Reply {
            json: Some(
                json!({ "id": number, "name": format!("item {number}"), "stock": number % 100 }),
            ),
            ..Reply::default()
        },
    }
}

fn login(body: &[u8]) -> Reply {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let (user, password) = (document["email"].as_str(), document["password"].as_str());
    let (Some(user), Some(_)) = (user, password) else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "expected a JSON object with email and password",
        );
    };
    let token: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
    Reply {
        cookie: Some(format!("session={token}; Path=/api; HttpOnly")),
        json: Some(json!({ "token": token, "user": user })),
        ..Reply::default()
    }
}

fn order(user: &str, body: &[u8], orders: &AtomicU64) -> Reply {
    if !is_json(body) {
        return refusal(StatusCode::BAD_REQUEST, "expected an order as JSON");
    }
    let number = orders.fetch_add(1, Relaxed) + 1;
    Reply {
        status: StatusCode::CREATED,
        location: Some(format!("/api/orders/{number}")),
        json: Some(json!({ "id": number, "user": user })),
        cookie: None,
    }
}

fn put(body: &[u8]) -> Reply {
    if !is_json(body) {
        return refusal(StatusCode::BAD_REQUEST, "expected an item as JSON");
    }
    Reply {
        status: StatusCode::NO_CONTENT,
        ..Reply::default()
    }
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

fn refusal(status: StatusCode, reason: &str) -> Reply {
    Reply {
        status,
        json: Some(json!({ "error": reason })),
        ..Reply::default()
    }
}

/// The user whose token is in the field Authorization or in the cookie `session`.
fn user_of(headers: &HeaderMap) -> Option<String> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let cookies = headers.get_all(COOKIE).iter();
    let mut cookies = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "));
    let token = bearer.or_else(|| cookies.find_map(|pair| pair.strip_prefix("session=")))?;
    let digits = token.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8(bytes?)
        .ok()
        .filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn asked(
        path: &str,
        method: &Method,
        fields: &[(hyper::header::HeaderName, &str)],
        body: &str,
    ) -> Reply {
        let resource = Resource::find(path).expect(path);
        assert!(resource.methods().contains(method.as_str()), "{path}");
        let headers = fields
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        reply(
            resource,
            method,
            &headers,
            body.as_bytes(),
            &AtomicU64::new(4),
        )
    }

    #[test]
    fn a_token_in_a_header_or_cookie_identifies_its_user() {
        let login = asked(
            "/api/login",
            &Method::POST,
            &[],
            r#"{"email":"ä@x","password":""}"#,
        );
        let token = login.json.unwrap()["token"].as_str().unwrap().to_owned();
        assert_eq!(
            login.cookie,
            Some(format!("session={token}; Path=/api; HttpOnly"))
        );
        for (name, value) in [
            (AUTHORIZATION, format!("Bearer {token}")),
            (COOKIE, format!("a=b; session={token}")),
        ] {
            let cart = asked("/api/cart", &Method::GET, &[(name.clone(), &value)], "");
            assert_eq!(cart.json.unwrap()["user"], "ä@x");
            let order = asked("/api/orders", &Method::POST, &[(name, &value)], "{}");
            assert_eq!(
                (order.status.as_u16(), order.location.as_deref()),
                (201, Some("/api/orders/5"))
            );
        }
    }

    #[test]
    fn a_request_without_a_token_or_with_a_broken_body_is_refused() {
        for token in ["", "x", "6", "ff", "Bearer zz"] {
            let cart = asked("/api/cart", &Method::GET, &[(AUTHORIZATION, token)], "");
            assert_eq!(cart.status, 401, "{token}");
        }
        let bearer = [(AUTHORIZATION, "Bearer 61")];
        assert_eq!(asked("/api/orders", &Method::POST, &bearer, "").status, 400);
        assert_eq!(
            asked("/api/login", &Method::POST, &[], r#"{"email":"a"}"#).status,
            400
        );
        assert_eq!(asked("/items/7", &Method::PUT, &[], "{").status, 400);
        assert_eq!(asked("/items/7", &Method::PUT, &[], "{}").status, 204);
        assert_eq!(
            asked("/items/7", &Method::GET, &[], "").json.unwrap()["id"],
            7
        );
        assert_eq!(Resource::find("/items/x"), None);
    }
}
