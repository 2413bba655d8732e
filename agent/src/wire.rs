//! The generated client of `AgentService`, and of nothing else. The messages live in `shared`.

/// Package `countersign.v1`, as far as agents may call it.
#[expect(
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/countersign.v1.rs"));
}

pub(crate) use generated::agent_service_client::AgentServiceClient;
