"""Measurement of the saved checkpoints on the 512 drawings of seed 0, which were not used in training."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLLTXVideo
from PIL import Image
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from torch import Tensor
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration

from foresight_cli.data.shapes import COLOURS, SIZES, Shapes, caption
from scripts.train_tiny_weights import tokenizer as words
from scripts.train_tiny_weights import vae as video
from scripts.train_tiny_weights import vlm as language

Log = Callable[[str], None]

FACTORS = ("x", "y", "size", "hue")
LAYERS = {"8": 8, "16": 16, "final": 28}
READOUT_SEED, PENALTIES = 3, np.logspace(-6, 6, 25)


def measure(folder: Path, log: Log) -> None:
    """Log captions, reconstruction, linear readouts and timings of the checkpoints in ``folder``."""
    test = Shapes(seed=0)
    vae = AutoencoderKLLTXVideo.from_pretrained(folder / "ltxv/vae", torch_dtype=torch.float32).eval()
    vlm = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "qwen25vl", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "qwen25vl")
    for path in sorted(folder.rglob("*.safetensors")):
        log(f"{path.relative_to(folder)}: {path.stat().st_size:,} bytes")
    _report_captions(vlm, tokenizer, test, log)
    _report_reconstruction(vae, test, log)
    held_out = hidden(vlm, tokenizer, test)
    for rows in (512, 1024):
        train = Shapes(seed=READOUT_SEED, per_category=rows // 8)
        fit = hidden(vlm, tokenizer, train)
        for name in LAYERS:
            scores = _readout(fit[name], train, held_out[name], test)
            log(f"vlm layer {name}, mean of image tokens, {rows} rows: {scores}")
    latents = video.encode(vae, test)
    _report_latents(vae, latents, log)
    for rows in (512, 3072):
        train = Shapes(seed=READOUT_SEED, per_category=rows // 8)
        seen = video.encode(vae, train)
        log(f"vae flat, {rows} rows: {_readout(seen.flatten(1), train, latents.flatten(1), test)}")
        log(f"vae channel mean, {rows} rows: {_readout(seen.mean((2, 3)), train, latents.mean((2, 3)), test)}")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        _report_speed(vlm, tokenizer, vae, test, log)
    torch.set_num_threads(1)


@torch.no_grad()
def captions(
    vlm: Qwen2_5_VLForConditionalGeneration, tokenizer: AutoTokenizer, pictures: list[Image.Image]
) -> list[str]:
    """Generate greedy captions."""
    prompt = words.chat(tokenizer, language.VISUAL_TOKENS)
    patches = language.to_patches(pictures, language.processor())
    ids = vlm.generate(**language.inputs(vlm, [prompt] * len(pictures), patches), do_sample=False, max_new_tokens=16)
    return tokenizer.batch_decode(ids[:, len(prompt) :], skip_special_tokens=True)


@torch.no_grad()
def hidden(vlm: Qwen2_5_VLForConditionalGeneration, tokenizer: AutoTokenizer, shapes: Shapes) -> dict[str, Tensor]:
    """Return the mean over the image tokens ``[n, 64]`` after each of ``LAYERS``; final is after the norm."""
    prompt, images, rows = words.chat(tokenizer, language.VISUAL_TOKENS), language.processor(), []
    for start in range(0, len(shapes.samples), 32):
        pictures = [shapes.image(i) for i in range(start, min(start + 32, len(shapes.samples)))]
        batch = language.inputs(vlm, [prompt] * len(pictures), language.to_patches(pictures, images))
        states = vlm.model(**batch, output_hidden_states=True, use_cache=False).hidden_states
        visual = batch["mm_token_type_ids"][0].bool()
        rows.append({name: states[index][:, visual].mean(1) for name, index in LAYERS.items()})
    return {name: torch.cat([row[name] for row in rows]) for name in LAYERS}


@torch.no_grad()
def margins(vae: AutoencoderKLLTXVideo, pictures: list[Image.Image]) -> list[float]:
    """Return for each picture the PSNR of its reconstruction minus that of its mean colour, in dB."""
    clips = video.to_tensor([np.asarray(picture) for picture in pictures])
    rebuilt = vae.decode(vae.encode(clips).latent_dist.mean).sample
    error = (rebuilt - clips).square().mean((1, 2, 3, 4))
    flat = (clips - clips.mean((-1, -2), keepdim=True)).square().mean((1, 2, 3, 4))
    return (10 * torch.log10(flat / error)).tolist()


def _report_captions(vlm: Qwen2_5_VLForConditionalGeneration, tokenizer: AutoTokenizer, test: Shapes, log: Log) -> None:
    texts = [
        text
        for start in range(0, len(test.samples), 32)
        for text in captions(vlm, tokenizer, [test.image(i) for i in range(start, start + 32)])
    ]
    got, want = [_slots(text) for text in texts], [_slots(caption(sample)) for sample in test.samples]
    right = {slot: np.array([a.get(slot) == b[slot] for a, b in zip(got, want, strict=True)]) for slot in want[0]}
    for slot, hits in right.items():
        log(f"vlm captions of {len(texts)} drawings, {slot} right: {hits.mean():.3f}")
    log(
        f"vlm captions, shape, colour and place right: {(right['shape'] & right['colour'] & right['place']).mean():.3f}"
    )
    exact = [a == caption(b) for a, b in zip(texts, test.samples, strict=True)]
    log(f"vlm captions, every word right: {np.mean(exact):.3f}")


def _slots(text: str) -> dict[str, str]:
    """Return size, colour, shape and place of a caption; {} if the text is not a caption."""
    parts = text.split(" ", 6)
    if len(parts) < 7 or [parts[0], *parts[4:6]] != ["a", "at", "the"]:
        return {}
    valid = parts[1] in SIZES and parts[2] in COLOURS
    return dict(zip(("size", "colour", "shape", "place"), (*parts[1:4], parts[6]), strict=True)) if valid else {}


def _report_reconstruction(vae: AutoencoderKLLTXVideo, test: Shapes, log: Log) -> None:
    gains = [
        gain
        for start in range(0, len(test.samples), 16)
        for gain in margins(vae, [test.image(i) for i in range(start, start + 16)])
    ]
    log(
        f"vae at 256x256, dB over the mean colour on {len(gains)} drawings: "
        f"mean {np.mean(gains):.2f}, least {np.min(gains):.2f}"
    )


def _readout(fit: Tensor, train: Shapes, held_out: Tensor, test: Shapes) -> str:
    """Return R2 on ``test`` of ridge regressions with penalties chosen by leave-one-out on ``train``, as a text."""
    targets = {k: [s.attributes[k] for s in train.samples] for k in FACTORS}
    model = RidgeCV(alphas=PENALTIES, alpha_per_target=True).fit(fit.double().numpy(), np.array([*targets.values()]).T)
    predicted = model.predict(held_out.double().numpy())
    truth = np.array([[s.attributes[k] for k in FACTORS] for s in test.samples])
    scores = r2_score(truth, predicted, multioutput="raw_values")
    return ", ".join(f"R2 {name} {score:.3f}" for name, score in zip(FACTORS, scores, strict=True))


def _report_latents(vae: AutoencoderKLLTXVideo, latents: Tensor, log: Log) -> None:
    scaled = (latents - vae.latents_mean[:, None, None]) / vae.latents_std[:, None, None]
    spread = scaled.std((0, 2, 3))
    log(f"vae latents, normalised by the stored statistics: mean {scaled.mean():.3f}, std {spread.mean():.3f}")
    log(f"vae latents, std per channel before that: {vae.latents_std.min():.3f} to {vae.latents_std.max():.3f}")


@torch.no_grad()
def _report_speed(
    vlm: Qwen2_5_VLForConditionalGeneration,
    tokenizer: AutoTokenizer,
    vae: AutoencoderKLLTXVideo,
    test: Shapes,
    log: Log,
) -> None:
    pictures = [test.image(i) for i in range(16)]
    patches = language.to_patches(pictures, language.processor())
    batch = language.inputs(vlm, [words.chat(tokenizer, language.VISUAL_TOKENS)] * 16, patches)
    clips = video.to_tensor([np.asarray(picture) for picture in pictures])
    for name, run in (
        ("vlm forward", lambda: vlm.model(**batch, use_cache=False)),
        ("vae encode", lambda: vae.encode(clips)),
    ):
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        log(f"{name} of 16 pictures, {torch.get_num_threads()} threads: {min(seconds):.2f} s (best of 5)")
