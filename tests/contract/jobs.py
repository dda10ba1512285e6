"""A job's dataset and command lines, on a tiny checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from taskvectors.base.files import write_json, write_jsonl
from taskvectors.study.datasets import ExemplarSet, Item

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Job:
    """One task of a tiny LLaVA, in a folder of its own."""

    folder: Path
    checkpoint: Path
    items: list[Item]
    sets: list[ExemplarSet]

    def common(self) -> list[str]:
        """Save the task's dataset; the arguments that both stages take."""
        for split in ("validation", "test"):
            rows = [item.as_row() for item in self.items if item.split == split]
            write_jsonl(self.folder / f"{split}.jsonl", rows)
        write_jsonl(self.folder / "exemplars.jsonl", [asdict(drawn) for drawn in self.sets])
        templates = ROOT / "resources/templates.yaml"
        return [
            *("--model", str(self.checkpoint), "--name", "tiny", "--dtype", "float32"),
            *("--templates", str(templates), "--template", "generic", "--task", "country-capital"),
        ]

    def reading(self) -> list[str]:
        return [
            *(*self.common(), "--tasks", str(ROOT / "resources/tasks.yaml")),
            *("--specifications", "text_icl", "image_icl", "instruction"),
            *("--dataset", str(self.folder), "--out", str(self.folder / "read")),
        ]

    def writing(self, vectors: dict[str, torch.Tensor], layer: int | None) -> list[str]:
        save_file(vectors, self.folder / "vectors.safetensors")
        write_json(self.folder / "layer.json", {"layer": layer})
        return [
            *(*self.common(), "--items", str(self.folder / "test.jsonl")),
            *("--vectors", str(self.folder / "vectors.safetensors")),
            *("--out", str(self.folder / "test.parquet")),
            *([] if layer is None else ["--layer", str(self.folder / "layer.json")]),
        ]

    def outputs(self) -> dict[str, bytes]:
        """The outputs of reading, byte by byte."""
        return {path.name: path.read_bytes() for path in (self.folder / "read").rglob("*")}
