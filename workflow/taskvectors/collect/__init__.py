"""Stage collect: one picture per entity and a manifest of where each came from."""
