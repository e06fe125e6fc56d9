"""Likeness of decoded pictures to others: PSNR and SSIM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WINDOW = 11
"""Pixels along a side of SSIM's Gaussian window; smaller pictures have no SSIM."""


@dataclass(frozen=True)
class Likeness:
    """Likeness of pictures to others.

    Attributes:
        psnr: peak signal-to-noise ratio in dB, of the mean squared error over all frames; infinite for equal pictures.
        ssim: structural similarity, 1 for equal pictures, the mean over frames; None under 11 x 11 pixels.
    """

    psnr: float
    ssim: float | None


def likeness(made: torch.Tensor, true: torch.Tensor) -> Likeness:
    """Measure the likeness of ``made`` to ``true``, both ``[T, H, W, 3]`` in [0, 1].

    SSIM is computed in single precision, correct to a few 1e-4: double precision takes 40 times as long on a CPU.

    Source: Wang, Bovik, Sheikh, Simoncelli 2004, IEEE Trans. Image Processing 13(4), eq. 13 and section III-C; the
        mean over frames, channels and windows that are completely inside, as in scikit-image. The default of
        torchmetrics adds windows over the border, where it mirrors the picture.

    Example:
        >>> import torch
        >>> grey = torch.full((1, 16, 16, 3), 0.5)
        >>> round(likeness(grey + 0.1, grey).psnr, 3)  # 10 log10(1 / 0.1^2)
        20.0
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    psnr = float(peak_signal_noise_ratio(made.double(), true.double(), data_range=1.0))
    if min(made.shape[1:3]) < WINDOW:
        return Likeness(psnr, None)
    inside = slice(WINDOW // 2, -(WINDOW // 2))
    total = 0.0
    for pair in zip(*(pictures.float().permute(0, 3, 1, 2).split(1) for pictures in (made, true)), strict=True):
        # frame by frame: the windows of a whole clip need much memory
        _, windows = structural_similarity_index_measure(*pair, data_range=1.0, return_full_image=True)
        total += float(windows[..., inside, inside].mean())
    return Likeness(psnr, total / len(made))
