"""From what was typed and what pages say to one typed config; and what is wrong with either."""
