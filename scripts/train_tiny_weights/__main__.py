"""``python -m scripts.train_tiny_weights [vlm] [vae] [measure]``: all three by default; writes logs to the weights."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import torch

FOLDER = Path(__file__).parents[2] / "foresight_cli" / "checkpoints" / "tiny"
PARTS = {"vlm": "qwen25vl", "vae": "ltxv/vae", "measure": "."}


def main(parts: list[str]) -> None:
    """Run the named parts one after the other on one thread, because the thread count changes the last digits."""
    torch.set_num_threads(1)
    for part in parts or list(PARTS):
        with (FOLDER / f"{part}.log").open("w") as file:

            def log(line: str, file: object = file) -> None:
                for stream in (file, sys.stdout):
                    print(line, file=stream, flush=True)  # type: ignore[call-overload]

            run = import_module(f"scripts.train_tiny_weights.{part}")
            (run.measure if part == "measure" else run.train)(FOLDER / PARTS[part], log)


if __name__ == "__main__":
    main(sys.argv[1:])
