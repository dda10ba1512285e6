"""The error that is meant for a person."""


class UserError(Exception):
    """Something a person can mend: one sentence naming the thing, the place and the remedy; where
    several are wrong, each is an argument more, and shown in a line of its own.

    What cannot be seen in names and texts, such as line breaks and a terminal's commands, is shown
    as Python writes it.
    """

    def __str__(self) -> str:
        return "\n  ".join(_seen(str(line)) for line in self.args)


def _seen(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
