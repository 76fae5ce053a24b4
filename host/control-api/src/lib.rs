//! HTTP, server-sent events, OpenAPI, problems.
