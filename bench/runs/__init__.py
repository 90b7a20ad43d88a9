"""From a request to a record: spec, protocol, teaching, sweeps, and the way back from a record."""
