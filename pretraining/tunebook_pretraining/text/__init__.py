"""The text starter: its rows, its tokenizer and the recipe that pre-trains it."""
