"""Evidence about findings: each is there or not in a row, and a model gives each a probability."""
