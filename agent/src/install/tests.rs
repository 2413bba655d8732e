//! What is put into settings, and what stays in them.

use serde_json::Value;

use super::*;
use crate::hook::Dialect;
use place::Homes;

const ALL: [Dialect; 4] = [
    Dialect::Claude,
    Dialect::Codex,
    Dialect::Gemini,
    Dialect::Copilot,
];

fn hooks(client: Dialect) -> Hooks {
    Hooks::new(client, Path::new("/opt/bin/countersign-agent"), None).unwrap()
}

fn put(scope: Scope, before: &str, client: Dialect) -> String {
    merge(scope, Path::new("/x"), before, &hooks(client), false)
        .unwrap()
        .unwrap_or_else(|| before.to_owned())
}

fn take(scope: Scope, before: &str, client: Dialect) -> String {
    merge(scope, Path::new("/x"), before, &hooks(client), true)
        .unwrap()
        .unwrap_or_else(|| before.to_owned())
}

#[test]
fn empty_settings_get_exactly_this() {
    for client in ALL {
        let name = format!("settings-{}", client.word());
        insta::assert_snapshot!(name, put(Scope::User, "", client));
    }
    let codex = put(Scope::Managed, "", Dialect::Codex);
    insta::assert_snapshot!("requirements-codex", codex);
}

#[test]
fn what_stands_in_settings_stays_as_it_is() {
    let before = r#"{
  // mine
  "model": "opus",
  "zebra": 1, "aardvark": [1,2],
  "hooks": {
    "Stop": [{"hooks": [{"type": "command", "command": "say done"}]}],
    "PreToolUse": [
      {"matcher": "Bash", "hooks": [{"type": "command", "command": "/bin/lint"}]},
    ]
  },
}
"#;
    let after = put(Scope::User, before, Dialect::Claude);
    for line in before.lines().filter(|line| line.trim().len() > 3) {
        let line = line.trim().trim_end_matches(',');
        assert!(after.contains(line), "{line} is gone:\n{after}");
    }
    assert!(after.find("zebra") < after.find("aardvark"));
    assert!(after.contains("/opt/bin/countersign-agent"));
    // In and out again leaves the meaning, the comments and the order.
    let back = take(Scope::User, &after, Dialect::Claude);
    assert!(!back.contains("countersign-agent"), "{back}");
    for line in before.lines().filter(|line| line.trim().len() > 3) {
        let line = line.trim().trim_end_matches(',');
        assert!(back.contains(line), "{line} is gone:\n{back}");
    }
}

#[test]
fn installing_again_changes_nothing_and_a_new_path_takes_the_place_of_the_old() {
    for client in ALL {
        let once = put(Scope::User, "", client);
        let again = merge(Scope::User, Path::new("/x"), &once, &hooks(client), false).unwrap();
        assert_eq!(again, None, "{client:?}");
        let moved = Hooks::new(client, Path::new("/usr/bin/countersign-agent"), None).unwrap();
        let after = merge(Scope::User, Path::new("/x"), &once, &moved, false)
            .unwrap()
            .unwrap();
        assert!(!after.contains("/opt/bin"), "{after}");
        assert_eq!(
            after.matches("/usr/bin/countersign-agent").count(),
            hooks(client).events().len()
        );
        assert_eq!(
            take(Scope::User, &after, client)
                .matches("countersign")
                .count(),
            0
        );
    }
    let once = put(Scope::Managed, "", Dialect::Codex);
    assert_eq!(put(Scope::Managed, &once, Dialect::Codex), once);
}

#[test]
fn a_path_with_blanks_and_quotes_is_found_again() {
    for client in ALL {
        let ours = Path::new("/opt/it's our tools/countersign-agent");
        let ours = Hooks::new(client, ours, None).unwrap();
        let put = |before: &str, remove| {
            let done = merge(Scope::User, Path::new("/x"), before, &ours, remove);
            done.unwrap()
        };
        let once = put("", false).unwrap();
        assert_eq!(put(&once, false), None, "{client:?}: {once}");
        let gone = put(&once, true).unwrap();
        assert!(!gone.contains("countersign"), "{client:?}: {gone}");
    }
}

#[test]
fn only_our_own_hook_of_this_client_is_taken_out() {
    let before = r#"{"hooks": {"PreToolUse": [
  {"matcher": "*", "hooks": [
    {"type": "command", "command": "/opt/bin/countersign-agent", "args": ["hook", "claude"]},
    {"type": "command", "command": "/opt/bin/other", "args": ["hook", "claude"]}
  ]},
  {"matcher": "*", "hooks": [{"type": "command", "command": "countersign-agent hook codex"}]},
  {"matcher": "*", "hooks": [{"type": "command", "command": "countersign-agent wait x"}]}
]}}"#;
    let after = take(Scope::User, before, Dialect::Claude);
    let value: Value = serde_json::from_str(&after).unwrap();
    let groups = value["hooks"]["PreToolUse"].as_array().unwrap();
    assert_eq!(groups.len(), 3, "{after}");
    assert_eq!(groups[0]["hooks"].as_array().unwrap().len(), 1);
    assert_eq!(groups[0]["hooks"][0]["command"], "/opt/bin/other");
}

