"""Adapters: what the engine needs to know of an architecture, one module a family."""
