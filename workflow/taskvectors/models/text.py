"""Language models without images."""

from pathlib import Path
from typing import Self

from torch import Tensor
from transformers import AutoModelForCausalLM, Cache

from taskvectors.models.base import Adapter
from taskvectors.models.features import Embedded
from taskvectors.models.foreign import load_config, load_tokenizer, reading
from taskvectors.models.tokens import check_tokens
from taskvectors.models.weights import load_weights


class TextAdapter(Adapter):
    """Any causal language model of residual blocks: Llama, Vicuna, Mistral and their like."""

    @classmethod
    def load(cls, folder: Path, name: str, dtype: str, device: str = "cpu") -> Self:
        config, tokenizer = load_config(folder), load_tokenizer(folder)
        with reading(folder, "the tokenizer"):
            check_tokens(tokenizer, folder)
        model = load_weights(AutoModelForCausalLM, folder, dtype, device, config=config)
        return cls(model, tokenizer, name)


class UnmaskedTextAdapter(TextAdapter):
    """A model that counts its positions off a 2-D mask (ALiBi) and so cannot hold branches.

    Rows are padded on the right and the model is causal, so plain rows need no mask at all.
    """

    branching = False

    def decode(
        self,
        inputs: Embedded,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None = None,
    ) -> None:
        self.decoder(
            inputs_embeds=inputs.hidden, past_key_values=cache, use_cache=cache is not None
        )
