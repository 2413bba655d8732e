//! The table `[stream]`: to whom heads and entries of the log go as they come.
//!
//! Names are not resolved and nothing is opened here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use countersign_evidence::line::Form;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{ConfigError, Source};

/// Where systemd's journal listens for its native protocol.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// The longest path of a socket, in bytes (`sun_path` of unix(7), without the zero at its end).
const PATH_LIMIT: usize = 107;

/// A receiver of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Receiver {
    /// The journal of this machine, in its native protocol.
    Journal(PathBuf),
    /// A syslog daemon of this machine, on a socket of datagrams.
    Syslog(PathBuf),
    /// A syslog collector over TCP.
    Collector(SocketAddr),
}

/// What is streamed, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// The receivers, the journal first; each gets everything.
    pub receivers: Vec<Receiver>,
    /// Whether heads are sent.
    pub heads: bool,
    /// Whether entries are sent.
    pub entries: bool,
    /// How they are written.
    #[serde(skip)]
    pub form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Heads,
    Entries,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Cef,
    Ocsf,
}

/// The table, as it was written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    #[serde(default)]
    journald: bool,
    syslog: Option<Spanned<String>>,
    what: Option<Spanned<Vec<What>>>,
    #[serde(default)]
    format: Format,
}

impl Stream {
    /// Judges the table.
    pub(super) fn judge(source: &Source<'_>, table: &Spanned<Raw>) -> Result<Self, ConfigError> {
        let raw = table.get_ref();
        let mut receivers = Vec::new();
        if raw.journald {
            receivers.push(Receiver::Journal(PathBuf::from(JOURNAL)));
        }
        if let Some(address) = &raw.syslog {
            let receiver = Receiver::syslog(address.get_ref())
                .map_err(|problem| source.wrong(address, &problem))?;
            receivers.push(receiver);
        }
        if receivers.is_empty() {
            return Err(source.wrong(
                table,
                "`[stream]` names no receiver: say `journald = true`, or `syslog = \"/dev/log\"`",
            ));
        }
        let (heads, entries) = match &raw.what {
            None => (true, true),
            Some(what) if what.get_ref().is_empty() => {
                return Err(source.wrong(what, "`what` is empty: name `heads`, `entries` or both"));
            }
            Some(what) => (
                what.get_ref().contains(&What::Heads),
                what.get_ref().contains(&What::Entries),
            ),
        };
        Ok(Self {
            receivers,
            heads,
            entries,
            form: match raw.format {
                Format::Json => Form::Json,
                Format::Cef => Form::Cef,
                Format::Ocsf => Form::Ocsf,
            },
        })
    }
}

impl Receiver {
    /// Reads where a syslog receiver is.
    fn syslog(address: &str) -> Result<Self, String> {
        if let Some(place) = address.strip_prefix("tcp://") {
            return place.parse().map(Self::Collector).map_err(|_| {
                "after `tcp://` comes an IP address with a port, such as `tcp://127.0.0.1:601`: \
                 names are not resolved"
                    .to_owned()
            });
        }
        if address.starts_with("udp://") {
            return Err(
                "UDP loses what does not arrive, and nobody is told; use `tcp://`, or a syslog \
                 daemon of this machine such as `/dev/log`"
                    .to_owned(),
            );
        }
        let path = Path::new(address);
        if !path.is_absolute() || address.contains('\0') {
            return Err(
                "must be the path of a socket, such as `/dev/log`, or `tcp://ADDRESS:PORT`"
                    .to_owned(),
            );
        }
        if address.len() > PATH_LIMIT {
            return Err(format!(
                "the path of a socket has at most {PATH_LIMIT} bytes, this one has {}",
                address.len()
            ));
        }
        Ok(Self::Syslog(path.to_path_buf()))
    }
}

impl std::fmt::Display for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Journal(_) => f.write_str("journald"),
            Self::Syslog(path) => write!(f, "{}", path.display().to_string().escape_debug()),
            Self::Collector(address) => write!(f, "tcp://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn stream(table: &str) -> Result<Option<Stream>, String> {
        let text = format!("mode = \"user\"\norigin = \"countersign/x\"\n{table}");
        Config::parse(Path::new("/h/countersign.toml"), &text)
            .map(|config| config.stream)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_streamed_unless_the_operator_says_where_to() {
        assert_eq!(stream("").unwrap(), None);
        let error = stream("[stream]\n").unwrap_err();
        assert!(error.starts_with("/h/countersign.toml:3:"), "{error}");
        assert!(error.contains("names no receiver"), "{error}");
        assert!(stream("[stream]\njournald = false\n").is_err());
    }

    #[test]
    fn every_key_is_read() {
        let read = stream("[stream]\njournald = true\n").unwrap().unwrap();
        assert_eq!(read.receivers, [Receiver::Journal(JOURNAL.into())]);
        assert!(read.heads && read.entries);
        assert_eq!(read.form, Form::Json);
        let read = stream(
            "[stream]\njournald = true\nsyslog = \"tcp://127.0.0.1:601\"\nwhat = [\"heads\"]\nformat = \"ocsf\"\n",
        )
        .unwrap()
        .unwrap();
        let said: Vec<_> = read.receivers.iter().map(Receiver::to_string).collect();
        assert_eq!(said, ["journald", "tcp://127.0.0.1:601"]);
        assert!(read.heads && !read.entries);
        assert_eq!(read.form, Form::Ocsf);
        let read = stream("[stream]\nsyslog = \"/dev/log\"\nformat = \"cef\"\n");
        let read = read.unwrap().unwrap();
        assert_eq!(read.receivers, [Receiver::Syslog("/dev/log".into())]);
        assert_eq!(read.form, Form::Cef);
    }

    #[test]
    fn what_cannot_be_a_receiver_is_refused_with_its_place() {
        let long = format!("/{}", "x".repeat(PATH_LIMIT));
        for (value, said) in [
            ("udp://127.0.0.1:514", "UDP loses"),
            ("tcp://collector.example:601", "names are not resolved"),
            ("tcp://127.0.0.1", "with a port"),
            ("dev/log", "the path of a socket"),
            ("", "the path of a socket"),
            (&long, "has at most 107 bytes"),
        ] {
            let error = stream(&format!("[stream]\nsyslog = \"{value}\"\n")).unwrap_err();
            assert!(error.starts_with("/h/countersign.toml:4:10: "), "{error}");
            assert!(error.contains(said), "{error}");
        }
        for table in [
            "syslog = \"/dev/log\"\nwhat = []\n",
            "syslog = \"/dev/log\"\nwhat = [\"head\"]\n",
            "syslog = \"/dev/log\"\nformat = \"leef\"\n",
            "syslog = \"/dev/log\"\njournal = true\n",
        ] {
            let error = stream(&format!("[stream]\n{table}")).unwrap_err();
            assert!(error.starts_with("/h/countersign.toml:"), "{error}");
        }
    }
}
