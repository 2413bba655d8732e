use ratatui::layout::Rect;

use serde_json::{Value, json};

use super::super::fixtures::{Desk, command, detail};
use super::super::model::Tier;
use super::*;

#[test]
fn a_picture_escapes_what_xml_reads() {
    assert_eq!(
        escaped("<a href=\"x\">'&'"),
        "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;"
    );
}

#[test]
fn a_control_character_is_refused() {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 2));
    buffer.content[5] = Cell::new("\u{1b}");
    assert_eq!(
        svg(&buffer, ""),
        Err(PictureError::Control { column: 1, row: 1 })
    );
}

#[test]
fn a_screen_with_hostile_text_becomes_a_picture_of_its_encoding() {
    let mut desk = Desk::with((80, 24), vec![detail(2, Tier::High, command())]);
    desk.play("l");
    let picture = svg(&desk.buffer, "countersign").unwrap();
    assert!(picture.contains("&lt;U+202E&gt;"));
    assert!(picture.contains("ARMED"));
    assert_eq!(picture.matches("<svg").count(), 1);
    assert!(!picture.contains("<script"));
    assert_eq!(svg(&desk.buffer, "countersign").unwrap(), picture);
}

/// A change that looks like a routine roll-out and hides something.
fn roll_out() -> Value {
    let before = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  replicas: 3
  template:
    spec:
      serviceAccountName: api
      containers:
        - name: api
          image: registry.example/api:1.42
          resources:
            limits:
              memory: 512Mi
";
    let after = before
        .replace("replicas: 3", "replicas: 30")
        .replace(":1.42", ":1.43\u{200b}")
        .replace("AccountName: api", "AccountName: cluster-admin");
    json!({
        "v": 1, "kind": "file.write",
        "target": {"kind": "repository", "name": "deployments"},
        "arguments": {},
        "changes": [{"path": "prod/api.yaml", "before": {"text": before}, "after": {"text": after}, "mode": null}],
        "context": {"cwd": "/srv/deployments"},
        "claims": {"agent": "deploy-bot", "reason": "roll out 1.43 before the sale starts"},
    })
}

#[test]
fn the_picture_in_the_documentation_is_the_console_as_it_is() {
    let mut desk = Desk::with((104, 30), vec![detail(7, Tier::Medium, roll_out())]);
    desk.play("l2A");
    let picture = svg(&desk.buffer, "countersign").unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/console.svg");
    if std::env::var_os("UPDATE_PICTURE").is_some() {
        std::fs::write(path, &picture).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == picture,
        "docs/console.svg is not what the console draws; look at the change, and renew it with\n    \
         UPDATE_PICTURE=1 cargo test -p countersign picture\n{}",
        desk.screen()
    );
}
