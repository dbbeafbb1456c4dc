"""Write marketing copy that says what the brief says, and nothing it does not."""
