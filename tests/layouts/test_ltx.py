"""``model=ltxv`` on every release of LTX-Video: folders of diffusers, and the single files of Lightricks."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from functools import lru_cache

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.config import LTXVConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import UsageError
from foresight_cli.models import Tap, open_model
from tests.layouts.autoencoders import LAYOUTS, Layout
from tests.refusal import refusal

FLAT = Tap("final", "flat")
RELEASES = [name for name in LAYOUTS if name.startswith("ltx-video")]
OTHERS = {"sdxl": "AutoencoderKL", "ltx-2": "AutoencoderKLLTX2Video"}
FINER = Layout(  # a custom training: 16 pixels and 4 frames for each latent
    source="made up",
    scale="LTXImageToVideoPipeline",
    pipeline="LTXPipeline",
    config=LAYOUTS["ltx-video-0.9.0"].config
    | {
        "latent_channels": 32,
        "decoder_spatio_temporal_scaling": [True, True, False, False],
        "spatio_temporal_scaling": [True, True, False, False],
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    @lru_cache
    def written(name: str):
        layout = FINER if name == "finer" else LAYOUTS[name]
        return layout.write(tmp_path_factory.mktemp("it's ltx, whole"))

    return written


def opened(checkpoint, **changes):
    values = {
        "name": "ltxv",
        "checkpoint": str(checkpoint),
        "revision": None,
        "variant": None,
        "subfolder": "vae",
        "dtype": "float32",
        "init": "pretrained",
        "init_seed": 0,
        "resolution": 64,
        "sample": False,
        "seed": 0,
        "normalize": True,
    }
    return open_model(LTXVConfig(**values | changes))


def frames(count: int, seed: int = 0) -> np.ndarray:
    """Return ``[count, 64, 64, 3]`` of 8 bits: noise of 8 x 8 cells."""
    cells = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return cells.repeat(8, axis=1).repeat(8, axis=2)


@pytest.mark.parametrize("name", [*RELEASES, "finer"])
def test_latents_and_previews_of_a_release(folder, name):
    vae = diffusers.AutoencoderKLLTXVideo.from_pretrained(folder(name), subfolder="vae", low_cpu_mem_usage=False).eval()
    model = opened(folder(name))
    model.load("cpu")
    normalize = diffusers.LTXImageToVideoPipeline._normalize_latents
    for count in (1, 5 if name == "finer" else 9):
        clip = frames(count)
        pixels = torch.from_numpy(clip / 255 * 2 - 1).float().movedim(-1, 0)[None]
        at_time_0 = (torch.zeros(1),) if vae.config.timestep_conditioning else ()
        with torch.no_grad():
            latents = vae.encode(pixels).latent_dist.mode()
            torch.manual_seed(0)  # the 0.9.1 decoder adds noise
            shown = vae.decode(latents, *at_time_0).sample
        want = normalize(latents, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
        prepared = model.prepare(Clip(tuple(map(Image.fromarray, clip))), "a")
        got = model.features([prepared], [FLAT])[FLAT]
        torch.testing.assert_close(got, want.reshape(1, -1), rtol=1e-5, atol=1e-5)
        assert model.row_bytes(FLAT, count) == got.nbytes
        assert model.row_bytes(Tap("final", "channel_mean"), count) == 4 * latents.shape[1]
        assert latents.std() > 1e-3
        preview = model.decode(got, count)
        torch.testing.assert_close(preview[0], (shown[0] / 2 + 0.5).clamp(0, 1).movedim(0, -1), rtol=0, atol=1e-4)


def test_factors_are_read_of_the_config_not_of_the_notes_for_tiles(folder, tmp_path):
    """``spatial_compression_ratio`` only sizes tiles; the encoder's blocks determine the compression."""
    (tmp_path / "vae").mkdir()
    config = json.loads((folder("ltx-video-0.9.8") / "vae/config.json").read_text())
    del config["spatial_compression_ratio"], config["temporal_compression_ratio"]
    (tmp_path / "vae/config.json").write_text(json.dumps(config))
    assert opened(tmp_path).latent_shape(17) == (128, 3, 2, 2)
    (tmp_path / "vae/config.json").write_text(json.dumps({"_class_name": "AutoencoderKLLTXVideo", "patch_size": 8}))
    assert opened(tmp_path, resolution=128).latent_shape(17) == (128, 3, 2, 2)
    assert refusal(opened(tmp_path, resolution=96).check_layers, (), kind=UsageError) == (
        "model.resolution=96: it must be a multiple of 64, for instance 128"
    )


def test_frames_that_a_finer_network_takes(folder):
    clip = Clip(tuple(map(Image.fromarray, frames(9))))
    assert opened(folder("finer")).latent_shape(9) == (32, 3, 4, 4)
    assert opened(folder("finer")).prepare(clip, "a").length == 9
    clip = Clip(tuple(map(Image.fromarray, frames(8))))
    assert refusal(opened(folder("finer")).prepare, clip, "a") == (
        "'a' has 8 frames; LTX-Video's autoencoder takes 1 + 4k"
    )


# --- other checkpoints


@pytest.mark.parametrize(("name", "kind"), OTHERS.items())
@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_another_autoencoder_is_named_and_what_takes_it(folder, run, name, kind, dry_run):
    shapes = ("model.resolution=64", "data.per_category=1", "data.size=64")
    place = str(folder(name)).replace("'", r"\'")
    checkpoint = f"model.checkpoint='{place}'"  # quoted for Hydra because of the comma
    done = run("extract", "model=ltxv", checkpoint, f"dry_run={dry_run}", *shapes)
    assert done.exit_code == 1
    take = shlex.join(["model=autoencoder", checkpoint, "model.subfolder=vae"])
    assert done.stderr.strip().splitlines()[-1] == (
        f"foresight extract: model=ltxv reads AutoencoderKLLTXVideo; config.json of the checkpoint {folder(name)} "
        f"names {kind}. Take {take}"
    )
    if dry_run == "false":
        done = run("extract", *shlex.split(take), *shapes)
        assert done.exit_code == 0, done.output


