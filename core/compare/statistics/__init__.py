"""A ladder of systems on the same test rows: what they score, what the rows show, what more of it would cost."""
