"""A stranger's chat template, rendered in a child process of limited time, memory and output.

transformers renders it in a sandbox, which keeps it from code but not from work without end.
"""

import json
import resource
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import psutil

from taskvectors.base.errors import UserError

SECONDS = 1  # of computing
BYTES = 2**29  # beyond what the process has
CHARACTERS = 100_000
# A child that has the tokenizer already: it takes milliseconds, a new process a second.
FORK = get_context("fork")

Messages = list[dict[str, Any]]


def rendered(
    tokenizer: Any, template: str, conversations: Sequence[tuple[Messages, bool]]
) -> list[str | None]:
    """What a chat template makes of each conversation, open for a reply without a thought before
    it, or (True) ending with one; None where it raises an error.

    Raises `UserError` where it goes beyond the limits.
    """
    receiver, sender = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_render, args=(sender, tokenizer, template, conversations))
    child.start()
    sender.close()
    try:
        return json.loads(receiver.recv_bytes())
    except EOFError as error:
        raise UserError(
            f"the chat template of {tokenizer.name_or_path} computes for over {SECONDS} s, or "
            f"takes more than {BYTES >> 20} MiB or {CHARACTERS} characters, for a conversation of "
            "a few words; put the one of the model's authors in its place."
        ) from error
    finally:
        receiver.close()
        child.join()


def _render(
    sender: Connection,
    tokenizer: Any,
    template: str,
    conversations: Sequence[tuple[Messages, bool]],
) -> None:
    """Send the texts, or end without a word beyond the limits."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, SECONDS)
    _limit(resource.RLIMIT_AS, psutil.Process().memory_info().vms + BYTES)
    texts: list[str | None] = []
    for messages, reply in conversations:
        try:
            text = tokenizer.apply_chat_template(
                messages,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=not reply,
                enable_thinking=False,
            )
        except MemoryError:
            return
        except Exception:  # noqa: BLE001 - a template may raise any, as any program
            text = None
        texts.append(text)
    if sum(len(text or "") for text in texts) <= CHARACTERS:
        sender.send_bytes(json.dumps(texts).encode())


def _limit(kind: int, most: int) -> None:
    """Hold this process to a limit, or to a lower one that it has."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
