//! Which names people, accounts and groups may have.
//!
//! Names go into `allowed_signers`, where `*`, `?`, `!`, `,`, `"` and `#` have a meaning, and onto
//! screens, where letters of other scripts look like Latin ones. So the sets are small.

/// The longest name of a person, in characters.
pub(super) const MAX_NAME: usize = 128;
/// The longest name of a group, in characters.
pub(super) const MAX_GROUP: usize = 64;
/// The longest name of an OS account (Linux: `LOGIN_NAME_MAX`).
const MAX_USER: usize = 255;

pub(super) fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"@._+-".contains(&byte))
}

pub(super) fn is_user(user: &str) -> bool {
    user.len() <= MAX_USER
        && user.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && user
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"@._+-$\\".contains(&byte))
}

pub(super) fn is_group(group: &str) -> bool {
    !group.is_empty()
        && group.len() <= MAX_GROUP
        && group
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
