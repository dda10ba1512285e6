"""How a token of a vocabulary is shown to people."""

NON_WORD = "◇"  # as in the paper's Table 2
SHOWN = "␣↵◇"


def is_word(text: str) -> bool:
    """Whether a token's text is a word, or a piece of one, of at least two letters."""
    return len(text.strip()) > 1 and text.strip().isalpha()


def visible(text: str, most: int | None = None) -> str:
    """A token's text as it can be read: without outer space, or with its space made visible.

    Characters that fonts and TeX may lack are given by their code points.
    """
    shown = text.strip(" ") or text.replace(" ", "␣")
    shown = shown.replace("\n", "↵")
    spelled = "".join(
        char
        if char in SHOWN or (char.isprintable() and ord(char) < 0x250)
        else f"U+{ord(char):04X}"
        for char in shown
    )
    return spelled[:most] or "(empty)"
