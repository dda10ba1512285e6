"""Stage collect: one image per entity and a manifest of where each came from."""
