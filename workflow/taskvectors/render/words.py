"""Kept until the renderers name the module below."""

from taskvectors.study.words import NON_WORD, is_word, visible

__all__ = ["NON_WORD", "is_word", "visible"]
