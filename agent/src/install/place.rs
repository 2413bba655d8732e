//! Where each client keeps the settings that hooks are in.

use std::path::{Path, PathBuf};

use super::InstallError;
use crate::cli::ScopeOptions;
use crate::hook::Dialect;

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The user's.
    User,
    /// Those of the project in the current directory.
    Project,
    /// The machine's, which only root can write.
    Managed,
}

impl Scope {
    pub(super) const fn of(options: &ScopeOptions) -> Self {
        if options.managed {
            Self::Managed
        } else if options.project {
            Self::Project
        } else {
            Self::User
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Managed => "managed",
        }
    }
}

/// The directories that settings are looked for in.
#[derive(Debug, Clone, Default)]
pub(super) struct Homes {
    /// The user's home.
    pub(super) home: Option<PathBuf>,
    /// Where Claude Code was told to keep the user's settings.
    pub(super) claude: Option<PathBuf>,
    /// Where Codex was told to.
    pub(super) codex: Option<PathBuf>,
}

impl Homes {
    pub(super) fn take() -> Self {
        let directory = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        Self {
            home: directory("HOME"),
            claude: directory("CLAUDE_CONFIG_DIR"),
            codex: directory("CODEX_HOME"),
        }
    }

    fn below_home(&self, name: &str) -> Result<PathBuf, InstallError> {
        let home = self.home.as_ref().ok_or(InstallError::NoHome)?;
        Ok(home.join(name))
    }

    fn told_or(&self, told: Option<&PathBuf>, name: &str) -> Result<PathBuf, InstallError> {
        told.map_or_else(|| self.below_home(name), |told| Ok(told.clone()))
    }
}

/// Returns the file.
pub(super) fn settings(
    client: Dialect,
    scope: Scope,
    homes: &Homes,
) -> Result<PathBuf, InstallError> {
    let fixed = |path: &str| Ok(Path::new(path).to_path_buf());
    match (client, scope) {
        (Dialect::Claude, Scope::Managed) => fixed("/etc/claude-code/managed-settings.json"),
        (Dialect::Claude, Scope::User) => Ok(homes
            .told_or(homes.claude.as_ref(), ".claude")?
            .join("settings.json")),
        (Dialect::Claude, Scope::Project) => fixed(".claude/settings.json"),
        (Dialect::Codex, Scope::Managed) => fixed("/etc/codex/requirements.toml"),
        (Dialect::Codex, Scope::User) => Ok(homes
            .told_or(homes.codex.as_ref(), ".codex")?
            .join("hooks.json")),
        (Dialect::Codex, Scope::Project) => fixed(".codex/hooks.json"),
        (Dialect::Gemini, Scope::User) => homes.below_home(".gemini/settings.json"),
        (Dialect::Gemini, Scope::Project) => fixed(".gemini/settings.json"),
        (Dialect::Copilot, Scope::User) => homes.below_home(".copilot/hooks/countersign.json"),
        (Dialect::Copilot, Scope::Project) => fixed(".github/hooks/countersign.json"),
        (Dialect::Gemini | Dialect::Copilot, Scope::Managed) => Err(InstallError::NoPlace {
            client: client.word(),
            scope: scope.word(),
        }),
    }
}

/// Tells whether the file is TOML.
pub(super) const fn is_toml(client: Dialect, scope: Scope) -> bool {
    matches!((client, scope), (Dialect::Codex, Scope::Managed))
}
