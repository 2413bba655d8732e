//! Reading the lines of a policy file. What is wrong is told with its line and column.
//!
//! The file is octets: names, URLs and comments may hold any above 0x7f, and two names are one only
//! when they are equal byte for byte.

use std::collections::BTreeMap;

use super::super::note::{Key, KeyError};
use super::{Log, MAX_POLICY, MAX_WITNESSES, Node, TrustPolicy, Witness};

/// The name that a quorum of nobody has, and nothing else may have.
const NONE: &[u8] = b"none";

/// A policy file that is not accepted, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// The column, in bytes from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is too long.
    #[error("a policy has at most {MAX_POLICY} bytes, and this one has {found}")]
    TooLong {
        /// The number of bytes found.
        found: usize,
    },
    /// The last line was cut off.
    #[error("the last line does not end with a newline; the file may have been cut off")]
    Unfinished,
    /// There is a control character other than tab and newline.
    #[error("the control character 0x{found:02x} cannot stand in a policy")]
    Control {
        /// The character.
        found: u8,
    },
    /// A line begins with no word that lines begin with.
    #[error("`{found}` begins no line; one begins with `log`, `witness`, `group` or `quorum`")]
    Keyword {
        /// The word found.
        found: String,
    },
    /// Something is missing at the end of a line.
    #[error("{what} is missing; a line is `{form}`")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How the line is written.
        form: &'static str,
    },
    /// Something stands behind a line's end.
    #[error("`{found}` is too much; a line is `{form}`")]
    TooMuch {
        /// What was found.
        found: String,
        /// How the line is written.
        form: &'static str,
    },
    /// A key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key or URL is not UTF-8.
    #[error("`{found}` is not UTF-8")]
    NotText {
        /// What was found.
        found: String,
    },
    /// A key is there twice, under whatever name.
    #[error("the same public key stands in line {first} already")]
    SameKey {
        /// The line it stands in first.
        first: usize,
    },
    /// A name is defined twice.
    #[error("`{name}` is defined in line {first} already")]
    SameName {
        /// The name.
        name: String,
        /// The line it is defined in first.
        first: usize,
    },
    /// `none` is no name that could be given.
    #[error("`none` is what a quorum of nobody is called, and no name for anything else")]
    Reserved,
    /// A name is not defined above.
    #[error("`{name}` is not defined in a line above")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A name is a member already.
    #[error("`{name}` is a member of the group in line {group} already, and can be one only once")]
    MemberTwice {
        /// The name.
        name: String,
        /// The line of that group.
        group: usize,
    },
    /// A threshold is no number of members.
    #[error("`{found}` is not `all`, `any` or a number from 1 to {members}, the number of members")]
    Threshold {
        /// What was found.
        found: String,
        /// The number of members.
        members: usize,
    },
    /// There are too many witnesses.
    #[error("a policy names at most {MAX_WITNESSES} witnesses")]
    TooManyWitnesses,
    /// There is a second quorum.
    #[error("there is a quorum in line {first} already")]
    SecondQuorum {
        /// The line of the first one.
        first: usize,
    },
    /// There is no quorum.
    #[error("there is no quorum: a policy has one line `quorum NAME`, or `quorum none`")]
    NoQuorum,
}

/// A word of a line, and its column from 1.
#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    text: &'a [u8],
    column: usize,
}

impl Word<'_> {
    fn shown(&self) -> String {
        self.text.escape_ascii().to_string()
    }

    fn to_text(self) -> Result<String, Wrong> {
        String::from_utf8(self.text.to_vec()).map_err(|_| {
            let found = self.shown();
            wrong(self.column, Problem::NotText { found })
        })
    }

    fn to_key<const TYPE: u8>(self) -> Result<Key<TYPE>, Wrong> {
        let key = self.to_text()?.parse::<Key<TYPE>>();
        key.map_err(|error| wrong(self.column, error.into()))
    }
}

/// What is wrong in a line, and the column from 1.
type Wrong = (usize, Problem);

const fn wrong(column: usize, problem: Problem) -> Wrong {
    (column, problem)
}

