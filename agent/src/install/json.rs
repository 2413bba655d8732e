//! Putting hooks into settings that are JSON, comments allowed, and taking them out.
//!
//! The text is edited, not written anew, so that everything else in it stays as it is.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};

use super::hooks::{Event, Hooks, object};

/// Comments and commas at the end of lists are what clients accept; nothing else is.
const ACCEPTED: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Returns the settings with the hooks in them, or without.
///
/// # Errors
/// With what is in the way, in words.
pub(super) fn merge(before: &str, hooks: &Hooks, remove: bool) -> Result<String, String> {
    if remove && before.trim().is_empty() {
        return Ok(before.to_owned());
    }
    let root = CstRootNode::parse(before, &ACCEPTED).map_err(|error| error.to_string())?;
    let settings = root
        .object_value_or_create()
        .ok_or("it does not hold an object")?;
    no_name_twice(&settings)?;
    if !hooks.has_groups() && settings.get("version").is_none() && !remove {
        settings.append("version", CstInputValue::Number("1".to_owned()));
    }
    let all = match settings.get("hooks") {
        None if remove => return Ok(before.to_owned()),
        _ => settings
            .object_value_or_create("hooks")
            .ok_or("`hooks` is not an object")?,
    };
    no_name_twice(&all)?;
    for event in hooks.events() {
        put(&all, *event, hooks, remove)?;
    }
    if remove && all.properties().is_empty() {
        all.parent()
            .and_then(|parent| parent.as_object_prop())
            .ok_or("`hooks` stands nowhere")?
            .remove();
    }
    let mut after = root.to_string();
    if !after.ends_with('\n') {
        after.push('\n');
    }
    // What changed nothing in meaning changes nothing in the file.
    let same = CstRootNode::parse(before, &ACCEPTED)
        .is_ok_and(|old| old.to_serde_value() == root.to_serde_value());
    Ok(if same { before.to_owned() } else { after })
}

/// Puts the hook of one event in the place of an earlier one of ours, or takes that out.
fn put(all: &CstObject, event: Event, hooks: &Hooks, remove: bool) -> Result<(), String> {
    let name = event.name;
    let list = match all.get(name) {
        None if remove => return Ok(()),
        _ => all
            .array_value_or_create(name)
            .ok_or_else(|| format!("`hooks.{name}` is not a list"))?,
    };
    let wanted = if hooks.has_groups() {
        let hook = CstInputValue::Array(vec![hooks.hook(event)]);
        object([("matcher", hooks.every_tool().into()), ("hooks", hook)])
    } else {
        hooks.hook(event)
    };
    take_out(&list, hooks);
    if !remove {
        list.append(wanted);
    } else if list.elements().is_empty()
        && let Some(property) = list.parent().and_then(|parent| parent.as_object_prop())
    {
        property.remove();
    }
    Ok(())
}

/// Takes out every hook of ours, and the groups that hold nothing then.
fn take_out(list: &CstArray, hooks: &Hooks) {
    let is_ours = |node: &CstNode| {
        node.to_serde_value()
            .is_some_and(|value| hooks.is_ours(&value))
    };
    for element in list.elements() {
        let inner = element
            .as_object()
            .and_then(|group| group.array_value("hooks"));
        match inner {
            Some(inner) => {
                let all = inner.elements();
                let ours: Vec<CstNode> = all.iter().filter(|hook| is_ours(hook)).cloned().collect();
                if !ours.is_empty() && ours.len() == all.len() {
                    element.remove();
                } else {
                    ours.into_iter().for_each(CstNode::remove);
                }
            }
            None if is_ours(&element) => element.remove(),
            None => {}
        }
    }
}

/// Refuses an object in which a name stands twice: which one counts is not ours to guess.
fn no_name_twice(object: &CstObject) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for property in object.properties() {
        let name = property
            .decoded_name()
            .ok_or("a name in it cannot be read")?;
        if !seen.insert(name.clone()) {
            return Err(format!("the name `{name}` stands twice in it"));
        }
    }
    Ok(())
}
