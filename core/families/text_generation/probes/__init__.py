"""General questions with answers, which a tuned model is asked to see what it has forgotten."""
