"""The error that is meant for a person."""


class UserError(Exception):
    """Something a person can mend: one sentence naming the thing, the place and the remedy."""
