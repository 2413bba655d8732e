//! The strict reader: a visitor over the parser of `serde_json`.
//!
//! The parser does the grammar, UTF-8 and surrogates, and stops at its own depth of 128; the
//! visitor refuses what the grammar allows. It keeps the pointer to where it is, so an error can
//! name the place.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Bounds, JsonError, MAX_POINTER_BYTES, Pointer};

/// Up to here every integer is a double: 2^53.
const EVERY_INTEGER: u64 = 9_007_199_254_740_992;

/// Reads one JSON value and nothing after it.
pub(super) fn value(bytes: &[u8], bounds: &Bounds) -> Result<Value, JsonError> {
    if bytes.len() > bounds.bytes {
        return Err(JsonError::Size {
            limit: bounds.bytes,
            found: bytes.len(),
        });
    }
    let mut reader = Reader {
        bounds: *bounds,
        at: Pointer::root(),
        depth: 0,
        lines: 0,
        fault: None,
    };
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let read = Seed(&mut reader)
        .deserialize(&mut parser)
        .and_then(|value| parser.end().map(|()| value));
    match (read, reader.fault) {
        (Ok(value), None) => Ok(value),
        (_, Some(fault)) => Err(fault),
        (Err(error), None) => Err(JsonError::Syntax {
            at: reader.at,
            line: error.line(),
            column: error.column(),
            message: reason(&error),
        }),
    }
}

/// Returns the parser's message without the position, which has its own fields.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

/// What the visitor carries from value to value.
struct Reader {
    bounds: Bounds,
    at: Pointer,
    depth: usize,
    lines: usize,
    fault: Option<JsonError>,
}

impl Reader {
    /// Keeps the typed error and returns the untyped one that stops the parser.
    fn refuse<E: serde::de::Error>(&mut self, fault: JsonError) -> E {
        self.fault = Some(fault);
        E::custom("refused")
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > self.bounds.depth {
            let fault = JsonError::Depth {
                at: self.at.clone(),
                limit: self.bounds.depth,
                found: self.depth,
            };
            return Err(self.refuse(fault));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn check_text<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            let fault = JsonError::Nul {
                at: self.at.clone(),
            };
            return Err(self.refuse(fault));
        }
        if text.len() <= self.bounds.line_bytes && !text.contains('\n') {
            return Ok(());
        }
        let mut lines = 0_usize;
        let mut longest = 0_usize;
        for line in text.split('\n') {
            lines = lines.saturating_add(1);
            longest = longest.max(line.len());
        }
        if longest > self.bounds.line_bytes {
            let fault = JsonError::Line {
                at: self.at.clone(),
                limit: self.bounds.line_bytes,
                found: longest,
            };
            return Err(self.refuse(fault));
        }
        if lines > 1 {
            self.lines = self.lines.saturating_add(lines);
        }
        if self.lines > self.bounds.lines {
            let fault = JsonError::Lines {
                at: self.at.clone(),
                limit: self.bounds.lines,
                found: self.lines,
            };
            return Err(self.refuse(fault));
        }
        Ok(())
    }

    /// Takes an integer, as a double where it is beyond 2^53.
    ///
    /// Out there not every integer is a double, and RFC 8785 writes the shortest digits that lead
    /// to the double: `1100000000000000100` stands for 1100000000000000128.
    fn integer<E: serde::de::Error>(&mut self, token: Number, magnitude: u64) -> Result<Value, E> {
        if magnitude <= EVERY_INTEGER {
            return Ok(Value::Number(token));
        }
        let text = token.to_string();
        let double = text.parse().ok().and_then(Number::from_f64);
        match double.map(Value::Number) {
            Some(double) if super::write(&double).is_ok_and(|form| form == text.as_bytes()) => {
                Ok(double)
            }
            Some(_) | None => {
                let at = self.at.clone();
                Err(self.refuse(JsonError::Number { at }))
            }
        }
    }
}

/// Reads the next value.
struct Seed<'r>(&'r mut Reader);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.integer(value.into(), value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.integer(value.into(), value.unsigned_abs())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.0.check_text(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.0.check_text(&text)?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let reader = self.0;
        reader.enter()?;
        let mark = reader.at.mark();
        let mut elements = Vec::new();
        loop {
            reader.at.push_index(elements.len());
            match access.next_element_seed(Seed(reader))? {
                Some(element) => elements.push(element),
                None => break,
            }
            reader.at.cut(mark);
        }
        reader.at.cut(mark);
        reader.leave();
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let reader = self.0;
        reader.enter()?;
        let mark = reader.at.mark();
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            reader.at.push_name(&name);
            reader.check_text(&name)?;
            if reader.at.mark() > MAX_POINTER_BYTES {
                let fault = JsonError::Names {
                    at: reader.at.clone(),
                    limit: MAX_POINTER_BYTES,
                    found: reader.at.mark(),
                };
                return Err(reader.refuse(fault));
            }
            let member = access.next_value_seed(Seed(reader))?;
            if members.insert(name, member).is_some() {
                let fault = JsonError::Duplicate {
                    at: reader.at.clone(),
                };
                return Err(reader.refuse(fault));
            }
            reader.at.cut(mark);
        }
        reader.leave();
        Ok(Value::Object(members))
    }
}

impl fmt::Debug for Seed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({:?})", self.0.at)
    }
}
