"""Mantis-Fuyu: several images between texts, on the stock Fuyu classes."""

import logging
import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BatchFeature, PreTrainedConfig

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.base.images import open_rgb
from taskvectors.models.boundary import Token, tokens_of
from taskvectors.models.foreign import load_config
from taskvectors.models.generic import GenericAdapter

log = logging.getLogger("taskvectors")
PATCH, NEWLINE = "|SPEAKER|", "|NEWLINE|"
BEFORE, AFTER = "|IMAGE|", "|ENDOFIMAGE|"
ROPE_THETA = 25000.0


class FuyuAdapter(GenericAdapter):
    """Patches of pixels, row by row, in the midst of the text.

    The stock processor takes one image and puts it first, so prompts are laid out here as
    Mantis' own does (mantis-vl 0.0.5, ``mfuyu/processor.py``): ``image {i}: `` before image i,
    counted from 0; the patches between two frame tokens; and a BOS before every piece of text,
    each tokenised by itself. A prompt without an image has no BOS at all.
    """

    def __init__(self, model: nn.Module, processor: Any, name: str):
        super().__init__(model, processor, name)
        self.image_text = "<image>"
        self.cuttable = False  # every piece of text has a BOS and a space before it
        known = self.tokenizer.get_vocab()
        missing = [token for token in (PATCH, NEWLINE, BEFORE, AFTER) if token not in known]
        if missing:
            raise UserError(
                f"the tokenizer of {name} lacks {', '.join(missing)}; only a Fuyu that was trained "
                "on images between texts (Mantis) can be used."
            )

    @property
    def placeholder_id(self) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(PATCH))

    @classmethod
    def configure(cls, folder: Path) -> PreTrainedConfig:
        """With the rope base that transformers 4 left out of files where it was the default."""
        config = load_config(folder)
        theta = cls.stated_rope_theta(folder)
        if theta is None:
            theta = ROPE_THETA
            log.info("%s states no rope_theta; %g is used, as in transformers 4", folder, theta)
        config.text_config.rope_parameters["rope_theta"] = theta
        return config

    @staticmethod
    def stated_rope_theta(folder: Path) -> float | None:
        """The rope base that the checkpoint's configuration states, wherever it does."""
        raw = read_json(folder / "config.json")
        text = raw.get("text_config") or {}
        stated = {**raw, **text, **(text.get("rope_parameters") or {})}
        return stated.get("rope_theta")

    def notes(self, folder: Path) -> list[str]:
        if self.stated_rope_theta(folder) is not None:
            return []
        return [f"The checkpoint states no rope_theta; {ROPE_THETA:g} is used, as it was trained."]

    def alone(self, image: str) -> BatchFeature:
        """Pixels of an image's patches (patches, values), and how many a row has.

        The stock processor cannot do it where torchvision is missing, nor cut it alike where
        it is there, so the image processor's pixels are cut here.
        """
        processor = self.processor.image_processor
        inputs = processor([open_rgb(Path(image))])
        high, wide = processor.patch_size["height"], processor.patch_size["width"]
        rows = math.ceil(int(inputs["image_unpadded_heights"][0][0]) / high)
        row = math.ceil(int(inputs["image_unpadded_widths"][0][0]) / wide)
        pixels = torch.as_tensor(inputs["images"][0][0])[:, : rows * high, : row * wide]
        patches = pixels.reshape(-1, rows, high, row, wide).permute(1, 3, 2, 4, 0)
        return BatchFeature({"pixel_values": patches.reshape(rows * row, -1), "row": row})

    def expanded(self, inputs: BatchFeature) -> str:
        rows = len(inputs["pixel_values"]) // inputs["row"]
        return BEFORE + (PATCH * inputs["row"] + NEWLINE) * rows + AFTER

    def unframed(self, image: str, number: int) -> str:
        return f"image {number}: {super().unframed(image, number)}"

    def tokens(self, text: str) -> list[Token]:
        pieces = re.split(f"({re.escape(BEFORE)}.*?{re.escape(AFTER)})", text)
        found: list[Token] = []
        start = 0
        for piece in pieces:
            if piece.startswith(BEFORE):
                found += self._frame_tokens(piece, start)
            elif piece:
                if len(pieces) > 1:
                    found.append((self.tokenizer.bos_token_id, start, start))
                inside = tokens_of(self.tokenizer, piece, special=False)
                found += [(token, start + a, start + b) for token, a, b in inside]
            start += len(piece)
        return found

    def _frame_tokens(self, piece: str, start: int) -> list[Token]:
        """Ids of an image's own tokens, which the tokenizer would put a space before."""
        found = []
        for token in re.finditer(r"\|\w+\|", piece):
            number = self.tokenizer.convert_tokens_to_ids(token.group())
            found.append((number, start + token.start(), start + token.end()))
        return found

    def seen(self, inputs: BatchFeature) -> Any:
        pixels = inputs["pixel_values"].to(self.device, self.dtype).unsqueeze(0)
        return self.model.base_model.get_image_features(pixels)

    def features_in(self, output: Any) -> Tensor:
        return output.last_hidden_state[0]
