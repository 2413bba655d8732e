//! The policy Countersign begins with, and the cases that say what it does.

/// The name of the policy's file.
pub const NAME: &str = "coding-agents.cedar";

/// The policy: safe on the first day for agents that write code. It names no group, so it loads
/// with every roster.
pub const POLICY: &str = include_str!("../starter/coding-agents.cedar");

/// The name of the file of its cases.
pub const CASES_NAME: &str = "coding-agents.test.toml";

/// Cases of the policy, for `policy test`. They hold whatever targets are listed.
pub const CASES: &str = include_str!("../starter/coding-agents.test.toml");

/// Cases of the policy where [`TARGETS`] are listed.
pub const TARGET_CASES: &str = include_str!("../starter/targets.test.toml");

/// The catalogue that [`TARGET_CASES`] know.
pub const TARGETS: &str = include_str!("../starter/targets.toml");
