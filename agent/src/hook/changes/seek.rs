//! Where lines stand in a file, the way `apply_patch` looks for them: exactly, else with other white
//! space at the end, then at both ends, then with typographic marks taken for plain ones.
//!
//! Each of the four looks goes over the file once (Knuth, Morris and Pratt), however often the lines
//! nearly stand there.

use std::borrow::Cow;

use super::ChangeError;
use super::work::Work;

/// What is taken for equal.
type Form = for<'l> fn(&'l str) -> Cow<'l, str>;

/// Finds where lines stand, beginning at `from`, or only at the end.
///
/// # Errors
/// When looking takes too much work.
pub(super) fn seek(
    lines: &[&str],
    wanted: &[String],
    from: usize,
    at_end: bool,
    work: &mut Work,
) -> Result<Option<usize>, ChangeError> {
    if wanted.is_empty() {
        return Ok(Some(from));
    }
    let Some(last) = lines.len().checked_sub(wanted.len()) else {
        return Ok(None);
    };
    let first = if at_end { last } else { from };
    let forms: [Form; 4] = [
        |line| Cow::Borrowed(line),
        |line| Cow::Borrowed(line.trim_end()),
        |line| Cow::Borrowed(line.trim()),
        plain,
    ];
    for form in forms {
        if let Some(at) = find(lines, wanted, first, form, work)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn find(
    lines: &[&str],
    wanted: &[String],
    first: usize,
    form: Form,
    work: &mut Work,
) -> Result<Option<usize>, ChangeError> {
    let mut formed = Vec::with_capacity(wanted.len());
    for line in wanted {
        work.spend(cost(line))?;
        formed.push(form(line));
    }
    let begins = beginnings(&formed);
    let mut matched = 0;
    for (at, line) in lines.iter().enumerate().skip(first) {
        work.spend(cost(line))?;
        matched = step(&formed, &begins, matched, &form(line));
        if matched == formed.len() {
            return Ok(Some(at.saturating_add(1).saturating_sub(matched)));
        }
    }
    Ok(None)
}

const fn cost(line: &str) -> usize {
    line.len().saturating_add(8)
}

/// Returns how many of the wanted lines stand up to and with this one, when `matched` of them stood
/// before it.
fn step(wanted: &[Cow<'_, str>], begins: &[usize], mut matched: usize, line: &str) -> usize {
    loop {
        if wanted.get(matched).is_some_and(|next| next == line) {
            return matched.saturating_add(1);
        }
        match matched
            .checked_sub(1)
            .and_then(|last| begins.get(last).copied())
        {
            Some(shorter) => matched = shorter,
            None => return 0,
        }
    }
}

/// Returns for each of the lines how many of the first ones stand again just up to it.
fn beginnings(wanted: &[Cow<'_, str>]) -> Vec<usize> {
    let mut begins = Vec::with_capacity(wanted.len());
    let mut matched = 0;
    for (at, line) in wanted.iter().enumerate() {
        if at > 0 {
            matched = step(wanted, &begins, matched, line);
        }
        begins.push(matched);
    }
    begins
}

/// Takes typographic dashes, quotes and blanks for their plain forms.
fn plain(line: &str) -> Cow<'_, str> {
    let line = line.trim();
    if line.is_ascii() {
        return Cow::Borrowed(line);
    }
    let plain = line.chars().map(|c| match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        c => c,
    });
    Cow::Owned(plain.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_found_where_they_first_stand(
            lines in prop::collection::vec("[ab]", 0..24),
            wanted in prop::collection::vec("[ab]", 1..6),
            from in 0_usize..8,
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let mut windows = lines.windows(wanted.len()).enumerate().skip(from);
            let expected = windows.find(|(_, window)| *window == wanted).map(|(at, _)| at);
            let found = seek(&lines, &wanted, from, false, &mut Work::new()).unwrap();
            prop_assert_eq!(found, expected);
        }
    }
}
