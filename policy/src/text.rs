//! A policy file as text: where each policy and each annotation begins.
//!
//! Cedar parses policies; it does not say where an annotation stands. This scanner knows strings
//! and comments and nothing else. It cannot make a policy mean something else: each piece it cuts
//! out is parsed by Cedar on its own, and only what Cedar read counts.

/// One policy of a file, with its annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece<'t> {
    /// The first byte of the policy in the file.
    pub(crate) start: usize,
    /// Its text, the semicolon included.
    pub(crate) text: &'t str,
    /// The names of its annotations, and where in the file each begins.
    pub(crate) annotations: Vec<Annotation<'t>>,
}

/// Where an annotation stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Annotation<'t> {
    pub(crate) name: &'t str,
    /// The byte of its value, or of its `@` where it has none.
    pub(crate) value_at: usize,
}

/// Cuts a file into policies. What stands behind the last semicolon is a piece of its own unless
/// it is nothing but space and comments, so that Cedar can say what is wrong with it.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    let mut piece: Option<Building<'_>> = None;
    for (at, token) in (Tokens { text, at: 0 }) {
        let building = piece.get_or_insert_with(|| Building {
            start: at,
            head: true,
            annotations: Vec::new(),
        });
        building.take(at, token);
        if token == ";" {
            all.extend(
                piece
                    .take()
                    .and_then(|it| it.end(text, at.saturating_add(1))),
            );
        }
    }
    all.extend(piece.and_then(|it| it.end(text, text.len())));
    all
}

/// A piece that has not ended.
struct Building<'t> {
    start: usize,
    /// Whether only annotations came so far.
    head: bool,
    annotations: Vec<Annotation<'t>>,
}

impl<'t> Building<'t> {
    fn take(&mut self, at: usize, token: &'t str) {
        if !self.head {
            return;
        }
        let Some(last) = self.annotations.last_mut().filter(|_| token != "@") else {
            self.head = token == "@";
            if self.head {
                self.annotations.push(Annotation {
                    name: "",
                    value_at: at,
                });
            }
            return;
        };
        if last.name.is_empty() {
            last.name = token;
        } else if token.starts_with('"') {
            last.value_at = at;
        } else if token != "(" && token != ")" {
            self.head = false;
        }
    }

    fn end(self, text: &'t str, end: usize) -> Option<Piece<'t>> {
        Some(Piece {
            start: self.start,
            text: text.get(self.start..end)?,
            annotations: self.annotations,
        })
    }
}

/// Words, strings and single characters; space and comments are skipped.
struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.text.get(self.at..)?;
            let first = rest.chars().next()?;
            let length = if first.is_whitespace() {
                first.len_utf8()
            } else if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else {
                let length = token_length(rest, first);
                let token = rest.get(..length)?;
                let at = self.at;
                self.at = at.saturating_add(length);
                return Some((at, token));
            };
            self.at = self.at.saturating_add(length);
        }
    }
}

fn token_length(rest: &str, first: char) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if first == '"' {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return at.saturating_add(1),
                _ => {}
            }
        }
        rest.len()
    } else if word(first) {
        rest.find(|c| !word(c)).unwrap_or(rest.len())
    } else {
        first.len_utf8()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_in_a_string_or_a_comment_ends_nothing() {
        let text = "// one; two\n@id(\"a;\\\"b\")\npermit (principal, action, resource); // c;\n\
                    forbid (principal, action, resource) when { \"//\" == \";\" };\n// end;";
        let all = pieces(text);
        assert_eq!(all.len(), 2, "{all:#?}");
        assert!(all[0].text.starts_with("@id") && all[0].text.ends_with("resource);"));
        assert!(all[1].text.starts_with("forbid"));
        assert_eq!(all[0].annotations[0].name, "id");
        assert!(
            text.get(all[0].annotations[0].value_at..)
                .unwrap()
                .starts_with("\"a;\\")
        );
    }

    #[test]
    fn what_does_not_end_is_left_to_cedar() {
        assert_eq!(pieces("permit (principal, action, resource)").len(), 1);
        assert_eq!(pieces("@id(\"a").len(), 1);
        assert_eq!(pieces("  // nothing\n").len(), 0);
    }
}
