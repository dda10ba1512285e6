"""From normed residual streams to token logits: in float32, whatever the weights are in."""

from typing import Any

from torch import Tensor, float32, nn, tanh
from torch.nn.functional import linear

TOKENS_AT_ONCE = 2**14  # of the vocabulary: 0.3 GB of weights where they are 4096 wide


def unembed(unembedding: Any, normed: Tensor) -> Tensor:
    """Normed residual streams (..., width) to logits (..., vocabulary), float32.

    bfloat16 has 8 significant bits, so that of its logits one answer in twenty is a tie. Weights
    and streams of half precision are therefore multiplied as float32, which holds the product of
    any two of them exactly; weights are cast some tokens at a time. A map that is no plain linear
    one, as where it is quantised, is called as it is.
    """
    if type(unembedding) is not nn.Linear or unembedding.weight.dtype == float32:
        return unembedding(normed).float()
    wide, weight, bias = normed.float(), unembedding.weight, unembedding.bias
    logits = wide.new_empty(*wide.shape[:-1], len(weight))
    for first in range(0, len(weight), TOKENS_AT_ONCE):
        some = slice(first, first + TOKENS_AT_ONCE)
        logits[..., some] = linear(wide, weight[some].float())
    return logits if bias is None else logits + bias.float()


def scaled(logits: Tensor, config: Any) -> Tensor:
    """Logits as a model's configuration scales and caps those of its language model."""
    config = config.get_text_config()
    scaling = getattr(config, "logits_scaling", None)  # Granite's
    logits = logits if scaling is None else logits / scaling
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma 2's
    return logits if cap is None else cap * tanh(logits / cap)
