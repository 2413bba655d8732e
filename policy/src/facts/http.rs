//! The facts of `http.request`: method, and where it goes. No name is resolved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::{Draft, Reversibility, UNKNOWN, seen, text};

/// The kind of address a name that is no address has.
const NAME: &str = "name";

pub(super) fn look(action: &Value, draft: &mut Draft) -> Option<Reversibility> {
    let method = text(action, "/arguments/method").to_ascii_uppercase();
    if method.is_empty() {
        draft.unknown("method", "the arguments have no text `method`");
    }
    let written = action.pointer("/arguments/url").and_then(seen);
    let url = written.as_deref().and_then(Url::read);
    if url.is_none() {
        let why = "`url` of the arguments is no absolute http or https address";
        for name in ["host", "scheme", "port", "path", "address"] {
            draft.unknown(name, why);
        }
    }
    let url = url.unwrap_or_default();
    if url.address == UNKNOWN && !draft.unknown.contains_key("context.address") {
        draft.unknown(
            "address",
            "the host is a number in a form that programs read differently",
        );
    }
    draft.set("scheme", url.scheme);
    draft.set("host", url.host);
    draft.set("port", url.port);
    draft.set("path", url.path);
    draft.set("address", url.address);
    // RFC 9110, section 9.2.1, calls these safe; what a server does with others, nobody can tell.
    let class = match method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => Some(Reversibility::ReadOnly),
        "DELETE" => Some(Reversibility::Irreversible),
        _ => None,
    };
    draft.set(
        "method",
        if method.is_empty() {
            UNKNOWN.to_owned()
        } else {
            method
        },
    );
    class
}

struct Url {
    scheme: String,
    host: String,
    port: i64,
    path: String,
    address: &'static str,
}

impl Default for Url {
    fn default() -> Self {
        Self {
            scheme: UNKNOWN.to_owned(),
            host: UNKNOWN.to_owned(),
            port: 0,
            path: UNKNOWN.to_owned(),
            address: UNKNOWN,
        }
    }
}

impl Url {
    /// Reads an absolute address (RFC 3986). A masked part may stand in the user's part and in
    /// the query; `<` is no character of a host.
    fn read(text: &str) -> Option<Self> {
        // What programs read as `/`, or drop, this parser must not read otherwise.
        if text.contains(['\\', '\t', '\n', '\r', ' ']) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let default = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let authority = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains('@') => return None,
            Some((_, host)) => host,
            None => authority,
        };
        let authority: ::http::uri::Authority = authority.parse().ok()?;
        let host = authority.host().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
        if host.is_empty() || host.contains('%') {
            return None;
        }
        let port = match authority.as_str().strip_prefix(authority.host())? {
            "" => default,
            _ => i64::from(authority.port_u16()?),
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            address: address(&host),
            host,
            port,
            path: if path.is_empty() { "/" } else { path }.to_owned(),
        })
    }
}

/// Tells what kind of address a host is.
fn address(host: &str) -> &'static str {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match bare.unwrap_or(host).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => of_v4(address),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => of_v4(address),
            None => of_v6(address),
        },
        Err(_) if host == "localhost" || host.ends_with(".localhost") => "loopback",
        // `127.1`, `0x7f000001` and `2130706433` are addresses to some programs.
        Err(_) if is_like_a_number(host) => UNKNOWN,
        Err(_) => NAME,
    }
}

fn is_like_a_number(host: &str) -> bool {
    host.rsplit('.').next().is_some_and(|last| {
        let hex = last.strip_prefix("0x");
        let digits = hex.unwrap_or(last);
        digits.bytes().all(|b| match hex {
            Some(_) => b.is_ascii_hexdigit(),
            None => b.is_ascii_digit(),
        })
    })
}

fn of_v4(address: Ipv4Addr) -> &'static str {
    if address.is_loopback() || address.is_unspecified() {
        "loopback"
    } else if address.is_link_local() {
        "link-local"
    } else if address.is_private() {
        "private"
    } else {
        "public"
    }
}

fn of_v6(address: Ipv6Addr) -> &'static str {
    if address.is_loopback() || address.is_unspecified() {
        "loopback"
    } else if address.is_unicast_link_local() {
        "link-local"
    } else if address.is_unique_local() {
        "private"
    } else {
        "public"
    }
}
