//! Putting hooks into the requirements of Codex, which are TOML, and taking them out.
//!
//! Managed hooks of this client need no trust of the user's, and with `allow_managed_hooks_only` there
//! are no others. A requirement that says something else already is left as it is, and refused.

use serde_json::json;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::hooks::{Event, Hooks};

/// Returns the requirements with the hooks in them, or without.
///
/// # Errors
/// With what is in the way, in words.
pub(super) fn merge(before: &str, hooks: &Hooks, remove: bool) -> Result<String, String> {
    let mut document: DocumentMut = before
        .parse()
        .map_err(|error: toml_edit::TomlError| error.message().replace('\n', " "))?;
    let root = document.as_table_mut();
    if !remove {
        match root.get("allow_managed_hooks_only").map(Item::as_bool) {
            None => {
                root.insert("allow_managed_hooks_only", value(true));
            }
            Some(Some(true)) => {}
            Some(_) => return Err("`allow_managed_hooks_only` is not true".to_owned()),
        }
    } else if root.get("hooks").is_none() {
        return Ok(before.to_owned());
    }
    let all = table(root, "hooks")?;
    if !remove {
        match all.get("managed_dir").map(Item::as_str) {
            None => {
                all.insert("managed_dir", value(hooks.directory()));
            }
            Some(Some(dir)) if dir == hooks.directory() => {}
            Some(_) => {
                return Err(format!(
                    "`hooks.managed_dir` is not `{}`, where this program is",
                    hooks.directory()
                ));
            }
        }
    }
    for event in hooks.events() {
        put(all, *event, hooks, remove)?;
    }
    Ok(document.to_string())
}

fn put(all: &mut Table, event: Event, hooks: &Hooks, remove: bool) -> Result<(), String> {
    let name = event.name;
    if remove && all.get(name).is_none() {
        return Ok(());
    }
    let groups = all
        .entry(name)
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .ok_or_else(|| format!("`hooks.{name}` is not a list of tables"))?;
    groups.retain(|group| !is_only_ours(group, hooks));
    for group in groups.iter_mut() {
        if let Some(list) = group
            .get_mut("hooks")
            .and_then(Item::as_array_of_tables_mut)
        {
            list.retain(|hook| !is_ours(hook, hooks));
        }
    }
    if remove {
        if groups.is_empty() {
            all.remove(name);
        }
        return Ok(());
    }
    let mut hook = Table::new();
    hook.insert("type", value("command"));
    hook.insert("command", value(hooks.command(event)));
    hook.insert("timeout", value(i64::from(Hooks::seconds(event))));
    let mut list = ArrayOfTables::new();
    list.push(hook);
    let mut group = Table::new();
    group.insert("matcher", value(hooks.every_tool()));
    group.insert("hooks", Item::ArrayOfTables(list));
    groups.push(group);
    Ok(())
}

fn is_only_ours(group: &Table, hooks: &Hooks) -> bool {
    group
        .get("hooks")
        .and_then(Item::as_array_of_tables)
        .is_some_and(|list| !list.is_empty() && list.iter().all(|hook| is_ours(hook, hooks)))
}

fn is_ours(hook: &Table, hooks: &Hooks) -> bool {
    let command = hook.get("command").and_then(Item::as_str);
    hooks.is_ours(&json!({ "command": command }))
}

fn table<'t>(root: &'t mut Table, name: &str) -> Result<&'t mut Table, String> {
    root.entry(name)
        .or_insert_with(|| Item::Table(Table::new()))
        .as_table_mut()
        .ok_or_else(|| format!("`{name}` is not a table"))
}