def test_the_config_of_lightricks_own_code(folder, tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_text(
        json.dumps(
            {
                "_class_name": "CausalVideoAutoencoder",
                "dims": 3,
                "in_channels": 3,
                "out_channels": 3,
                "latent_channels": 128,
                "blocks": [["res_x", 4], ["compress_all", 1], ["res_x_y", 1], ["res_x", 3]],
                "norm_layer": "pixel_norm",
                "patch_size": 4,
            }
        )
    )
    assert refusal(opened(tmp_path).check_layers, ()) == (
        f"model=ltxv reads AutoencoderKLLTXVideo; config.json of the checkpoint {tmp_path} names "
        "CausalVideoAutoencoder, the layout of Lightricks' own code. Convert its single file to that of diffusers: "
        "python -c 'from diffusers import AutoencoderKLLTXVideo as A; "
        'A.from_single_file("FILE.safetensors").save_pretrained("converted/vae")\' '
        "and take model.checkpoint=converted model.subfolder=vae"
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"_class_name": "UNet2DConditionModel"},
            "model=ltxv reads AutoencoderKLLTXVideo; config.json of the checkpoint {0} names UNet2DConditionModel, "
            "which is no autoencoder. Name its folder with model.subfolder=",
        ),
        (
            {"_class_name": "AutoencoderKLLTXVideo", "patch_size": [4, 4]},
            "cannot read the checkpoint {0}: TypeError: int() argument must be a string, a bytes-like object or a real "
            "number, not 'list'",
        ),
    ],
)
def test_other_configs(tmp_path, config, message):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_text(json.dumps(config))
    assert refusal(opened(tmp_path).check_layers, ()) == message.format(tmp_path)


@pytest.mark.parametrize(
    ("file", "names", "kind"),
    [
        (
            "ltx-video-2b-v0.9.1.safetensors",
            ["model.diffusion_model.patchify_proj.weight", "vae.encoder.conv_in.conv.weight",
             "vae.per_channel_statistics.mean-of-means", "vae.per_channel_statistics.std-of-means"],
            "AutoencoderKLLTXVideo",
        ),
        (
            "ltxv-13b-0.9.7-dev.safetensors",
            ["model.diffusion_model.patchify_proj.weight", "vae.decoder.last_scale_shift_table",
             "vae.per_channel_statistics.mean-of-means"],
            "AutoencoderKLLTXVideo",
        ),
        (
            "ltx-2-19b-dev.safetensors",
            ["vae.per_channel_statistics.mean-of-means", "audio_vae.per_channel_statistics.mean-of-means"],
            "AutoencoderKLLTX2Video",
        ),
        ("v1-5-pruned.safetensors", ["first_stage_model.encoder.conv_in.weight"], "AutoencoderKL"),
        ("ae.safetensors", ["encoder.conv_in.weight", "encoder.down.0.block.0.norm1.weight"], "AutoencoderKL"),
    ],
)  # fmt: skip
def test_a_folder_of_single_files_says_how_to_convert_them(run, tmp_path, file, names, kind):
    from safetensors.torch import save_file

    place = tmp_path / "it's here"
    place.mkdir()
    config = {"config": json.dumps({"vae": {"_class_name": "CausalVideoAutoencoder"}})}
    save_file({name: torch.zeros(1) for name in names}, place / file, metadata=config)
    heads = {"vae": f"{place} has no folder vae", None: f"no checkpoint in {place}: it has no config.json"}
    for subfolder, head in heads.items():
        message = refusal(opened(place, subfolder=subfolder).check_layers, ())
        start, _, rest = message.partition("python -c ")
        assert start == (
            f"{head}. {place}/{file} is a whole model in one file. "
            "Convert its autoencoder, once, with the hub in reach: "
        )
        line, _, end = rest.partition(" and take ")
        assert end == "model.checkpoint=converted model.subfolder=vae"
    (code,) = shlex.split(line)
    assert code == (
        f'from diffusers import {kind} as A; A.from_single_file("{place}/{file}").save_pretrained("converted/vae")'
    )


def test_the_line_that_converts_is_one_of_the_shell(tmp_path):
    """The printed line runs, with a module in place of diffusers that records its calls."""
    from foresight_cli.models.single_file import convert_line

    (tmp_path / "diffusers.py").write_text(
        "class A:\n"
        "    def from_single_file(file): print(file); return A\n"
        "    def save_pretrained(folder): print(folder)\n"
        "AutoencoderKLLTXVideo = A\n"
    )
    file = 'it\'s "here" $HOME/ünï.safetensors'
    line = convert_line("AutoencoderKLLTXVideo", file).replace("python", shlex.quote(sys.executable), 1)
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [file, "converted/vae"]


def test_files_that_are_no_models_in_one_file(tmp_path):
    from foresight_cli.models.single_file import class_of, single_file_advice

    (tmp_path / "a.safetensors").write_bytes(b"")
    (tmp_path / "b.safetensors").write_bytes(b"\xff" * 64)
    (tmp_path / "c.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    assert [class_of(tmp_path / f"{name}.safetensors") for name in "abcd"] == [None] * 4
    assert single_file_advice(tmp_path) == ""
