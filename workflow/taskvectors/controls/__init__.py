"""Stage controls: vectors that should do nothing, patched as the real ones are."""
