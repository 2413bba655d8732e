//! The objects whose only name begins with `$`, and free JSON that may hold them.

use serde_json::{Map, Number, Value};

use super::object::Placed;
use super::schema::Form;
use super::{ActionError, only_member};
use crate::digest::Digest;

/// How long the text of a `$number` may be, in bytes.
const NUMBER_BYTES: usize = 256;

/// Checks JSON of a user's own: anything, with the reserved objects well formed.
pub(super) fn free(placed: &Placed<'_>, form: Form) -> Result<(), ActionError> {
    match placed.value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        Value::Array(_) => placed
            .elements()?
            .try_for_each(|element| free(&element, form)),
        Value::Object(members) => match members.keys().find(|name| name.starts_with('$')) {
            Some(name) => reserved(placed, members, name, form),
            None => placed
                .object()?
                .each()
                .try_for_each(|(_, member)| free(&member, form)),
        },
    }
}

/// Checks a string that may be masked, whole or in part.
pub(super) fn maskable(placed: &Placed<'_>, form: Form) -> Result<(), ActionError> {
    match placed.value {
        Value::String(_) => Ok(()),
        Value::Object(members)
            if members.contains_key("$secret") || members.contains_key("$parts") =>
        {
            free(placed, form)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(placed.wrong_type("a string, or a secret"))
        }
    }
}

fn reserved(
    placed: &Placed<'_>,
    members: &Map<String, Value>,
    name: &str,
    form: Form,
) -> Result<(), ActionError> {
    let refusal = || ActionError::Reserved {
        at: placed.at.member(name),
    };
    let (name, value) = only_member(members).ok_or_else(refusal)?;
    let inner = Placed {
        at: placed.at.member(name),
        value,
    };
    match (name, form) {
        ("$number", _) => number(&inner),
        ("$secret", Form::Submitted) => inner.text().map(|_| ()),
        ("$parts", _) => parts(&inner, form),
        _ => Err(refusal()),
    }
}

/// Checks the token of a `$number`: JSON's grammar, and not what RFC 8785 could carry itself.
fn number(placed: &Placed<'_>) -> Result<(), ActionError> {
    let token = placed.short_text(NUMBER_BYTES)?;
    if !is_number(token) {
        return Err(placed.bad_value("a number as JSON writes it (RFC 8259, section 6)"));
    }
    let double = token.parse().ok().and_then(Number::from_f64);
    let form = double.and_then(|double| crate::json::canonical(&double).ok());
    if form.as_deref() == Some(token.as_bytes()) {
        return Err(placed.bad_value("a plain number: RFC 8785 writes this one the same"));
    }
    Ok(())
}

/// Tells whether a text is a number in the grammar of RFC 8259, section 6.
pub(super) fn is_number(token: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match token.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (token, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// Checks the list of a `$parts`: texts that are not empty, never two in a row, and secrets.
fn parts(placed: &Placed<'_>, form: Form) -> Result<(), ActionError> {
    let mut texts = 0_usize;
    let mut secrets = 0_usize;
    let mut after_text = false;
    for part in placed.elements()? {
        if let Value::String(text) = part.value {
            if text.is_empty() || after_text {
                return Err(part.bad_value("joined with its neighbours: a text is one part"));
            }
            after_text = true;
            texts = texts.saturating_add(1);
            continue;
        }
        after_text = false;
        secrets = secrets.saturating_add(1);
        let name = match form {
            Form::Submitted => "$secret",
            Form::Masked => "$mask",
        };
        let value = part
            .value
            .as_object()
            .and_then(only_member)
            .and_then(|(found, value)| (found == name).then_some(value))
            .ok_or_else(|| ActionError::Reserved {
                at: part.at.clone(),
            })?;
        let inner = Placed {
            at: part.at.member(name),
            value,
        };
        match form {
            Form::Submitted => inner.text().map(|_| ())?,
            Form::Masked => mask(&inner)?,
        }
    }
    if secrets == 0 || (form == Form::Submitted && texts == 0 && secrets == 1) {
        return Err(placed.bad_value("texts and secrets; a whole secret is a `$secret`"));
    }
    Ok(())
}

/// Checks what stands in a document instead of a secret.
fn mask(placed: &Placed<'_>) -> Result<(), ActionError> {
    let fields = placed.fields(&["class", "length", "tag", "commitment"])?;
    let class = fields.required("class")?;
    if class.text()?.parse::<crate::mask::Class>().is_err() {
        return Err(class.bad_value("a class of masks"));
    }
    let length = fields.required("length")?;
    if length.value.as_u64().is_none_or(|length| length == 0) {
        return Err(length.bad_value("a number of bytes"));
    }
    let tag = fields.required("tag")?;
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if tag.text()?.len() != 8 || !tag.text()?.bytes().all(hex) {
        return Err(tag.bad_value("8 lower-case hexadecimal digits"));
    }
    let commitment = fields.required("commitment")?;
    if Digest::from_hex(commitment.text()?).is_err() {
        return Err(commitment.bad_value("64 lower-case hexadecimal digits"));
    }
    Ok(())
}
