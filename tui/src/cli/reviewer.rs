//! The roster's file, edited: its comments and its order stay.
//!
//! What would come of an edit is read back as the daemon reads it, before anything is written. The
//! daemon is not told: it takes the file up when it is asked to, and its log says so.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::peer;
use countersign_client::place::Place;
use countersign_client::private::write_alike;
use countersign_shared::roster::{EnrolledKey, Member, Person, Roster};
use serde::Deserialize;
use toml_edit::DocumentMut;

use super::exit::{Done, Trouble};
use super::output;

mod edit;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// What to do with the roster.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a person; `--key FILE` names their public key.
    Add(AddArguments),
    /// List the people of the file.
    List {
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take a person out.
    Remove {
        /// The person's name.
        name: String,
    },
}

/// Who is added.
#[derive(Debug, clap::Args)]
pub(super) struct AddArguments {
    /// The name that the person signs in, such as an address.
    name: String,
    /// The person's OS account.
    #[arg(long, value_name = "ACCOUNT")]
    user: String,
    /// A group that policies may ask for. Repeatable.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

/// `reviewers.toml`, as the daemon reads it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    reviewer: Vec<Person>,
}

pub(super) fn reviewer(home: Option<&Path>, command: &Command, key: Option<&Path>) -> Done {
    let place = Place::find(home).map_err(|error| Trouble::failure(&error))?;
    let path = place.layout().reviewers_file();
    match command {
        Command::List { json } => {
            list(&roster(&path, &read(&path)?)?, *json);
            Ok(())
        }
        Command::Add(arguments) => {
            let key = key.ok_or_else(|| {
                Trouble::usage("`--key` names the person's public key, such as `id_ed25519.pub`")
            })?;
            let person = Person {
                name: arguments.name.clone(),
                user: arguments.user.clone(),
                groups: arguments.groups.clone(),
                keys: vec![public_key(key)?],
            };
            change(&place, &path, |document| edit::add(document, &person))?;
            output::ours(&format!("added {}", person.name));
            tell_how_to_load(&place);
            output::message(
                "in system mode it waits then until a reviewer has signed it: `countersign rules diff` \
                 shows it, `countersign rules sign` signs it",
            );
            Ok(())
        }
        Command::Remove { name } => {
            let left = change(&place, &path, |document| edit::remove(document, name))?;
            output::ours(&format!("removed {name}"));
            if left.is_empty() {
                output::message("nobody is left: once this is loaded, nothing can be approved");
            }
            tell_how_to_load(&place);
            Ok(())
        }
    }
}

/// Edits the file, one program at a time, and returns who is in it then.
fn change(
    place: &Place,
    path: &Path,
    edit: impl FnOnce(&mut DocumentMut) -> Result<(), edit::EditError>,
) -> Result<Roster, Trouble> {
    let directory = fs::File::open(place.layout().config_dir())
        .map_err(|error| unusable(place.layout().config_dir(), &error))?;
    rustix::fs::flock(&directory, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|errno| unusable(place.layout().config_dir(), &errno.into()))?;
    let text = read(path)?;
    // What is wrong already is for a person to mend, with an editor.
    roster(path, &text)?;
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| wrong(path, &error.to_string()))?;
    edit(&mut document).map_err(|error| wrong(path, &error.to_string()))?;
    let edited = document.to_string();
    let roster = roster(path, &edited)?;
    write_alike(path, edited.as_bytes()).map_err(|error| unusable(path, &error))?;
    Ok(roster)
}

/// Reads the file as the daemon does.
fn roster(path: &Path, text: &str) -> Result<Roster, Trouble> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| {
            text.bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
        });
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        wrong(path, &format!("line {}: {message}", line.saturating_add(1)))
    })?;
    Roster::from_people(file.reviewer).map_err(|error| wrong(path, &super::exit::chain(&error)))
}

fn read(path: &Path) -> Result<String, Trouble> {
    let length = fs::metadata(path)
        .map_err(|error| unusable(path, &error))?
        .len();
    if length > LARGEST {
        return Err(wrong(
            path,
            &format!("at most {LARGEST} bytes are read, it has {length}"),
        ));
    }
    fs::read_to_string(path).map_err(|error| unusable(path, &error))
}

/// Reads the line of a public key.
fn public_key(path: &Path) -> Result<String, Trouble> {
    let text = read(path)?;
    if text.contains("PRIVATE KEY") {
        return Err(Trouble::usage(format!(
            "`{}` is a private key; nobody else should have it: name the `.pub` file beside it",
            path.display()
        )));
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line.to_owned()),
        (None, _) | (Some(_), Some(_)) => Err(Trouble::usage(format!(
            "`{}` has to hold one public key on one line",
            path.display()
        ))),
    }
}

fn list(roster: &Roster, as_json: bool) {
    if as_json {
        let people: Vec<Person> = roster.iter().map(Person::from).collect();
        output::json(&serde_json::json!({"schema": 1, "reviewers": people}));
        return;
    }
    if roster.is_empty() {
        output::message("nobody is in it");
    }
    for member in roster.iter() {
        output::ours(&line(member));
    }
}

fn line(member: &Member) -> String {
    let groups: Vec<&str> = member.groups().collect();
    let keys: Vec<&str> = member.keys().iter().map(EnrolledKey::fingerprint).collect();
    let groups = if groups.is_empty() {
        "-".to_owned()
    } else {
        groups.join(",")
    };
    format!(
        "{}  account {}  groups {groups}  {}",
        member.name(),
        member.user(),
        keys.join(" ")
    )
}

/// Says how the daemon takes the file up.
fn tell_how_to_load(place: &Place) {
    let how = match peer::listener(place, &place.review_socket()) {
        Ok(listener) => format!(
            "the daemon goes by the old roster until it is told to reload: `kill -HUP {}`, or \
             `systemctl reload` of its unit",
            listener.pid
        ),
        Err(_) => "the daemon takes it up when it starts".to_owned(),
    };
    output::message(&how);
}

fn wrong(path: &Path, problem: &str) -> Trouble {
    Trouble::new(
        2,
        "roster",
        format!("{}: {problem}; nothing was changed", path.display()),
    )
}

fn unusable(path: &Path, error: &std::io::Error) -> Trouble {
    let exit = if error.kind() == std::io::ErrorKind::PermissionDenied {
        4
    } else {
        1
    };
    let path: PathBuf = path.to_path_buf();
    Trouble::new(
        exit,
        "roster",
        format!("`{}` cannot be used: {error}", path.display()),
    )
}
