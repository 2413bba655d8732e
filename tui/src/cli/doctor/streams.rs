//! Whether the log flows to the receivers that the operator named, as the daemon says, and how far
//! behind each is.

use countersign_shared::text::{Printable, Untrusted};
use countersign_shared::wire::pb::StreamStanding;
use serde_json::{Value, json};

use super::{Finding, bad, good};

/// Adds a finding for each receiver of the log; returns their figures.
pub(super) fn check(streams: &[StreamStanding], size: u64, findings: &mut Vec<Finding>) -> Value {
    let mut figures = Vec::new();
    for stream in streams {
        let to = shown(&stream.to);
        let behind = stream.entries.map(|sent| size.saturating_sub(sent));
        let says = format!("{to}: {}", how_far(stream, size));
        findings.push(if stream.problem.is_empty() {
            good("stream", says)
        } else {
            let problem = shown(&stream.problem);
            bad(
                "stream",
                format!("{says}; it stands still: {problem}; what is not sent is sent later"),
            )
        });
        figures.push(json!({
            "to": to,
            "flows": stream.problem.is_empty(),
            "entries": stream.entries,
            "behind": behind,
            "head": stream.head,
        }));
    }
    Value::Array(figures)
}

fn how_far(stream: &StreamStanding, size: u64) -> String {
    let entries = stream.entries.map(|sent| match size.saturating_sub(sent) {
        0 => format!("it has all {size} entries"),
        1 => format!("1 entry of {size} is still to be sent"),
        several => format!("{several} entries of {size} are still to be sent"),
    });
    let head = stream.head.map(|head| match head {
        0 => "it has no head yet".to_owned(),
        head => format!("its last head is of {head} entries"),
    });
    let parts: Vec<String> = entries.into_iter().chain(head).collect();
    parts.join(", ")
}

fn shown(text: &str) -> String {
    Printable::exact(&Untrusted::from(text)).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stream: StreamStanding) -> (bool, String, Value) {
        let mut findings = Vec::new();
        let figures = check(&[stream], 7, &mut findings);
        let found = findings.pop().unwrap();
        (found.is_well, found.says, figures)
    }

    #[test]
    fn a_stream_that_flows_is_well_and_one_that_stands_still_is_not() {
        let stream = StreamStanding {
            to: "journald".to_owned(),
            entries: Some(7),
            head: Some(6),
            problem: String::new(),
        };
        let (is_well, says, figures) = told(stream.clone());
        assert!(is_well);
        assert_eq!(
            says,
            "journald: it has all 7 entries, its last head is of 6 entries"
        );
        assert_eq!(figures[0]["behind"], 0);
        let (is_well, says, figures) = told(StreamStanding {
            entries: Some(4),
            head: None,
            problem: "it takes nothing: \u{9b}2J".to_owned(),
            ..stream
        });
        assert!(!is_well);
        assert!(says.starts_with("journald: 3 entries of 7 are still to be sent; it stands"));
        assert!(!says.contains('\u{9b}'), "{says}");
        assert_eq!(figures[0]["flows"], false);
    }

    #[test]
    fn heads_alone_are_never_behind_by_entries() {
        let (is_well, says, figures) = told(StreamStanding {
            to: "/dev/log".to_owned(),
            entries: None,
            head: Some(0),
            problem: String::new(),
        });
        assert!(is_well);
        assert_eq!(says, "/dev/log: it has no head yet");
        assert_eq!(figures[0]["behind"], Value::Null);
    }
}
