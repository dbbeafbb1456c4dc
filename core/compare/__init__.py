"""A ladder of systems on the same test rows: what is run, how it goes on after a kill, and what came of it."""
