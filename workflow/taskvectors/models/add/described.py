"""What a hub, or a folder, says of a checkpoint. Its weights are not fetched."""

from dataclasses import dataclass
from http import HTTPStatus
from math import prod
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from taskvectors.base.errors import UserError
from taskvectors.models.checkpoint import (
    DESCRIBING,
    WEIGHTS,
    folder_revision,
    stored_tensors,
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it is described where it lies.

    ``source`` is its ``hub`` or ``folder`` and its ``revision``, as in resources/models.yaml;
    ``folder`` has its configuration and tokenizer; ``tensors`` are the numbers of its parameters
    by their type in safetensors, e.g. BF16.
    """

    source: dict[str, str]
    folder: Path
    tensors: dict[str, int]
    licence: str
    gated: bool


def of_hub(api: HfApi, hub: str, into: Path) -> Checkpoint:
    """The newest commit of a hub's repository; all but its weights is fetched ``into`` a folder.

    Raises `UserError` where the hub has no such repository or cannot be reached, where its terms
    were not accepted, and where it has no safetensors.
    """
    try:
        found = api.model_info(hub)
        api.snapshot_download(hub, revision=found.sha, local_dir=into, allow_patterns=DESCRIBING)
    except GatedRepoError as error:
        raise UserError(
            f"{hub} is gated: accept its terms at {api.endpoint}/{hub}, then give a token "
            "(`hf auth login`, or HF_TOKEN in the environment)."
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        # What is private and what does not exist are not told apart to strangers.
        if isinstance(error, RepositoryNotFoundError) or status == HTTPStatus.UNAUTHORIZED:
            raise UserError(
                f"{api.endpoint} has no public model {hub!r}; check its name, or give a token "
                "where it is private (`hf auth login`, or HF_TOKEN in the environment)."
            ) from error
        raise _unanswered(api, hub, f"it answers HTTP {status}") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, HTTPError) as error:
        raise _unanswered(api, hub, type(error).__name__) from error
    if found.safetensors is None:
        raise UserError(
            f"{hub} has no weights as {WEIGHTS}, and no other kind is read; look on the hub for "
            "one that has, or convert it in a folder of your own."
        )
    licence = found.card_data.get("license") if found.card_data else None
    source = {"hub": hub, "revision": str(found.sha)}
    tensors = dict(found.safetensors.parameters)
    return Checkpoint(source, into, tensors, str(licence or "not stated"), bool(found.gated))


def _unanswered(api: HfApi, hub: str, reason: str) -> UserError:
    return UserError(
        f"{api.endpoint} cannot be asked about {hub} ({reason}); run this on a machine with a "
        "network, without HF_HUB_OFFLINE, or give a checkpoint folder."
    )


def of_folder(folder: Path) -> Checkpoint:
    """A checkpoint folder. Raises `UserError` where it is none, or has no safetensors."""
    source = {"folder": str(folder.resolve()), "revision": folder_revision(folder)}
    return Checkpoint(source, folder, tensors_in(folder), "that of whoever trained it", False)


def tensors_in(folder: Path) -> dict[str, int]:
    """Numbers of parameters by type, from the headers of a folder's safetensors files."""
    found: dict[str, int] = {}
    for tensor in stored_tensors(folder).values():
        found[tensor.kind] = found.get(tensor.kind, 0) + prod(tensor.shape)
    return found
