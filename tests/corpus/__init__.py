"""Hostile and broken input, as data: what a person or a stranger may hand to each door."""