/// The words of one line, taken one after another.
struct Words<'a> {
    rest: std::vec::IntoIter<Word<'a>>,
    /// The column behind the line's last character.
    end: usize,
    form: &'static str,
}

impl<'a> Words<'a> {
    fn of(line: &'a [u8]) -> Self {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut words = Vec::new();
        let mut at = 0usize;
        for text in line.split(is_space) {
            if !text.is_empty() {
                let column = at.saturating_add(1);
                words.push(Word { text, column });
            }
            at = at.saturating_add(text.len()).saturating_add(1);
        }
        Self {
            rest: words.into_iter(),
            end: line.len().saturating_add(1),
            form: "",
        }
    }

    fn need(&mut self, what: &'static str) -> Result<Word<'a>, Wrong> {
        let form = self.form;
        self.rest
            .next()
            .ok_or_else(|| wrong(self.end, Problem::Missing { what, form }))
    }

    fn url(&mut self) -> Result<Option<String>, Wrong> {
        let url = self.rest.next().map(Word::to_text).transpose()?;
        self.finish()?;
        Ok(url)
    }

    fn finish(&mut self) -> Result<(), Wrong> {
        match self.rest.next() {
            None => Ok(()),
            Some(word) => {
                let (found, form) = (word.shown(), self.form);
                Err(wrong(word.column, Problem::TooMuch { found, form }))
            }
        }
    }
}

/// A policy that is being read.
#[derive(Default)]
struct Reader {
    logs: Vec<(usize, Log)>,
    witnesses: Vec<(usize, Witness)>,
    nodes: Vec<Node>,
    /// Names, with the line they are defined in and the place of their node.
    names: BTreeMap<Box<[u8]>, (usize, usize)>,
    /// The places of nodes that are members, with the line of the group.
    members: BTreeMap<usize, usize>,
    /// The line of the quorum, and its node.
    quorum: Option<(usize, Option<usize>)>,
}

/// Reads a policy file.
pub(super) fn policy(bytes: &[u8]) -> Result<TrustPolicy, PolicyError> {
    let at = |line: usize, (column, problem): Wrong| PolicyError {
        line,
        column,
        problem,
    };
    if bytes.len() > MAX_POLICY {
        let found = bytes.len();
        return Err(at(1, wrong(1, Problem::TooLong { found })));
    }
    let mut reader = Reader::default();
    let mut number = 0usize;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        number = number.saturating_add(1);
        let text = line
            .strip_suffix(b"\n")
            .ok_or_else(|| at(number, wrong(line.len().max(1), Problem::Unfinished)))?;
        let is_control = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
        if let Some((column, found)) = (1usize..).zip(text).find(|(_, byte)| is_control(byte)) {
            let found = *found;
            return Err(at(number, wrong(column, Problem::Control { found })));
        }
        reader
            .line(number, text)
            .map_err(|wrong| at(number, wrong))?;
    }
    let Some((_, quorum)) = reader.quorum else {
        return Err(at(number.saturating_add(1), wrong(1, Problem::NoQuorum)));
    };
    Ok(TrustPolicy {
        logs: reader.logs.into_iter().map(|(_, log)| log).collect(),
        witnesses: reader.witnesses.into_iter().map(|(_, one)| one).collect(),
        nodes: reader.nodes,
        quorum,
    })
}

