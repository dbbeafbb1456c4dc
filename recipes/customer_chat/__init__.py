"""Answer customers like your best agent."""
