"""Rows of product briefs and the copy written from them: read, checked against each other, compared, made prompts."""
