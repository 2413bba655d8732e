//! What a name says about its value: that it is a secret, or an SQL statement.

use super::Class;

/// Words at the end of a name whose value is one secret and nothing else, beside those that
/// [`is_secret`] knows.
const HIDDEN: &[&str] = &[
    "bearer",
    "cookie",
    "jwt",
    "otp",
    "pat",
    "pin",
    "passcode",
    "psk",
    "sas",
    "sig",
    "signature",
    "totp",
];

/// Words at the end of a name that may hold a JWT or a PEM block: these instruct nobody.
const KEYS: &[&str] = &[
    "assertion",
    "auth",
    "cert",
    "certificate",
    "chain",
    "key",
    "pem",
];

/// Words at the end of a name whose value is an SQL statement.
const SQL: &[&str] = &["query", "sql", "statement", "statements"];

/// Splits a name into lower-case words: `apiKey`, `api-key` and `API_KEY` are the same two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (after_lower && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(c.to_ascii_lowercase());
        }
        after_lower = c.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Tells whether the last word of a name is one of a list.
fn ends_in(name: &str, list: &[&str]) -> bool {
    words(name)
        .last()
        .is_some_and(|word| list.contains(&word.as_str()))
}

/// Tells whether a value of that class may be hidden under a name: only where the name says that it is a
/// secret. Under any other one it may tell what is done, to what, or where.
pub(super) fn may_hide(name: &str, class: Class) -> bool {
    let is_key = matches!(class, Class::Jwt | Class::Pem) && ends_in(name, KEYS);
    is_key || is_secret(name) || is_authorization(name) || ends_in(name, HIDDEN)
}

/// Tells whether the value of a name is an SQL statement.
pub(super) fn is_sql(name: &str) -> bool {
    ends_in(name, SQL)
}

/// Tells whether a name says that its value is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let words = words(name);
    let Some((last, before)) = words.split_last() else {
        return false;
    };
    if is_password(name) {
        return true;
    }
    match last.as_str() {
        "credential" | "credentials" => true,
        "key" => before.last().is_some_and(|word| {
            [
                "access",
                "api",
                "auth",
                "encryption",
                "private",
                "secret",
                "signing",
            ]
            .contains(&word.as_str())
        }),
        word => ["secret", "token", "apikey"]
            .iter()
            .any(|end| word.ends_with(end)),
    }
}

/// Tells whether a name says that its value is a password.
pub(super) fn is_password(name: &str) -> bool {
    let words = words(name);
    let Some((last, before)) = words.split_last() else {
        return false;
    };
    // `PWD` alone is the working directory.
    (last == "pwd" && !before.is_empty() && before != ["old"])
        || ["password", "passwd", "passphrase"]
            .iter()
            .any(|end| last.ends_with(end))
}

/// Tells whether a name is that of a header whose value is a scheme and a secret.
pub(super) fn is_authorization(name: &str) -> bool {
    matches!(
        name.to_ascii_lowercase().as_str(),
        "authorization" | "proxy-authorization"
    )
}
