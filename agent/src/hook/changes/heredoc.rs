//! A patch that is handed to `apply_patch` by a shell, when that is all the shell does.
//!
//! Two whole texts are recognised and no others:
//!
//! ```text
//! apply_patch <<'EOF'            cd DIRECTORY && apply_patch <<'EOF'
//! …                              …
//! EOF                            EOF
//! ```
//!
//! Whatever else a text does stays a command that is shown as it is: this only adds what changes in
//! files, and takes nothing away from what a reviewer reads.

/// A patch found in a shell's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it is applied, when not where the shell starts.
    pub(super) directory: Option<String>,
    /// The patch.
    pub(super) body: String,
}

/// Finds the patch, when the shell does nothing else.
pub(super) fn find(command: &str) -> Option<Found> {
    let (first, rest) = command.trim().split_once('\n')?;
    let (directory, call) = match first.trim().strip_prefix("cd ") {
        Some(rest) => {
            let (directory, call) = rest.split_once("&&")?;
            (Some(word(directory.trim())?), call.trim())
        }
        None => (None, first.trim()),
    };
    let start = call
        .strip_prefix("apply_patch")
        .or_else(|| call.strip_prefix("applypatch"))?
        .trim_start()
        .strip_prefix("<<")?;
    let (end, is_quoted) = end_of(start.trim())?;
    let (body, last) = rest.rsplit_once('\n')?;
    if last != end || body.lines().any(|line| line == end) {
        return None;
    }
    // Without quotes the shell reads these in the text before anybody else does.
    if !is_quoted && body.contains(['$', '`', '\\']) {
        return None;
    }
    Some(Found {
        directory,
        body: body.to_owned(),
    })
}

/// Takes the word that ends the text, and tells whether it stands in quotes.
fn end_of(text: &str) -> Option<(&str, bool)> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner
                .strip_suffix(quote)
                .filter(|end| is_name(end))
                .map(|end| (end, true));
        }
    }
    is_name(text).then_some((text, false))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Takes a directory that a shell reads as it stands, quotes aside.
fn word(text: &str) -> Option<String> {
    let inner = ['\'', '"']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let may_have_blanks = inner.is_some();
    let text = inner.unwrap_or(text);
    let is_plain =
        |c: char| c.is_alphanumeric() || "/._-+@:,".contains(c) || (may_have_blanks && c == ' ');
    let is_word = !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain);
    is_word.then(|| text.to_owned())
}
