//! Where secrets stand in an action, and where none may.
//!
//! The schema has kept secrets out of everything but arguments and environment; here the rules
//! depend on the name or the option that a value belongs to: it has to say that the value is a secret.

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

/// Options of one letter that take a secret: of which program, and whether in the next element, behind the
/// letter, or behind a user's name and a colon. The same letters mean other things to other programs.
const LETTERS: &[(&str, &str, Takes)] = &[
    ("curl", "-u", Takes::AfterUser),
    ("curl", "--user", Takes::AfterUser),
    ("curl", "-U", Takes::AfterUser),
    ("curl", "--proxy-user", Takes::AfterUser),
    ("mariadb", "-p", Takes::Glued),
    ("mysql", "-p", Takes::Glued),
    ("mysqladmin", "-p", Takes::Glued),
    ("mysqldump", "-p", Takes::Glued),
    ("redis-cli", "-a", Takes::Next),
    ("sshpass", "-p", Takes::Glued),
    ("sshpass", "-p", Takes::Next),
];

/// Where the secret of an option stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Next,
    Glued,
    AfterUser,
}

/// What a string is to the rules.
#[derive(Clone, Copy)]
pub(super) enum Role<'a> {
    /// A value under a name: a member of the arguments, or a variable of the environment.
    Named(&'a str),
    /// An element of the argument vector, with the one before it.
    Argument {
        /// The element before, as far as it is a plain string.
        before: Option<&'a str>,
        /// The last name of the path of the program.
        program: &'a str,
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
                let program = text_at(arguments, "/program/path");
                let program = program.rsplit('/').next().unwrap_or(program);
                vector(&at.member("argv"), argv, program, &mut found)?;
            }
            if let Some(tool) = arguments.get("tool") {
                free(&at.member("tool"), tool, "", &mut found)?;
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

fn vector(at: &Pointer, argv: &[Value], program: &str, found: &mut Found) -> Result<(), MaskError> {
    let mut before = None;
    for (index, element) in argv.iter().enumerate() {
        if index > 0 {
            let role = Role::Argument { before, program };
            one(&at.element(index), element, role, found)?;
        }
        before = element.as_str();
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
        let around = Around {
            value,
            class: *class,
            before,
            after,
            is_first: index <= 1,
        };
        let reason = match role {
            Role::Named(name) => named(name, &around),
            Role::Argument {
                before: option,
                program,
            } => argument(option, program, &around, pieces.len() <= 3),
        };
        if reason.is_some() {
            return reason;
        }
    }
    None
}

/// A secret, and the readable text around it.
struct Around<'a> {
    value: &'a str,
    class: Class,
    before: &'a str,
    after: &'a str,
    /// No other secret of the same string stands before it.
    is_first: bool,
}

fn named(name: &str, secret: &Around<'_>) -> Option<&'static str> {
    if names::is_sql(name) {
        let literal = secret.is_first && is_sql_literal(secret.before, secret.after);
        return (!literal).then_some("in SQL only the whole of a literal may be hidden");
    }
    if secret.before.contains("://") {
        let part = secret.is_first && is_url_secret(secret);
        return (!part).then_some(URL);
    }
    let good = names::may_hide(name, secret.class);
    (!good).then_some(
        "its name must say that it is a secret (`…token`, `…password`, `…_key`): under any \
                       other it may tell what is done, or where",
    )
}

/// What may be hidden of a URL.
const URL: &str =
    "in a URL only a password, or a query value whose name says that it is a secret, may be hidden";

fn argument(
    option: Option<&str>,
    program: &str,
    secret: &Around<'_>,
    is_only: bool,
) -> Option<&'static str> {
    const FOLLOW: &str =
        "in argv a secret follows an option, `name=` or `Name: ` that says it is one";
    let Around {
        value,
        class,
        before,
        after,
        is_first,
    } = *secret;
    if option.is_some_and(takes_code) {
        return Some("code must be readable");
    }
    if !is_only || !is_first {
        return Some(FOLLOW);
    }
    if before.contains("://") {
        let part = !has_space(before) && !has_space(after) && is_url_secret(secret);
        return (!part).then_some(URL);
    }
    if class != Class::Pem && value.starts_with(['/', '~', '.', '-']) {
        return Some("a path or an option must be readable");
    }
    if !after.is_empty() {
        return Some(FOLLOW);
    }
    let takes = |letter: &str, how: Takes| LETTERS.contains(&(program, letter, how));
    let good = if before.is_empty() {
        option.is_some_and(|option| {
            takes(option, Takes::Next)
                || option
                    .strip_prefix("--")
                    .is_some_and(|name| says_so(name, class))
        })
    } else if let Some(name) = before.strip_suffix('=') {
        says_so(name.strip_prefix("--").unwrap_or(name), class)
    } else if let Some((name, rest)) = before.split_once(':') {
        // A header, `Name: ` or `Name: Scheme `; or `user:` before a password.
        let scheme = rest.trim();
        let is_header = says_so(name, class)
            && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
            && (rest.is_empty() || rest.starts_with(' '))
            && (scheme.is_empty() || rest.ends_with(' '));
        let is_user = rest.is_empty() && option.is_some_and(|it| takes(it, Takes::AfterUser));
        is_header || is_user
    } else {
        takes(before, Takes::Glued)
    };
    (!good).then_some(FOLLOW)
}

/// Tells whether a name is one word that says that its value is a secret.
fn says_so(name: &str, class: Class) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && names::may_hide(name, class)
}

/// Tells whether the element after an option is code.
fn takes_code(option: &str) -> bool {
    // `bash -lc`, `perl -ne`
    let letters = option.strip_prefix('-').unwrap_or_default();
    let is_several = (2..=4).contains(&letters.len())
        && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
        && letters.ends_with(['c', 'e', 'E', 'r']);
    is_several || CODE_OPTIONS.contains(&option)
}

fn has_space(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Tells whether a secret is the password, or a query value, of the URL around it.
fn is_url_secret(secret: &Around<'_>) -> bool {
    let Some((_, tail)) = secret.before.rsplit_once("://") else {
        return false;
    };
    if tail.contains(['?', '#']) {
        let name = tail.strip_suffix('=').unwrap_or_default();
        let name = name.rsplit(['?', '#', '&', ';']).next().unwrap_or_default();
        return says_so(name, secret.class);
    }
    // A second `@` would move the host, a `/` would end it early.
    !secret.value.contains(['@', '/', ':', '?'])
        && !tail.contains(['/', '@'])
        && (tail.is_empty() || tail.ends_with(':'))
        && secret.after.starts_with('@')
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
