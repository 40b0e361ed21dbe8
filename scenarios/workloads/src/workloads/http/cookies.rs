//! The cookies of one session, for one server, as specified by RFC 6265.
//!
//! A jar is never shared between sessions. The workload talks to one server, so a cookie for another domain is dropped,
//! as a browser would drop it. Within a run nothing expires: Max-Age and Expires only delete. `Secure` is ignored, since a
//! plain target usually has its TLS ended in front of it. A cleared jar keeps its memory.

/// The cookies of one session.
#[derive(Debug, Default)]
pub(super) struct Jar {
    /// Those from `live` on are spare.
    cookies: Vec<Cookie>,
    live: usize,
}

#[derive(Debug, Default)]
struct Cookie {
    name: Vec<u8>,
    value: Vec<u8>,
    path: Vec<u8>,
}

/// Maximum number of cookies in a jar, as in common browsers; further ones are dropped.
const MOST_COOKIES: usize = 180;

impl Jar {
    pub(super) fn clear(&mut self) {
        self.live = 0;
    }

    /// Stores or deletes a cookie as a Set-Cookie field says, in the response to a request of `path` at `host`.
    pub(super) fn note(&mut self, field: &[u8], host: &str, path: &[u8]) {
        let mut parts = field.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let Some((name, value)) = parts.next().and_then(|pair| split(pair, b'=')) else {
            return;
        };
        let attributes = Attributes::read(parts);
        let foreign = attributes
            .domain
            .is_some_and(|domain| !matches(host, domain));
        if name.is_empty() || foreign {
            return;
        }
        let path = attributes.path.unwrap_or_else(|| directory(path));
        let known = self.cookies[..self.live]
            .iter()
            .position(|cookie| cookie.name == name && cookie.path == path);
        match (known, attributes.deletes) {
            (Some(place), true) => {
                self.live -= 1;
                self.cookies[place..=self.live].rotate_left(1);
            }
            (None, true) => {}
            (Some(place), false) => overwrite(&mut self.cookies[place].value, value),
            (None, false) => self.add(name, value, path),
        }
    }

    fn add(&mut self, name: &[u8], value: &[u8], path: &[u8]) {
        if self.live == MOST_COOKIES {
            return;
        }
        if self.live == self.cookies.len() {
            self.cookies.push(Cookie::default());
        }
        let cookie = &mut self.cookies[self.live];
        self.live += 1;
        overwrite(&mut cookie.name, name);
        overwrite(&mut cookie.value, value);
        overwrite(&mut cookie.path, path);
    }

    /// Appends the field Cookie of a request of `path`, if there are any for it.
    pub(super) fn write(&self, path: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"cookie: ");
        let empty = out.len();
        self.write_value(path, out);
        if out.len() == empty {
            out.truncate(start);
        } else {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Appends the value of the header Cookie; nothing if no cookie applies to `path`.
    pub(super) fn write_value(&self, path: &[u8], out: &mut Vec<u8>) {
        let mut separator: &[u8] = b"";
        for cookie in self.cookies[..self.live].iter().filter(|it| it.suits(path)) {
            out.extend_from_slice(separator);
            out.extend_from_slice(&cookie.name);
            out.push(b'=');
            out.extend_from_slice(&cookie.value);
            separator = b"; ";
        }
    }
}

/// The value in a Set-Cookie field, if it is for this name.
pub(super) fn value_of<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (this, value) = split(before(field, b';'), b'=')?;
    (this == name).then_some(value)
}

impl Cookie {
    /// True if the cookie is sent with a request of `path` (RFC 6265, section 5.1.4).
    fn suits(&self, path: &[u8]) -> bool {
        let rest = before(path, b'?').strip_prefix(self.path.as_slice());
        rest.is_some_and(|rest| {
            rest.is_empty() || self.path.ends_with(b"/") || rest.starts_with(b"/")
        })
    }
}

/// The attributes of a cookie that matter within a run.
#[derive(Default)]
struct Attributes<'a> {
    domain: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    deletes: bool,
}

impl<'a> Attributes<'a> {
    fn read(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut read = Self::default();
        let mut deleted_by_age = None;
        for part in parts {
            let (name, value) = split(part, b'=').unwrap_or((part, b""));
            if name.eq_ignore_ascii_case(b"domain") {
                let bare = value.strip_prefix(b".").unwrap_or(value);
                read.domain = Some(bare).filter(|domain| !domain.is_empty());
            } else if name.eq_ignore_ascii_case(b"path") {
                read.path = Some(value).filter(|path| path.starts_with(b"/"));
            } else if name.eq_ignore_ascii_case(b"max-age") {
                deleted_by_age = Some(value == b"0" || value.starts_with(b"-"));
            } else if name.eq_ignore_ascii_case(b"expires") {
                read.deletes = is_long_past(value);
            }
        }
        // Max-Age takes precedence over Expires.
        read.deletes = deleted_by_age.unwrap_or(read.deletes);
        read
    }
}

