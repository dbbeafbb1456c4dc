"""From a config to a finished run: prepare, tune, judge, record."""
