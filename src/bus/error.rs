use uuid::Uuid;

use super::TapRefusal;

/// Why the bus did not do what it was asked to. No handler has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The tap did not accept the message.
    #[error(transparent)]
    Refused {
        /// What the tap said.
        source: TapRefusal,
    },
    /// The tap used the bus for a message of its own while it was looking at one.
    #[error("the tap sent a message while it was looking at another one")]
    TapReentered,
    /// The endpoint has no handler. The tap has not seen the message.
    #[error("no handler is registered at endpoint {endpoint}")]
    UnknownEndpoint {
        /// The endpoint.
        endpoint: String,
    },
    /// The endpoint has a handler already; it stays.
    #[error("endpoint {endpoint} has a handler already; deregister it first")]
    EndpointTaken {
        /// The endpoint.
        endpoint: String,
    },
    /// Nobody waits for this response. The tap has not seen it, unless it was the tap that
    /// cancelled the request.
    #[error("no request with correlation id {correlation_id} is pending")]
    UnknownCorrelation {
        /// The response's correlation id.
        correlation_id: Uuid,
    },
    /// A request with this correlation id waits for its response; it goes on waiting.
    #[error("a request with correlation id {correlation_id} is pending already")]
    DuplicateCorrelation {
        /// The request's correlation id.
        correlation_id: Uuid,
    },
}
