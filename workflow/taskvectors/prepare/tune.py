"""``python -m taskvectors.prepare.tune``: the embedded model with its language model tuned.

A published vision-and-language model's language model has moved away from the one it grew
from; the embedded model's is that one, to the bit. Here low-rank changes of the attention's
queries and values are trained on captions of the training images and merged into the
weights, so that vectors of the language model can be patched into a model that is not it.
The vision tower stays as it is. Captions hold an image's *name* and never a label of any task;
the few steps were chosen so that it does not forget how to follow examples in general, and
nothing by looking at transfer.
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedTokenizerBase

from taskvectors.base.command import parse, run_command
from taskvectors.base.files import folder_written_whole, write_json
from taskvectors.base.progress import track
from taskvectors.models.embedded import EmbeddedForConditionalGeneration
from taskvectors.models.weights import load_weights
from taskvectors.prepare.drawings import Drawings, in_passes, load_drawings, training_parser

log = logging.getLogger("taskvectors")
RANK, SCALE, LEARNING_RATE, BATCH = 8, 2.0, 1e-3, 8
EVERY = 6  # one held-out image in so many is captioned for the perplexity
CHANGED = ("q_proj", "v_proj")
# What the tuned model learns to say, word by word: other words would be another model.
CAPTIONS = ("A picture of {}.", "This is {}.", "What you see here is {}.")
# About nothing that is studied here: its perplexity says how much was forgotten.
PLAIN = (
    "The rain had stopped before noon, and by the time the train left the station the "
    "platforms were dry again. She read the letter twice, folded it, and put it back into "
    "the book. When a machine has been running for a long time, its parts become warm, and a "
    "careful engineer checks the oil first. Nobody answered the telephone, so he wrote a note "
    "and pushed it under the door."
)


class LowRank(nn.Module):
    """A weight (out, in) plus a change of rank `RANK`, which begins as none."""

    def __init__(self, weight: Tensor, rng: Generator):
        super().__init__()
        rows, columns = weight.shape
        self.down = nn.Parameter(torch.randn((RANK, columns), generator=rng) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, RANK))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + SCALE * self.up @ self.down


def add_low_rank(model: nn.Module, rng: Generator) -> list[nn.Parameter]:
    """Put a trainable change on every weight in `CHANGED`; all other weights are frozen."""
    model.requires_grad_(False)
    changes = []
    for name, layer in model.named_modules():
        if name.rpartition(".")[2] in CHANGED:
            change = LowRank(layer.weight, rng)
            parametrize.register_parametrization(layer, "weight", change)
            changes += list(change.parameters())
    return changes


def merge_low_rank(model: nn.Module) -> None:
    """Write the changes into the weights, so that the model is an ordinary one again."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def caption_loss(
    model: EmbeddedForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    features: Tensor,
    captions: Sequence[str],
) -> Tensor:
    """Mean loss in nats per caption token, each caption after its image and a line's end."""
    rows = [torch.tensor(tokenizer("\n" + caption)["input_ids"]) for caption in captions]
    ids = pad_sequence(rows, batch_first=True)
    wanted = pad_sequence(rows, batch_first=True, padding_value=-100)
    embedded = torch.cat([features, model.get_input_embeddings()(ids)], dim=1)
    logits = model(inputs_embeds=embedded).logits[:, features.shape[1] : -1]
    return F.cross_entropy(logits.flatten(0, 1), wanted[:, 1:].flatten(), ignore_index=-100)


def tune(
    model: EmbeddedForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    drawings: Drawings,
    names: list[str],
    steps: int,
    rng: Generator,
) -> None:
    """Train and merge low-rank changes of the language model, in place."""
    changes = add_low_rank(model.language_model, rng)
    optimizer = torch.optim.AdamW(changes, lr=LEARNING_RATE, weight_decay=0.0)
    drawn = torch.randint(len(drawings.names), (steps, BATCH), generator=rng)
    forms = torch.randint(len(CAPTIONS), (steps, BATCH), generator=rng)
    images, places = drawn.unique(return_inverse=True)
    features = in_passes(model.get_image_features, drawings.squares[images])
    for step in track(range(steps), steps, "tune the language model"):
        captions = [
            CAPTIONS[form].format(names[drawings.names[number]])
            for form, number in zip(forms[step].tolist(), drawn[step].tolist(), strict=True)
        ]
        loss = caption_loss(model, tokenizer, features[places[step]].clone(), captions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    merge_low_rank(model.language_model)


@torch.inference_mode()
def perplexities(
    model: EmbeddedForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    features: Tensor,
    names: Sequence[str],
) -> dict[str, float]:
    """Perplexity of the captions of images (their features and names), and of plain text."""
    captions = [CAPTIONS[0].format(name) for name in names]
    ids = torch.tensor([tokenizer(PLAIN)["input_ids"]])
    logits = model(input_ids=ids).logits[0, :-1]
    return {
        "captions": float(caption_loss(model, tokenizer, features, captions).exp()),
        "plain_text": float(F.cross_entropy(logits, ids[0, 1:]).exp()),
    }


def main() -> None:
    parser = training_parser(__doc__)
    parser.add_argument("--model", required=True, type=Path, help="the embedded model's folder")
    args = parse(parser)
    rng = Generator().manual_seed(args.seed)
    model = load_weights(AutoModelForImageTextToText, args.model, "float32").eval()
    processor = AutoProcessor.from_pretrained(args.model, trust_remote_code=False)
    drawings, names = load_drawings(args.training, None)
    held_out, _ = load_drawings(args.held_out, names)
    features = in_passes(model.get_image_features, held_out.squares[::EVERY])
    shown = [names[index] for index in held_out.names[::EVERY]]
    found = {"before": perplexities(model, processor.tokenizer, features, shown)}
    tune(model, processor.tokenizer, drawings, names, args.steps, rng)
    found["after"] = perplexities(model, processor.tokenizer, features, shown)
    log.info("perplexity of held-out captions and of plain text: %s", found)
    with folder_written_whole(args.out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        shutil.copyfile(args.model / "naming.json", folder / "naming.json")
        write_json(
            folder / "tuning.json",
            {"steps": args.steps, "held_out_captions": len(shown), "perplexity": found},
        )


if __name__ == "__main__":
    run_command(main)
