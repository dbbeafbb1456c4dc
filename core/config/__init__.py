"""The typed schema of every config, how one is composed, and the errors of both."""
