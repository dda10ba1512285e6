"""Who collects from Wikipedia: asked before anything runs, and again by whoever asks Wikipedia."""

import re

from taskvectors.base.errors import UserError

CONTACT = re.compile(r"\S+@\S+\.\S+|https?://\S+\.\S+|\bUser:\S+")


def check_contact(contact: str) -> None:
    """Raise `UserError` unless ``contact`` says whom Wikipedia can write to."""
    if not CONTACT.search(contact) or not contact.isprintable():
        raise UserError(
            f"the contact {contact!r} names nobody; Wikipedia asks who is collecting: "
            'set wikipedia.contact in the configuration to "your name <your e-mail>".'
        )