impl Reader {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), Wrong> {
        let mut words = Words::of(line);
        let Some(keyword) = words.rest.next() else {
            return Ok(());
        };
        match keyword.text {
            text if text.starts_with(b"#") => Ok(()),
            b"log" => {
                words.form = "log VKEY [URL]";
                self.log(number, words)
            }
            b"witness" => {
                words.form = "witness NAME VKEY [URL]";
                self.witness(number, words)
            }
            b"group" => {
                words.form = "group NAME all|any|NUMBER MEMBER…";
                self.group(number, words)
            }
            b"quorum" => {
                words.form = "quorum NAME|none";
                self.quorum(number, keyword, words)
            }
            _ => {
                let found = keyword.shown();
                Err(wrong(keyword.column, Problem::Keyword { found }))
            }
        }
    }

    fn log(&mut self, number: usize, mut words: Words<'_>) -> Result<(), Wrong> {
        let word = words.need("the log's key")?;
        let key = word.to_key()?;
        let same = |(_, log): &&(usize, Log)| log.key.as_bytes() == key.as_bytes();
        if let Some((first, _)) = self.logs.iter().find(same) {
            return Err(wrong(word.column, Problem::SameKey { first: *first }));
        }
        let url = words.url()?;
        self.logs.push((number, Log { key, url }));
        Ok(())
    }

    fn witness(&mut self, number: usize, mut words: Words<'_>) -> Result<(), Wrong> {
        let name = words.need("the witness's name")?;
        self.check_new(name)?;
        let word = words.need("the witness's key")?;
        let key = word.to_key()?;
        let same = |(_, one): &&(usize, Witness)| one.key.as_bytes() == key.as_bytes();
        if let Some((first, _)) = self.witnesses.iter().find(same) {
            return Err(wrong(word.column, Problem::SameKey { first: *first }));
        }
        if self.witnesses.len() >= MAX_WITNESSES {
            return Err(wrong(1, Problem::TooManyWitnesses));
        }
        let url = words.url()?;
        let node = Node::Witness(self.witnesses.len());
        let witness = Witness {
            name: name.text.into(),
            key,
            url,
        };
        self.witnesses.push((number, witness));
        self.define(number, name, node);
        Ok(())
    }

    fn group(&mut self, number: usize, mut words: Words<'_>) -> Result<(), Wrong> {
        let name = words.need("the group's name")?;
        self.check_new(name)?;
        let threshold = words.need("how many members it takes")?;
        let mut of = Vec::new();
        let mut next = words.need("a member")?;
        loop {
            let place = self.place(next)?;
            if let Some(group) = self.members.insert(place, number) {
                let name = next.shown();
                return Err(wrong(next.column, Problem::MemberTwice { name, group }));
            }
            of.push(place);
            match words.rest.next() {
                Some(word) => next = word,
                None => break,
            }
        }
        let least = least(threshold, of.len())?;
        self.define(number, name, Node::Group { least, of });
        Ok(())
    }

    fn quorum(
        &mut self,
        number: usize,
        keyword: Word<'_>,
        mut words: Words<'_>,
    ) -> Result<(), Wrong> {
        if let Some((first, _)) = self.quorum {
            return Err(wrong(keyword.column, Problem::SecondQuorum { first }));
        }
        let name = words.need("the name of a witness or group, or `none`,")?;
        let node = match name.text {
            NONE => None,
            _ => Some(self.place(name)?),
        };
        words.finish()?;
        self.quorum = Some((number, node));
        Ok(())
    }

    fn check_new(&self, name: Word<'_>) -> Result<(), Wrong> {
        if name.text == NONE {
            return Err(wrong(name.column, Problem::Reserved));
        }
        match self.names.get(name.text) {
            None => Ok(()),
            Some((first, _)) => Err(wrong(
                name.column,
                Problem::SameName {
                    name: name.shown(),
                    first: *first,
                },
            )),
        }
    }

    fn define(&mut self, number: usize, name: Word<'_>, node: Node) {
        let place = self.nodes.len();
        self.nodes.push(node);
        self.names.insert(name.text.into(), (number, place));
    }

    fn place(&self, name: Word<'_>) -> Result<usize, Wrong> {
        let found = self.names.get(name.text).map(|(_, place)| *place);
        found.ok_or_else(|| {
            let name_shown = name.shown();
            wrong(name.column, Problem::Unknown { name: name_shown })
        })
    }
}

/// Reads how many members it takes.
fn least(word: Word<'_>, members: usize) -> Result<usize, Wrong> {
    let number = || {
        let text = std::str::from_utf8(word.text).ok()?;
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        text.parse().ok().filter(|_| is_decimal)
    };
    let least = match word.text {
        b"all" => Some(members),
        b"any" => Some(1),
        _ => number(),
    };
    least
        .filter(|least| (1..=members).contains(least))
        .ok_or_else(|| {
            let found = word.shown();
            wrong(word.column, Problem::Threshold { found, members })
        })
}
