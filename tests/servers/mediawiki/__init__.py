"""A real MediaWiki for tests."""
