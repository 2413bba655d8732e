//! Which unit and container a cgroup path means.
//!
//! Below `user.slice` a user's own service manager makes the cgroups, so a name there is the user's
//! word: it is evidence and never part of a principal.

use std::fmt;

use super::process::Unknown;

/// The length of a container's id in hexadecimal digits.
const ID_LENGTH: usize = 64;

/// A container, as its engine names the cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Container {
    /// docker, podman, containerd, cri-o, kubernetes, lxc or nspawn.
    pub engine: &'static str,
    /// The engine's id or name.
    pub id: String,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.engine, self.id)
    }
}

/// Where a process runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The container, made by the system.
    pub container: Option<Container>,
    /// The service of the system's manager.
    pub system_unit: Option<String>,
    /// The cgroup path as the kernel prints it.
    pub path: Vec<u8>,
}

impl Placement {
    /// Returns the part that has authority.
    pub fn authority(&self) -> Option<String> {
        self.container
            .as_ref()
            .map(Container::to_string)
            .or_else(|| self.system_unit.clone())
    }
}

/// Reads the contents of `/proc/PID/cgroup`.
///
/// The unified hierarchy counts, unless it holds the process at its root and systemd's own one says
/// more, as on machines that still have both.
pub(super) fn place(contents: &[u8]) -> Result<Placement, Unknown> {
    let mut unified = None;
    let mut systemd = None;
    for line in contents.split(|byte| *byte == b'\n') {
        if let Some(path) = line.strip_prefix(b"0::") {
            unified = Some(path);
        } else if let Some(path) = of_systemd(line) {
            systemd = Some(path);
        }
    }
    let ((Some(b"/") | None, Some(path)) | (Some(path), _)) = (unified, systemd) else {
        return Err(Unknown::new("it is in no hierarchy that names units"));
    };
    if path.first() != Some(&b'/') {
        return Err(Unknown::new("its path is not absolute"));
    }
    // A path that climbs is outside our cgroup namespace: what its parts mean is not ours to say.
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let outside = parts.contains(&b"..".as_slice());
    let of_a_user = parts.get(1) == Some(&b"user.slice".as_slice());
    let mut placement = Placement {
        path: path.to_vec(),
        ..Placement::default()
    };
    if outside || of_a_user {
        return Ok(placement);
    }
    let mut above: &str = "";
    for part in parts.iter().skip(1) {
        // A name that is not text is no unit's and no engine's.
        let Ok(part) = str::from_utf8(part) else {
            break;
        };
        if let Some(container) = container(above, part) {
            // What is below was made inside the container, by whoever runs there.
            placement.container = Some(container);
            break;
        }
        if part.ends_with(".service") {
            // A service may be allowed to make cgroups below its own: their names are its word.
            placement.system_unit = Some(part.to_owned());
            break;
        }
        above = part;
    }
    Ok(placement)
}

/// Returns the path in a line of the old hierarchy that systemd keeps, `N:name=systemd:PATH`.
fn of_systemd(line: &[u8]) -> Option<&[u8]> {
    let at = line.iter().position(|byte| *byte == b':')?;
    line.get(at..)?.strip_prefix(b":name=systemd:")
}

/// Recognises a container by the name of its cgroup and that of the one above.
fn container(above: &str, part: &str) -> Option<Container> {
    const SCOPES: [(&str, &str); 5] = [
        ("docker-", "docker"),
        ("libpod-", "podman"),
        ("cri-containerd-", "containerd"),
        ("crio-", "cri-o"),
        ("nerdctl-", "containerd"),
    ];
    let found = |engine, id: &str| {
        Some(Container {
            engine,
            id: id.to_owned(),
        })
    };
    if let Some(scope) = part.strip_suffix(".scope") {
        for (prefix, engine) in SCOPES {
            if let Some(id) = scope.strip_prefix(prefix).filter(|id| is_an_id(id)) {
                return found(engine, id);
            }
        }
        if let Some(name) = scope
            .strip_prefix("machine-")
            .filter(|name| !name.is_empty())
        {
            return found("nspawn", name);
        }
    }
    if let Some(machine) = part
        .strip_prefix("systemd-nspawn@")
        .and_then(|rest| rest.strip_suffix(".service"))
    {
        return found("nspawn", machine);
    }
    if let Some(id) = part.strip_prefix("libpod-").filter(|id| is_an_id(id)) {
        return found("podman", id);
    }
    if let Some(name) = part
        .strip_prefix("lxc.payload.")
        .filter(|name| !name.is_empty())
    {
        return found("lxc", name);
    }
    match above {
        "docker" if is_an_id(part) => found("docker", part),
        "lxc" if !part.is_empty() => found("lxc", part),
        _ if above.starts_with("pod") && is_an_id(part) => found("kubernetes", part),
        _ => None,
    }
}

