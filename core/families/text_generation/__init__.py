"""The family of recipes whose model writes."""
