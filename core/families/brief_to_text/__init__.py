"""Copy that is written from briefs."""
