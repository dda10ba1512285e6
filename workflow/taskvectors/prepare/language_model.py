"""``python -m taskvectors.prepare.language_model``: a GGUF in a package to a checkpoint folder.

The package is never imported, only its file is read. De-quantised once to float32 and
written as safetensors, so that later loads take a second.
"""

import logging
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import folder_written_whole, sha256, write_json
from taskvectors.base.packages import package_file

log = logging.getLogger("taskvectors")


def convert(package: str, file_name: str, out: Path) -> None:
    """Write the checkpoint and ``source.json``. Raises `UserError` where the file is missing."""
    version, source, place = package_file(package, file_name)
    log.info("reading %s of %s %s", file_name, package, version)
    # Handed on, because each class would parse the file's header for it again, for seconds.
    known = AutoConfig.from_pretrained(source.parent, gguf_file=file_name, trust_remote_code=False)
    quantised = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=file_name,
        dtype=torch.float32,
        config=known,
        trust_remote_code=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(
        source.parent, gguf_file=file_name, config=known, trust_remote_code=False
    )
    settings = quantised.config.to_dict()
    settings.pop("quantization_config")
    settings.pop("_name_or_path", None)
    settings.pop("_model_name_or_path", None)
    config = type(quantised.config)(**settings)
    model = type(quantised)(config)
    model.load_state_dict(quantised.state_dict())
    with folder_written_whole(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(
            folder / "source.json",
            {"package": package, "version": version, "path": place, "sha256": sha256(source)},
        )
    log.info("wrote %s", out)


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--package", required=True)
    parser.add_argument("--file", required=True)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    convert(args.package, args.file, args.out)


if __name__ == "__main__":
    run_command(main)
