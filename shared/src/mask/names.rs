//! What a name says about its value: that it is a secret, or that it must be readable.

/// Words at the end of a name whose value is an instruction, a place or a choice.
const READABLE: &[&str] = &[
    "action",
    "addr",
    "address",
    "arg",
    "args",
    "argument",
    "arguments",
    "argv",
    "body",
    "branch",
    "bucket",
    "cmd",
    "code",
    "command",
    "commands",
    "cwd",
    "database",
    "db",
    "dir",
    "directory",
    "domain",
    "editor",
    "endpoint",
    "env",
    "environment",
    "eval",
    "exec",
    "execute",
    "expression",
    "file",
    "filename",
    "files",
    "flags",
    "home",
    "host",
    "hostname",
    "hosts",
    "id",
    "image",
    "interpreter",
    "kind",
    "lang",
    "logname",
    "method",
    "mode",
    "name",
    "namespace",
    "operation",
    "options",
    "opts",
    "output",
    "pager",
    "path",
    "paths",
    "port",
    "preload",
    "program",
    "prompt",
    "proxy",
    "query",
    "ref",
    "region",
    "repository",
    "resource",
    "role",
    "run",
    "script",
    "server",
    "shell",
    "source",
    "sql",
    "statement",
    "statements",
    "table",
    "target",
    "term",
    "type",
    "uri",
    "url",
    "user",
    "username",
    "verb",
];

/// Words of [`READABLE`] whose value is an SQL statement.
const SQL: &[&str] = &["query", "sql", "statement", "statements"];

/// Words of [`READABLE`] whose value may be a URL with a secret in it.
const URL: &[&str] = &["endpoint", "proxy", "server", "source", "uri", "url"];

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

/// Tells whether the value of a name must be readable.
pub(super) fn is_readable(name: &str) -> bool {
    // The dynamic linker and the shells take whole programs from their variables.
    name.starts_with("LD_")
        || name.starts_with("DYLD_")
        || name.starts_with("BASH_")
        || ends_in(name, READABLE)
        // `PGHOST`, `PYTHONPATH`
        || words(name).last().is_some_and(|word| {
            ["database", "host", "path", "url"].iter().any(|end| word.ends_with(end))
        })
}

/// Tells whether the value of a name is an SQL statement.
pub(super) fn is_sql(name: &str) -> bool {
    ends_in(name, SQL)
}

/// Tells whether the value of a name is likely to be a URL.
pub(super) fn is_url(name: &str) -> bool {
    words(name)
        .last()
        .is_some_and(|word| URL.contains(&word.as_str()) || word.ends_with("url"))
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
