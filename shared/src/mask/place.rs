//! Where secrets stand in an action, and where none may.
//!
//! The schema has kept secrets out of everything but arguments and environment; here the rules
//! depend on the name or the option that a value belongs to.

use serde_json::Value;

use super::pieces::{Found, Piece};
use super::{Class, MaskError, detect, form, names};
use crate::action::{only_member, text_at};
use crate::json::Pointer;

/// Options that an interpreter takes code with.
const CODE_OPTIONS: &[&str] = &[
    "-E",
    "-c",
    "-e",
    "-r",
    "-x",
    "--code",
    "--command",
    "--eval",
    "--exec",
    "--execute",
    "--expression",
    "--run",
    "--script",
];

/// Options of one letter that commonly take a user's secret.
const SECRET_LETTERS: &[&str] = &["-a", "-k", "-p", "-u", "-w"];

/// What a string is to the rules.
#[derive(Clone, Copy)]
pub(super) enum Role<'a> {
    /// A value under a name: a member of the arguments, or a variable of the environment.
    Named(&'a str),
    /// An element of the argument vector, with the one before it.
    Argument {
        /// The element before, as far as it is a plain string.
        before: Option<&'a str>,
        /// One of the elements before is the name of an interpreter.
        interpreted: bool,
    },
}

/// Returns every string of an action that holds secrets.
pub(super) fn find(action: &Value) -> Result<Found, MaskError> {
    let mut found = Found::new();
    let root = Pointer::root();
    if let Some(arguments) = action.get("arguments") {
        let at = root.member("arguments");
        if text_at(action, "/kind") == "exec.run" {
            if let Some(argv) = arguments.get("argv").and_then(Value::as_array) {
                vector(&at.member("argv"), argv, &mut found)?;
            }
        } else {
            free(&at, arguments, "", &mut found)?;
        }
    }
    if let Some(environment) = action
        .pointer("/context/environment")
        .and_then(Value::as_object)
    {
        let at = root.member("context").member("environment");
        for (name, value) in environment {
            one(&at.member(name), value, Role::Named(name), &mut found)?;
        }
    }
    Ok(found)
}

fn free(at: &Pointer, value: &Value, name: &str, found: &mut Found) -> Result<(), MaskError> {
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                free(&at.element(index), element, name, found)?;
            }
            Ok(())
        }
        Value::Object(members) if !members.keys().any(|name| name.starts_with('$')) => {
            for (name, member) in members {
                free(&at.member(name), member, name, found)?;
            }
            Ok(())
        }
        Value::Object(_) | Value::String(_) => one(at, value, Role::Named(name), found),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn vector(at: &Pointer, argv: &[Value], found: &mut Found) -> Result<(), MaskError> {
    let mut before = None;
    let mut interpreted = false;
    for (index, element) in argv.iter().enumerate() {
        if index > 0 {
            let role = Role::Argument {
                before,
                interpreted,
            };
            one(&at.element(index), element, role, found)?;
        }
        before = element.as_str();
        interpreted = interpreted || before.is_some_and(is_interpreter);
    }
    Ok(())
}

/// Takes one string: marked secrets must be acceptable, others are looked for.
fn one(at: &Pointer, value: &Value, role: Role<'_>, found: &mut Found) -> Result<(), MaskError> {
    if let Some(text) = value.as_str() {
        if let Some(pieces) = detect::detect(text, role)
            && refusal(&pieces, role).is_none()
        {
            found.insert(at.clone(), pieces);
        }
        return Ok(());
    }
    let Some((name, value)) = value.as_object().and_then(only_member) else {
        return Ok(());
    };
    let pieces = match (name, value) {
        ("$secret", Value::String(text)) => vec![marked(at, text)?],
        ("$parts", Value::Array(parts)) => parts
            .iter()
            .map(|part| match part.get("$secret").and_then(Value::as_str) {
                Some(secret) => marked(at, secret),
                None => Ok(Piece::Clear(part.as_str().unwrap_or_default().to_owned())),
            })
            .collect::<Result<_, _>>()?,
        _ => return Ok(()),
    };
    if let Some(reason) = refusal(&pieces, role) {
        return Err(MaskError::Place {
            at: at.clone(),
            reason,
        });
    }
    found.insert(at.clone(), pieces);
    Ok(())
}

fn marked(at: &Pointer, value: &str) -> Result<Piece, MaskError> {
    let class = form::class_of(value).ok_or_else(|| MaskError::Form {
        at: at.clone(),
        expected: form::EXPECTED,
    })?;
    Ok(Piece::Secret {
        value: value.to_owned(),
        class,
        marked: true,
    })
}

/// Returns why the secrets of a string may not stand there, `None` when they may.
fn refusal(pieces: &[Piece], role: Role<'_>) -> Option<&'static str> {
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Secret { value, class, .. } = piece else {
            continue;
        };
        let beside = |index: Option<usize>| match index.and_then(|index| pieces.get(index)) {
            Some(Piece::Clear(text)) => Ok(text.as_str()),
            Some(Piece::Secret { .. }) => Err(()),
            None => Ok(""),
        };
        let (Ok(before), Ok(after)) = (beside(index.checked_sub(1)), beside(index.checked_add(1)))
        else {
            return Some("two secrets without readable text between them could be anything");
        };
        let whole = before.is_empty() && after.is_empty();
        let reason = match role {
            Role::Named(name) => named(name, value, whole, before, after, index <= 1),
            Role::Argument {
                before: option,
                interpreted,
            } => {
                let single = pieces.len() <= 3 && index <= 1;
                argument(option, interpreted, value, *class, before, after, single)
            }
        };
        if reason.is_some() {
            return reason;
        }
    }
    None
}