#[test]
fn requirements_keep_their_comments_and_other_hooks() {
    let before = "# ours\nallowed_approval_policies = [\"on-request\"]\n\n[[hooks.PreToolUse]]\n\
                  matcher = \"Bash\"\n[[hooks.PreToolUse.hooks]]\ntype = \"command\"\n\
                  command = \"/bin/lint\"\n";
    let after = put(Scope::Managed, before, Dialect::Codex);
    for line in before.lines() {
        assert!(after.contains(line), "{line} is gone:\n{after}");
    }
    assert!(after.contains("/opt/bin/countersign-agent hook codex"));
    let back = take(Scope::Managed, &after, Dialect::Codex);
    assert!(!back.contains("countersign-agent hook"), "{back}");
    assert!(back.contains("/bin/lint"));
}

#[test]
fn settings_that_cannot_be_merged_into_are_left_alone() {
    for before in [
        "[]",
        "{",
        "{'hooks': {}}",
        "{\"hooks\": []}",
        "{\"hooks\": {\"PreToolUse\": {}}}",
        "{\"hooks\": {}, \"hooks\": {}}",
        "{\"hooks\": {}} trailing",
    ] {
        for remove in [false, true] {
            let hooks = hooks(Dialect::Claude);
            let error = merge(Scope::User, Path::new("/x"), before, &hooks, remove);
            assert!(
                matches!(error, Err(InstallError::Settings { .. })),
                "{before}: {error:?}"
            );
        }
    }
    for before in [
        "x",
        "hooks = 7",
        "allow_managed_hooks_only = false",
        "[hooks]\nmanaged_dir = \"/elsewhere\"",
        "[hooks]\nPreToolUse = 7",
    ] {
        let hooks = hooks(Dialect::Codex);
        let error = merge(Scope::Managed, Path::new("/x"), before, &hooks, false);
        assert!(
            matches!(error, Err(InstallError::Settings { .. })),
            "{before}: {error:?}"
        );
    }
}

#[test]
fn a_path_with_blanks_reaches_a_shell_as_one_word() {
    let home = Some(Path::new("/srv/it's here"));
    let program = Path::new("/opt/my tools/countersign-agent");
    let hooks = Hooks::new(Dialect::Gemini, program, home).unwrap();
    let command = hooks.command(hooks.events()[0]);
    assert_eq!(
        command,
        r"'/opt/my tools/countersign-agent' --home '/srv/it'\''s here' hook gemini --limit 23h"
    );
}

#[test]
fn each_client_has_its_own_places() {
    let homes = Homes {
        home: Some("/home/dev".into()),
        ..Homes::default()
    };
    let of = |client, scope| {
        place::settings(client, scope, &homes).map(|path| path.to_str().unwrap().to_owned())
    };
    for (client, user, project) in [
        (
            Dialect::Claude,
            "/home/dev/.claude/settings.json",
            ".claude/settings.json",
        ),
        (
            Dialect::Codex,
            "/home/dev/.codex/hooks.json",
            ".codex/hooks.json",
        ),
        (
            Dialect::Gemini,
            "/home/dev/.gemini/settings.json",
            ".gemini/settings.json",
        ),
        (
            Dialect::Copilot,
            "/home/dev/.copilot/hooks/countersign.json",
            ".github/hooks/countersign.json",
        ),
    ] {
        assert_eq!(of(client, Scope::User).unwrap(), user);
        assert_eq!(of(client, Scope::Project).unwrap(), project);
    }
    assert!(of(Dialect::Gemini, Scope::Managed).is_err());
    assert!(of(Dialect::Copilot, Scope::Managed).is_err());
    let nowhere = place::settings(Dialect::Gemini, Scope::User, &Homes::default());
    assert!(matches!(nowhere, Err(InstallError::NoHome)));
}

#[test]
fn settings_are_written_whole_with_their_permissions_and_through_links() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("dotfiles.json");
    let link = dir.path().join("settings.json");
    fs::write(&real, "{}").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    write(&link, "{\"a\": 1}\n").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "{\"a\": 1}\n");
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o600);
    write(&dir.path().join("new/settings.json"), "{}\n").unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn a_program_that_others_can_exchange_is_not_managed() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("countersign-agent");
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let error = check_managed(&program).unwrap_err();
    assert!(matches!(error, InstallError::NotManaged { .. }), "{error}");
}
