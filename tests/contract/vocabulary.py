"""Small real tokenizers, trained on a few sentences, of the two kinds that models have."""

from __future__ import annotations

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

WORDS = ["Japan", "Tokyo", "France", "Paris", "Peru", "Lima", "Kenya", "Nairobi", "blue", "cat"]
SENTENCES = [f"Q:{word}\nA:{word}\n\n" for word in WORDS] + [
    "The capital city of the country:",
    "image 0: the cat sat on a mat, and image 1: a dog 2345 6789",
]


def byte_level(special: list[str], **named: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE without BOS, as in GPT-2, Qwen and SmolLM2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=_added(["<eos>", "<pad>", *special]),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", **_named(named)
    )


def sentencepiece(special: list[str], **named: str) -> PreTrainedTokenizerFast:
    """BPE of characters with a word mark, byte fallback and BOS, as in Llama and Mistral."""
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trained = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    # Merges must not cross punctuation or lines, as they do not in the real vocabularies.
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "removed"),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        special_tokens=_added(["<unk>", "<s>", "</s>", "<pad>", *special, *bytes_]),
        show_progress=False,
    )
    trained.train_from_iterator(SENTENCES, trainer)
    tokenizer = trained
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        **_named(named),
    )


def _added(tokens: list[str]) -> list[AddedToken]:
    return [AddedToken(token, special=not token.startswith("<0x")) for token in tokens]


def _named(named: str) -> dict:
    """Names by which a processor asks for a family's tokens, e.g. ``image_token``."""
    return {"extra_special_tokens": dict(named)} if named else {}