fn is_an_id(text: &str) -> bool {
    text.len() == ID_LENGTH
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn authority(contents: &str) -> Option<String> {
        place(contents.as_bytes()).unwrap().authority()
    }

    #[test]
    fn a_service_of_the_system_is_a_unit() {
        assert_eq!(
            authority("0::/system.slice/etl.service\n").as_deref(),
            Some("etl.service")
        );
        assert_eq!(
            authority("0::/system.slice/system-agent.slice/agent@3.service\n").as_deref(),
            Some("agent@3.service")
        );
        assert_eq!(
            authority("1:name=systemd:/system.slice/etl.service\n0::/\n").as_deref(),
            Some("etl.service")
        );
    }

    #[test]
    fn containers_are_recognised_by_what_their_engine_writes() {
        for (path, wanted) in [
            (format!("/system.slice/docker-{ID}.scope"), "docker"),
            (format!("/docker/{ID}"), "docker"),
            (
                format!("/machine.slice/libpod-{ID}.scope/container"),
                "podman",
            ),
            (
                format!("/kubepods.slice/x.slice/cri-containerd-{ID}.scope"),
                "containerd",
            ),
            (format!("/kubepods/besteffort/pod12/{ID}"), "kubernetes"),
        ] {
            let container = place(format!("0::{path}\n").as_bytes()).unwrap().container;
            assert_eq!(container.unwrap().to_string(), format!("{wanted}:{ID}"));
        }
        assert_eq!(
            authority("0::/lxc.payload.web/x\n").as_deref(),
            Some("lxc:web")
        );
        assert_eq!(authority("0::/lxc/web\n").as_deref(), Some("lxc:web"));
    }

    #[test]
    fn what_a_user_may_name_has_no_authority() {
        for path in [
            format!("/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{ID}.scope"),
            "/user.slice/user-1000.slice/user@1000.service/app.slice/etl.service".to_owned(),
            "/user.slice/user-1000.slice/session-3.scope".to_owned(),
            format!("/../docker/{ID}"),
            "/".to_owned(),
        ] {
            assert_eq!(authority(&format!("0::{path}\n")), None, "{path}");
        }
    }

    #[test]
    fn what_a_service_or_container_makes_below_itself_changes_nothing() {
        assert_eq!(
            authority(&format!("0::/system.slice/etl.service/docker-{ID}.scope\n")).as_deref(),
            Some("etl.service")
        );
        assert_eq!(
            authority(&format!("0::/docker/{ID}/system.slice/other.service\n")),
            Some(format!("docker:{ID}"))
        );
        assert_eq!(
            authority("0::/system.slice/etl.service/other.service\n").as_deref(),
            Some("etl.service")
        );
    }

    #[test]
    fn a_shorter_or_upper_case_id_is_no_container() {
        assert_eq!(authority("0::/docker/0123\n"), None);
        assert_eq!(
            authority(&format!("0::/docker/{}\n", ID.to_uppercase())),
            None
        );
    }

    #[test]
    fn no_hierarchy_is_unknown() {
        place(b"").unwrap_err();
        place(b"4:memory:/x\n").unwrap_err();
        place(b"0::relative\n").unwrap_err();
    }
}
