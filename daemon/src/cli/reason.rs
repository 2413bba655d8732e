//! Why somebody does what the log will tell of.

/// The longest reason, in bytes: it stands in an entry, in some of them together with all people and keys.
const LONGEST: usize = 500;

/// Reads a reason: one line that says something.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let found = text.len();
    if text.is_empty() || found > LONGEST || text.chars().any(char::is_control) {
        return Err(format!(
            "a reason is one line of 1 to {LONGEST} bytes, this one has {found}"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_an_entry_holds() {
        assert_eq!(reason(" the disk died ").as_deref(), Ok("the disk died"));
        for bad in ["", "  ", "two\nlines", "\u{1b}[2J", &"x".repeat(501)] {
            assert!(reason(bad).is_err(), "{bad:?}");
        }
    }
}
