//! SQLite: event log, projections, journal of model calls, artifacts.
