//! The policy Countersign begins with, and the cases that say what it does.

/// The name of the policy's file.
pub const NAME: &str = "coding-agents.cedar";

/// The policy: safe on the first day for agents that write code. It names no group, so it loads
/// with every roster.
pub const POLICY: &str = include_str!("../starter/coding-agents.cedar");

/// Cases of the policy, for `policy test`.
pub const CASES: &str = include_str!("../starter/coding-agents.test.toml");

/// The catalogue the cases know.
pub const TARGETS: &str = include_str!("../starter/targets.toml");
