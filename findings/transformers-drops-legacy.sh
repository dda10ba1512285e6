#!/usr/bin/env bash
# transformers 5 builds the tokenizers of the class LlamaTokenizer (Idefics2's among them) anew from
# the key `legacy` in tokenizer_config.json, but `save_pretrained` does not write that key. So a
# tokenizer that is saved and loaded again has other rules than before: text behind an added token,
# as behind every image of a prompt, loses the word mark that it began with.
# Seen with transformers 5.23.0, tokenizers 0.23.3, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3 jinja2
cd "$folder"
cat > shown.py <<'PYTHON'
import json
from pathlib import Path

import transformers
from tokenizers import AddedToken, Tokenizer, models
from transformers import AutoTokenizer

SPECIAL = ["<unk>", "<s>", "</s>", "<image>"]
vocabulary = {token: place for place, token in enumerate([*SPECIAL, "▁", "\n", *"QA:"])}
file = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
file.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
first = Path("released")
first.mkdir()
file.save(str(first / "tokenizer.json"))
settings = {"tokenizer_class": "LlamaTokenizer", "legacy": True, "unk_token": "<unk>"}
(first / "tokenizer_config.json").write_text(json.dumps(settings))

print("transformers", transformers.__version__)
loaded = AutoTokenizer.from_pretrained(first)
loaded.save_pretrained("saved")
kept = "legacy" in json.loads(Path("saved/tokenizer_config.json").read_text())
again = AutoTokenizer.from_pretrained("saved")
before, after = (
    one.tokenize("Q:<image>\nA:", add_special_tokens=False) for one in (loaded, again)
)
print("as loaded:", before)
print("legacy is in what was saved:", kept)
print("saved and loaded again:", after)
assert not kept and before != after, "another behaviour than was seen"
assert before.count("▁") == after.count("▁") + 1, "another behaviour than was seen"
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" shown.py