/// True for a date before 2000, which is how servers without Max-Age delete: `Thu, 01 Jan 1970 00:00:00 GMT`.
fn is_long_past(date: &[u8]) -> bool {
    let mut words = date.split(|byte| !byte.is_ascii_digit());
    words.any(|word| word.len() == 4 && word.starts_with(b"19"))
}

/// True if `host` is `domain` or a host in it; an address matches only itself.
fn matches(host: &str, domain: &[u8]) -> bool {
    let host = host.as_bytes();
    if host.eq_ignore_ascii_case(domain) {
        return true;
    }
    let is_address = host
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let Some(start) = host.len().checked_sub(domain.len()) else {
        return false;
    };
    !is_address && host[start..].eq_ignore_ascii_case(domain) && host[..start].ends_with(b".")
}

/// The default path of a cookie: the request's path up to its last slash (RFC 6265, section 5.1.4).
fn directory(path: &[u8]) -> &[u8] {
    let path = before(path, b'?');
    match path.iter().rposition(|&byte| byte == b'/') {
        None | Some(0) => b"/",
        Some(end) => &path[..end],
    }
}

fn before(text: &[u8], byte: u8) -> &[u8] {
    text.split(|&other| other == byte).next().unwrap_or(text)
}

fn split(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&other| other == byte)?;
    Some((text[..at].trim_ascii(), text[at + 1..].trim_ascii()))
}

fn overwrite(text: &mut Vec<u8>, with: &[u8]) {
    text.clear();
    text.extend_from_slice(with);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(fields: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for field in fields {
            jar.note(field.as_bytes(), "shop.test", b"/api/login?next=/a/b/c");
        }
        jar
    }

    fn sent(jar: &Jar, path: &str) -> String {
        let mut out = Vec::new();
        jar.write(path.as_bytes(), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_cookie_is_sent_only_below_its_path() {
        let jar = jar(&[
            "a=1",
            "b=2; Path=/",
            "c=3; path=/api/orders/",
            "d = 4 ; HttpOnly; Secure; Path=/api",
        ]);
        assert_eq!(sent(&jar, "/api"), "cookie: a=1; b=2; d=4\r\n");
        assert_eq!(sent(&jar, "/api/cart?x=/y"), "cookie: a=1; b=2; d=4\r\n");
        assert_eq!(
            sent(&jar, "/api/orders/1"),
            "cookie: a=1; b=2; c=3; d=4\r\n"
        );
        assert_eq!(sent(&jar, "/apis"), "cookie: b=2\r\n");
        assert_eq!(sent(&Jar::default(), "/"), "");
    }

    #[test]
    fn cookies_are_replaced_by_name_and_path_and_deleted_by_max_age() {
        let jar = jar(&["a=1", "b=2", "a=3", "a=4; Path=/"]);
        assert_eq!(sent(&jar, "/api/x"), "cookie: a=3; b=2; a=4\r\n");
        for deletion in [
            "a=; Max-Age=0",
            "a=x; max-age=-1; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
            "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=; expires=Thu, 01-Jan-1970 00:00:01 GMT",
        ] {
            let jar = self::jar(&["a=1", "b=2", deletion, "c=3"]);
            assert_eq!(sent(&jar, "/api/x"), "cookie: b=2; c=3\r\n", "{deletion}");
        }
        let kept = self::jar(&["a=1; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
        assert_eq!(sent(&kept, "/api/x"), "cookie: a=1\r\n");
    }

    #[test]
    fn a_cookie_for_another_domain_is_dropped() {
        let jar = jar(&[
            "a=1; Domain=test",
            "b=2; Domain=.Shop.Test",
            "c=3; Domain=hop.test",
            "d=4; domain=other.test",
        ]);
        assert_eq!(sent(&jar, "/api/x"), "cookie: a=1; b=2\r\n");
        let mut jar = Jar::default();
        jar.note(b"a=1; Domain=0.0.1", "127.0.0.1", b"/");
        jar.note(b"b=2; Domain=127.0.0.1", "127.0.0.1", b"/");
        assert_eq!(sent(&jar, "/"), "cookie: b=2\r\n");
    }

    #[test]
    fn the_value_of_a_cookie_ends_before_its_attributes() {
        assert_eq!(value_of(b" a = 1=2 ; Path=/", b"a"), Some(&b"1=2"[..]));
        assert_eq!(value_of(b"a; Path=/", b"a"), None);
        assert_eq!(value_of(b"b=1", b"a"), None);
    }

    #[test]
    fn a_cleared_jar_is_empty_and_malformed_cookies_are_ignored() {
        let mut jar = jar(&["a=1", "nothing", "=2", ""]);
        assert_eq!(sent(&jar, "/api"), "cookie: a=1\r\n");
        jar.clear();
        assert_eq!(sent(&jar, "/api"), "");
        jar.note(b"b=2", "shop.test", b"/");
        assert_eq!(sent(&jar, "/api"), "cookie: b=2\r\n");
        for number in 0..2 * MOST_COOKIES {
            jar.note(format!("n{number}=1").as_bytes(), "shop.test", b"/");
        }
        assert_eq!(jar.live, MOST_COOKIES);
    }
}
