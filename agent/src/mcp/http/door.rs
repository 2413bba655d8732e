//! Who may talk to the proxy over HTTP: whoever knows the token, and no page of a browser.
//!
//! A web page can reach a listener on this machine by a name that its owner points here (DNS
//! rebinding). It cannot choose `Host` and `Origin`, so both have to name the address that is listened
//! on. The token keeps out the other users of the machine.

use std::net::SocketAddr;

use countersign_shared::digest::Digest;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, StatusCode};

use super::exchange::headers::only;

/// The way in.
#[derive(Debug)]
pub(super) struct Door {
    token: Digest,
    hosts: Vec<String>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The request is for another host, or from another's page.
    Foreign,
    /// The token is missing, or another one.
    Unknown,
}

impl Closed {
    /// Returns the status to answer with.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::Unknown => StatusCode::UNAUTHORIZED,
        }
    }
}

impl Door {
    /// Makes the way in for who knows `token`, at an address that is listened on.
    pub(super) fn new(token: &str, at: SocketAddr) -> Self {
        let mut hosts = vec![at.to_string()];
        if at.ip().is_loopback() {
            for name in ["localhost", "127.0.0.1", "[::1]"] {
                hosts.push(format!("{name}:{}", at.port()));
            }
        }
        Self {
            token: Digest::of(token.as_bytes()),
            hosts,
        }
    }

    /// Looks at a request's headers.
    ///
    /// # Errors
    /// When it is not let in.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Closed> {
        let host = only(headers, HOST.as_str()).ok_or(Closed::Foreign)?;
        if !self.is_own(host) {
            return Err(Closed::Foreign);
        }
        if headers.contains_key(ORIGIN) {
            let origin = only(headers, ORIGIN.as_str()).ok_or(Closed::Foreign)?;
            let host = origin.strip_prefix("http://").ok_or(Closed::Foreign)?;
            if !self.is_own(host) {
                return Err(Closed::Foreign);
            }
        }
        let said = only(headers, AUTHORIZATION.as_str()).ok_or(Closed::Unknown)?;
        let (scheme, token) = said.split_once(' ').ok_or(Closed::Unknown)?;
        // Digests are compared, so that the time it takes says nothing about the token.
        if scheme.eq_ignore_ascii_case("bearer") && Digest::of(token.as_bytes()) == self.token {
            Ok(())
        } else {
            Err(Closed::Unknown)
        }
    }

    fn is_own(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_who_knows_the_token_and_names_this_address_is_let_in() {
        let door = Door::new(TOKEN, "127.0.0.1:8080".parse().unwrap());
        let bearer = format!("Bearer {TOKEN}");
        let host = ("host", "127.0.0.1:8080");
        let token = ("authorization", bearer.as_str());
        let check = |all: &[(&'static str, &str)]| door.check(&headers(all));
        assert_eq!(check(&[host, token]), Ok(()));
        assert_eq!(check(&[("host", "LocalHost:8080"), token]), Ok(()));
        assert_eq!(
            check(&[host, token, ("origin", "http://localhost:8080")]),
            Ok(())
        );
        for foreign in [
            &[token][..],
            &[("host", "evil.example:8080"), token],
            &[("host", "127.0.0.1"), token],
            &[("host", "127.0.0.1:81"), token],
            &[host, host, token],
            &[host, token, ("origin", "http://evil.example")],
            &[host, token, ("origin", "https://localhost:8080")],
            &[host, token, ("origin", "null")],
        ] {
            assert_eq!(check(foreign), Err(Closed::Foreign), "{foreign:?}");
        }
        for unknown in [
            &[host][..],
            &[host, ("authorization", TOKEN)],
            &[host, ("authorization", "Bearer x")],
            &[host, ("authorization", "Bearer ")],
            &[
                host,
                ("authorization", "Basic 0123456789abcdef0123456789abcdef"),
            ],
            &[host, token, token],
        ] {
            assert_eq!(check(unknown), Err(Closed::Unknown), "{unknown:?}");
        }
    }

    #[test]
    fn an_address_that_others_can_reach_has_no_other_names() {
        let door = Door::new(TOKEN, "192.0.2.7:80".parse().unwrap());
        let bearer = format!("Bearer {TOKEN}");
        for (host, is_own) in [("192.0.2.7:80", true), ("localhost:80", false)] {
            let headers = headers(&[("host", host), ("authorization", &bearer)]);
            assert_eq!(door.check(&headers).is_ok(), is_own);
        }
    }
}
