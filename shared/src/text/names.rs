//! What a hidden character is called.

/// Returns the name of `c` in the Unicode standard, or its usual name if it is a control character
/// (those have none), or its number.
pub(super) fn name(c: char) -> String {
    let control = match c {
        '\0' => "NULL",
        '\u{07}' => "BELL",
        '\u{08}' => "BACKSPACE",
        '\t' => "TAB",
        '\n' => "LINE FEED",
        '\u{0B}' => "VERTICAL TAB",
        '\u{0C}' => "FORM FEED",
        '\r' => "CARRIAGE RETURN",
        '\u{0E}' => "SHIFT OUT",
        '\u{0F}' => "SHIFT IN",
        '\u{1B}' => "ESCAPE",
        '\u{7F}' => "DELETE",
        '\u{85}' => "NEXT LINE",
        '\u{90}' => "DEVICE CONTROL STRING",
        '\u{9B}' => "CONTROL SEQUENCE INTRODUCER",
        '\u{9D}' => "OPERATING SYSTEM COMMAND",
        '\u{FEFF}' => "BYTE ORDER MARK",
        _ => {
            return unicode_names2::name(c).map_or_else(
                || format!("U+{:04X}", u32::from(c)),
                |name| name.to_string(),
            );
        }
    };
    control.to_owned()
}
