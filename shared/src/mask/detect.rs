//! Finding secrets that nobody marked: by their names and by the structure around them.
//!
//! Conservative: what is found goes through the same rules as a marked secret, and is shown in
//! clear when one of them stands against it.

use super::pieces::Piece;
use super::place::Role;
use super::{Class, form, names};

/// Returns a string in pieces when it holds a secret.
pub(super) fn detect(text: &str, role: Role<'_>) -> Option<Vec<Piece>> {
    match role {
        Role::Named(name) => by_name(name, text, "").or_else(|| in_url(text)),
        Role::Argument { before, .. } => in_argument(before, text).or_else(|| in_url(text)),
    }
}

/// Takes the whole of a value under a name that says so, after what stands before it.
fn by_name(name: &str, value: &str, before: &str) -> Option<Vec<Piece>> {
    if names::is_authorization(name) {
        // Some services take the token without a scheme.
        let (scheme, value) = match value.split_once(' ') {
            Some((scheme, value)) => (format!("{scheme} "), value),
            None => (String::new(), value),
        };
        return secret(&format!("{before}{scheme}"), value, Class::Token, "");
    }
    if !names::is_secret(name) {
        return None;
    }
    let class = if names::is_password(name) {
        Class::Password
    } else {
        Class::Token
    };
    secret(before, value, class, "")
}

fn in_argument(option: Option<&str>, text: &str) -> Option<Vec<Piece>> {
    if let Some(name) = option.and_then(|option| option.strip_prefix("--"))
        && let Some(pieces) = by_name(name, text, "")
    {
        return Some(pieces);
    }
    if let Some((name, value)) = text.split_once('=') {
        let word = name.strip_prefix("--").unwrap_or(name);
        return by_name(word, value, &format!("{name}="));
    }
    let (name, value) = text.split_once(": ")?;
    by_name(name, value, &format!("{name}: "))
}

/// Takes the password of `scheme://user:password@host`.
fn in_url(text: &str) -> Option<Vec<Piece>> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (userinfo, _) = authority.rsplit_once('@')?;
    let (user, password) = userinfo.split_once(':')?;
    let before = format!("{scheme}://{user}:");
    let after = text.strip_prefix(&before)?.strip_prefix(password)?;
    secret(&before, password, Class::Password, after)
}

/// Builds the pieces around one value, if it has the form of a secret.
fn secret(before: &str, value: &str, class: Class, after: &str) -> Option<Vec<Piece>> {
    let class = match form::class_of(value)? {
        Class::Token | Class::Password => class,
        known @ (Class::Jwt | Class::Pem) => known,
    };
    let mut pieces = Vec::new();
    if !before.is_empty() {
        pieces.push(Piece::Clear(before.to_owned()));
    }
    pieces.push(Piece::Secret {
        value: value.to_owned(),
        class,
        marked: false,
    });
    if !after.is_empty() {
        pieces.push(Piece::Clear(after.to_owned()));
    }
    Some(pieces)
}
