"""TensorBoard: event files, by PyTorch's writer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from foresight_cli.config.trackers import TensorBoardConfig
from foresight_cli.trackers.tracker import Settings


class TensorBoardTracker:
    """A run as event files under ``folder``."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._writer = SummaryWriter(str(folder))
        self.note("settings", f"```yaml\n{yaml.safe_dump(dict(settings), sort_keys=False)}```")

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write scalars."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step or 0)
        self._writer.flush()

    def note(self, name: str, text: str) -> None:
        """Write text, as Markdown."""
        self._writer.add_text(name, text)

    def file(self, path: Path) -> None:
        """Show a picture; TensorBoard keeps no other files."""
        if path.suffix == ".png":
            with Image.open(path) as picture:
                self._writer.add_image(path.stem, np.asarray(picture.convert("RGB")), dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def open_tracker(config: TensorBoardConfig, name: str, folder: Path, settings: Settings) -> TensorBoardTracker:
    """Return a new run with event files in ``config.folder``, or in the run's folder."""
    return TensorBoardTracker(Path(config.folder) / name if config.folder else folder / "tensorboard", settings)
