"""The image starter: pictures made by formula, and the recipe that pre-trains on them."""
