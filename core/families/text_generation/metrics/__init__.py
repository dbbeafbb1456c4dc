"""Evidence about written answers: each row has a prompt and references, and a model writes a text."""