fn named(
    name: &str,
    value: &str,
    whole: bool,
    before: &str,
    after: &str,
    first: bool,
) -> Option<&'static str> {
    if names::is_sql(name) {
        let literal = first && is_sql_literal(before, after);
        return (!literal).then_some("in SQL only the whole of a literal may be hidden");
    }
    if before.contains("://") {
        let part = first && is_url_secret(before, value, after);
        return (!part).then_some("in a URL only a password or a query value may be hidden");
    }
    if names::is_readable(name) {
        return Some(if whole && names::is_url(name) {
            "a URL must be readable but for its password"
        } else {
            "a value of that name tells what is done, or where"
        });
    }
    None
}

fn argument(
    option: Option<&str>,
    interpreted: bool,
    value: &str,
    class: Class,
    before: &str,
    after: &str,
    single: bool,
) -> Option<&'static str> {
    const FOLLOW: &str = "in argv a secret follows an option or `name=` that takes one";
    if option.is_some_and(|option| takes_code(option, interpreted)) {
        return Some("code must be readable");
    }
    if !single {
        return Some(FOLLOW);
    }
    if before.contains("://") {
        let readable = !has_space(before) && !has_space(after);
        let part = readable && is_url_secret(before, value, after);
        return (!part).then_some("in a URL only a password or a query value may be hidden");
    }
    if class != Class::Pem && value.starts_with(['/', '~', '.', '-']) {
        return Some("a path or an option must be readable");
    }
    if !after.is_empty() {
        return Some(FOLLOW);
    }
    let good = if before.is_empty() {
        option.is_some_and(|option| {
            SECRET_LETTERS.contains(&option) || option.strip_prefix("--").is_some_and(takes_value)
        })
    } else if let Some(name) = before.strip_suffix('=') {
        takes_value(name.strip_prefix("--").unwrap_or(name)) && !CODE_OPTIONS.contains(&name)
    } else if let Some((name, rest)) = before.split_once(':') {
        // A header, `Name: ` or `Name: Scheme `; or `user:` before a password.
        let scheme = rest.trim();
        takes_value(name)
            && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
            && (rest.is_empty() || rest.starts_with(' '))
            && (scheme.is_empty() || rest.ends_with(' '))
    } else {
        SECRET_LETTERS.contains(&before)
    };
    (!good).then_some(FOLLOW)
}

/// Tells whether a name is one word that does not have to be readable.
fn takes_value(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && !names::is_readable(name)
}

/// Tells whether the element after an option is code.
fn takes_code(option: &str, interpreted: bool) -> bool {
    if CODE_OPTIONS.contains(&option) {
        return true;
    }
    // `bash -lc`, `perl -ne`
    let letters = option.strip_prefix('-').unwrap_or_default();
    interpreted
        && (2..=4).contains(&letters.len())
        && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
        && letters.ends_with(['c', 'e', 'E', 'r'])
}

/// Tells whether the last name of a path is that of an interpreter.
fn is_interpreter(element: &str) -> bool {
    let name = element.rsplit('/').next().unwrap_or(element);
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    matches!(
        name,
        "sh" | "bash"
            | "dash"
            | "zsh"
            | "ksh"
            | "fish"
            | "busybox"
            | "python"
            | "perl"
            | "ruby"
            | "node"
            | "nodejs"
            | "deno"
            | "bun"
            | "php"
            | "lua"
            | "awk"
            | "gawk"
            | "mawk"
            | "sed"
            | "tclsh"
            | "Rscript"
            | "julia"
            | "pwsh"
            | "ssh"
            | "psql"
            | "mysql"
            | "sqlite"
    )
}

fn has_space(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Tells whether what stands between two texts is the password, or a query value, of a URL.
fn is_url_secret(before: &str, value: &str, after: &str) -> bool {
    // A second `@` would move the host, a `/` would end it early.
    let Some((_, tail)) = before.rsplit_once("://") else {
        return false;
    };
    if tail.contains(['?', '#']) {
        return tail.ends_with('=');
    }
    !value.contains(['@', '/', ':', '?'])
        && !tail.contains(['/', '@'])
        && (tail.is_empty() || tail.ends_with(':'))
        && after.starts_with('@')
}

/// Tells whether what stands between two texts is all of a literal in single quotes.
fn is_sql_literal(before: &str, after: &str) -> bool {
    // Comments, other quotes and escapes would need an SQL parser of each dialect to follow.
    let plain = !["--", "/*", "#", "\"", "`", "$", "\\", "["]
        .iter()
        .any(|sign| before.contains(sign));
    let open = before.matches('\'').count() % 2 == 1;
    plain && open && before.ends_with('\'') && after.starts_with('\'') && !after.starts_with("''")
}
