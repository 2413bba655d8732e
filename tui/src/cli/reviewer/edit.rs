//! Edits of the text: a table more, a table less, and nothing else touched.

use countersign_shared::roster::Person;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

/// The name of the tables.
const TABLES: &str = "reviewer";

/// The edit cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditError {
    /// The file is written in another way than `[[reviewer]]`.
    #[error("it has no `[[reviewer]]` tables but a list; edit it by hand")]
    Shape,
    /// There is such a person already.
    #[error("`{0}` is there already; remove them first, or edit the file")]
    There(String),
    /// There is no such person.
    #[error("there is no `{0}`; `countersign reviewer list` shows who there is")]
    Nobody(String),
}

/// Adds a person at the end.
pub(super) fn add(document: &mut DocumentMut, person: &Person) -> Result<(), EditError> {
    let had_text = !document.to_string().trim().is_empty();
    let tables = document
        .entry(TABLES)
        .or_insert(Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .ok_or(EditError::Shape)?;
    if tables.iter().any(|table| is_of(table, &person.name)) {
        return Err(EditError::There(person.name.clone()));
    }
    let mut table = Table::new();
    if had_text {
        table.decor_mut().set_prefix("\n");
    }
    table.insert("name", value(&person.name));
    table.insert("user", value(&person.user));
    if !person.groups.is_empty() {
        table.insert("groups", value(person.groups.iter().collect::<Array>()));
    }
    table.insert("keys", value(person.keys.iter().collect::<Array>()));
    tables.push(table);
    Ok(())
}

/// Takes a person out, with the comment that stands right above. What stands above that, behind a
/// blank line, is about the file, and stays.
pub(super) fn remove(document: &mut DocumentMut, name: &str) -> Result<(), EditError> {
    let tables = match document.get_mut(TABLES) {
        None => return Err(EditError::Nobody(name.to_owned())),
        Some(item) => item.as_array_of_tables_mut().ok_or(EditError::Shape)?,
    };
    let at = tables
        .iter()
        .position(|table| is_of(table, name))
        .ok_or_else(|| EditError::Nobody(name.to_owned()))?;
    let stays = tables.get(at).map_or_else(String::new, |table| {
        let above = prefix(table);
        above
            .rfind("\n\n")
            .and_then(|blank| above.get(..blank.saturating_add(1)))
            .map_or_else(String::new, str::to_owned)
    });
    tables.remove(at);
    if let Some(next) = tables.get_mut(at) {
        let whole = format!("{stays}{}", prefix(next));
        next.decor_mut().set_prefix(whole);
    } else {
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing(format!("{stays}{trailing}"));
    }
    Ok(())
}

fn is_of(table: &Table, name: &str) -> bool {
    table.get("name").and_then(Item::as_str) == Some(name)
}

fn prefix(table: &Table) -> String {
    let prefix = table.decor().prefix();
    prefix
        .and_then(|text| text.as_str())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"# Who may decide. Ask the security team before you change it.

# Mika is on call in even weeks.
[[reviewer]]
name = "mika@example.org"   # byte for byte
user = 'mika'
groups = ["sre"]
keys = [
    "ssh-ed25519 AAAA mika",
]

# Ana has two keys.
[[reviewer]]
name = "ana@example.org"
user = "ana"
keys = ["one", "two"]
# the end
"#;

    fn bo() -> Person {
        Person {
            name: "bo@example.org".to_owned(),
            user: "bo".to_owned(),
            groups: vec!["sre".to_owned(), "data".to_owned()],
            keys: vec!["ssh-ed25519 BBBB bo".to_owned()],
        }
    }

    fn edited(
        text: &str,
        edit: impl FnOnce(&mut DocumentMut) -> Result<(), EditError>,
    ) -> Result<String, EditError> {
        let mut document: DocumentMut = text.parse().unwrap();
        edit(&mut document).map(|()| document.to_string())
    }

    #[test]
    fn adding_somebody_leaves_every_other_byte_as_it_is() {
        let text = edited(FILE, |document| add(document, &bo())).unwrap();
        let added = "\n[[reviewer]]\nname = \"bo@example.org\"\nuser = \"bo\"\n\
                     groups = [\"sre\", \"data\"]\nkeys = [\"ssh-ed25519 BBBB bo\"]\n";
        assert!(text.contains(added), "{text}");
        assert_eq!(text.replacen(added, "", 1), FILE);
    }

    #[test]
    fn the_first_person_of_an_empty_file_can_be_added() {
        let text = edited("", |document| add(document, &bo())).unwrap();
        assert!(
            text.starts_with("[[reviewer]]\nname = \"bo@example.org\"\n"),
            "{text}"
        );
    }

    #[test]
    fn adding_and_removing_somebody_leaves_the_file_as_it_was() {
        let with = edited(FILE, |document| add(document, &bo())).unwrap();
        let without = edited(&with, |document| remove(document, "bo@example.org")).unwrap();
        assert_eq!(without.trim_end(), FILE.trim_end());
    }

    #[test]
    fn removing_somebody_takes_the_comment_about_them_and_no_other() {
        let text = edited(FILE, |document| remove(document, "mika@example.org")).unwrap();
        assert!(
            text.starts_with("# Who may decide. Ask the security team"),
            "{text}"
        );
        assert!(!text.to_lowercase().contains("mika"), "{text}");
        assert!(
            text.contains("# Ana has two keys.\n[[reviewer]]\nname = \"ana@example.org\""),
            "{text}"
        );
        assert!(text.ends_with("# the end\n"), "{text}");
        let text = edited(FILE, |document| remove(document, "ana@example.org")).unwrap();
        assert!(!text.contains("Ana has"), "{text}");
        assert!(text.contains("# the end"), "{text}");
    }

    #[test]
    fn who_is_there_is_not_added_and_who_is_not_is_not_removed() {
        let mut mika = bo();
        mika.name = "mika@example.org".to_owned();
        assert_eq!(
            edited(FILE, |document| add(document, &mika)),
            Err(EditError::There(mika.name.clone()))
        );
        assert_eq!(
            edited(FILE, |document| remove(document, "mika")),
            Err(EditError::Nobody("mika".to_owned()))
        );
        assert_eq!(
            edited("", |document| remove(document, "mika")),
            Err(EditError::Nobody("mika".to_owned()))
        );
        let list = "reviewer = [{name = \"a\"}]\n";
        assert_eq!(
            edited(list, |document| add(document, &mika)),
            Err(EditError::Shape)
        );
    }
}
