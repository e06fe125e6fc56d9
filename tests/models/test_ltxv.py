"""``model=ltxv`` against the autoencoder called through diffusers alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLLTXVideo
from PIL import Image

from foresight_cli.config import LTXVConfig
from foresight_cli.data.clip import Clip
from foresight_cli.data.shapes import Shapes
from foresight_cli.errors import ForesightError
from foresight_cli.models import Tap, open_model

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")
PICTURES = [Shapes(per_category=3, size=96).clip(i).frames[0] for i in range(17)]
STILLS = [Clip((picture,)) for picture in PICTURES[:4]]


@pytest.fixture(scope="module")
def config(ltxv_checkpoint) -> LTXVConfig:
    return LTXVConfig(
        name="ltxv",
        checkpoint=str(ltxv_checkpoint),
        revision=None,
        subfolder="vae",
        dtype="float32",
        init="pretrained",
        init_seed=0,
        resolution=96,
        sample=False,
        seed=0,
        normalize=False,
    )


@pytest.fixture(scope="module")
def vae(ltxv_checkpoint) -> AutoencoderKLLTXVideo:
    return AutoencoderKLLTXVideo.from_pretrained(ltxv_checkpoint / "vae", low_cpu_mem_usage=False).eval()


def features(config: LTXVConfig, clips=STILLS, ids="abcd", batch: int = 4, **changes) -> dict[Tap, torch.Tensor]:
    model = open_model(dataclasses.replace(config, **changes))
    model.load("cpu")
    prepared = [model.prepare(clip, sample_id) for clip, sample_id in zip(clips, ids, strict=False)]
    parts = [model.features(prepared[i : i + batch], [MEAN, FLAT]) for i in range(0, len(prepared), batch)]
    return {tap: torch.cat([part[tap] for part in parts]) for tap in (MEAN, FLAT)}


def posterior(vae: AutoencoderKLLTXVideo, clips=STILLS):
    frames = [torch.tensor([np.asarray(f).tolist() for f in clip.frames], dtype=torch.float64) for clip in clips]
    with torch.no_grad():
        return vae.encode(torch.stack([(f / 255 * 2 - 1).float().movedim(-1, 0) for f in frames])).latent_dist


def test_flat_is_the_posterior_mean_in_order(config, vae):
    want = posterior(vae).mode()
    assert want.shape == (4, 128, 1, 3, 3)
    assert want.std() > 0.01  # the random network distinguishes pictures
    torch.testing.assert_close(features(config)[FLAT], want.reshape(4, -1), rtol=0, atol=1e-5)


def test_channel_mean_is_over_time_and_space(config, vae):
    want = posterior(vae).mode().mean(dim=(2, 3, 4))
    torch.testing.assert_close(features(config)[MEAN], want, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("frames", "times"), [(9, 2), (17, 3)])
def test_clips_have_a_latent_for_the_first_frame_and_one_for_each_8(config, vae, frames, times):
    clips = [Clip(tuple(PICTURES[:frames])), Clip(tuple(PICTURES[:frames][::-1]))]
    want = posterior(vae, clips).mode()
    assert want.shape == (2, 128, times, 3, 3)
    for batch in (1, 2):
        got = features(config, clips, batch=batch)
        torch.testing.assert_close(got[FLAT], want.reshape(2, -1), rtol=0, atol=1e-5)
        torch.testing.assert_close(got[MEAN], want.mean(dim=(2, 3, 4)), rtol=0, atol=1e-5)
    model = open_model(config)
    assert (model.row_bytes(FLAT, frames), model.row_bytes(MEAN, frames)) == (got[FLAT][0].nbytes, got[MEAN][0].nbytes)


@pytest.mark.parametrize("frames", [0, 2, 8, 16])
def test_other_numbers_of_frames_are_refused(config, frames):
    with pytest.raises(ForesightError) as caught:
        open_model(config).prepare(Clip(tuple(PICTURES[:frames])), "a.mp4/0")
    assert str(caught.value) == f"'a.mp4/0' has {frames} frames; LTX-Video's autoencoder takes 1 + 8k"


def test_random_weights_need_no_file_and_are_those_of_their_seed(config, ltxv_checkpoint, tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_bytes((ltxv_checkpoint / "vae/config.json").read_bytes())
    random = dataclasses.replace(config, checkpoint=str(tmp_path), init="random", init_seed=3)
    torch.manual_seed(3)
    made = AutoencoderKLLTXVideo.from_config(AutoencoderKLLTXVideo.load_config(ltxv_checkpoint / "vae")).eval()
    got = features(random)[FLAT]
    torch.testing.assert_close(got, posterior(made).mode().reshape(4, -1), rtol=0, atol=1e-5)
    for other in (config, dataclasses.replace(random, init_seed=4)):
        assert not torch.allclose(features(other)[FLAT], got, atol=1e-2)
        assert open_model(other).recipe("final") != open_model(random).recipe("final")


def test_default_resolution_gives_the_sizes_of_the_study(config):
    got = features(config, STILLS[:1], resolution=256)
    assert (got[MEAN].shape, got[FLAT].shape) == ((1, 128), (1, 8192))


@pytest.mark.parametrize("changes", [{}, {"sample": True}, {"normalize": True}])
def test_batch_mates_change_nothing(config, changes):
    together, alone = features(config, **changes), features(config, batch=1, **changes)
    torch.testing.assert_close(together[FLAT], alone[FLAT], rtol=0, atol=1e-5)


def test_other_sizes_are_resized_by_pil_bicubic(config):
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    by_hand = wide.resize((96, 96), Image.Resampling.BICUBIC)
    assert torch.equal(features(config, [Clip((wide,))])[FLAT], features(config, [Clip((by_hand,))])[FLAT])


def test_normalize_subtracts_the_mean_and_divides_by_the_deviation(config, vae):
    mean, std = vae.latents_mean.view(1, 128, 1, 1, 1), vae.latents_std.view(1, 128, 1, 1, 1)
    assert mean.abs().min() > 0
    want = ((posterior(vae).mode() - mean) / std).reshape(4, -1)
    torch.testing.assert_close(features(config, normalize=True)[FLAT], want, rtol=0, atol=1e-5)


def test_a_draw_depends_on_the_seed_and_the_sample_alone(config):
    drawn = features(config, sample=True)[FLAT]
    assert torch.equal(drawn, features(config, sample=True)[FLAT])
    reordered = features(config, STILLS[::-1], ids="dcba", sample=True)[FLAT]
    torch.testing.assert_close(reordered.flip(0), drawn, rtol=0, atol=1e-5)
    assert not torch.allclose(drawn, features(config, sample=True, seed=1)[FLAT], atol=1e-2)
    same_picture = features(config, STILLS[:1] * 2, ids="ab", sample=True)[FLAT]
    assert not torch.allclose(same_picture[0], same_picture[1], atol=1e-2)


def test_draws_have_the_mean_and_deviation_of_the_posterior(config, vae):
    small = Clip((PICTURES[0].resize((32, 32)),))
    target = posterior(vae, [small])
    model = open_model(dataclasses.replace(config, sample=True, resolution=32))
    model.load("cpu")
    prepared = [model.prepare(small, f"s{i}") for i in range(400)]
    draws = torch.cat([model.features(prepared[i : i + 100], [FLAT])[FLAT] for i in range(0, 400, 100)])
    z = (draws - target.mean.flatten()) / target.std.flatten()
    assert z.mean(dim=0).abs().max() < 5 / 400**0.5
    assert (z.std(dim=0) - 1).abs().max() < 5 / 800**0.5
    assert abs(z.mean().item()) < 5 / z.numel() ** 0.5


def test_half_precision_stays_close(config):
    exact, rounded = features(config)[MEAN], features(config, dtype="bfloat16")[MEAN]
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.02 * exact.abs().max().item())


def test_recipe_names_what_changes_the_latents(config):
    base = open_model(config).recipe("final")
    for change in (
        {"dtype": "float16"},
        {"resolution": 64},
        {"sample": True},
        {"normalize": True},
        {"checkpoint": "a/b"},
    ):
        assert open_model(dataclasses.replace(config, **change)).recipe("final") != base
    assert open_model(dataclasses.replace(config, seed=1)).recipe("final") == base  # no draw, no seed
    assert base["checkpoint"] == "local"  # the folder's path changes no number


def test_missing_weight_is_refused_not_filled_at_random(config, ltxv_checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_bytes((ltxv_checkpoint / "vae/config.json").read_bytes())
    weights = load_file(ltxv_checkpoint / "vae/diffusion_pytorch_model.safetensors")
    del weights["encoder.conv_out.conv.weight"]
    save_file(weights, tmp_path / "vae/diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ForesightError) as caught:
        open_model(dataclasses.replace(config, checkpoint=str(tmp_path))).load("cpu")
    assert str(caught.value) == (
        f"the checkpoint {tmp_path} lacks 1 weights of LTX-Video's autoencoder, for instance "
        "encoder.conv_out.conv.weight: it is incomplete, or of another kind of model"
    )


def test_folder_without_weights_is_one_line(config, ltxv_checkpoint, tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_bytes((ltxv_checkpoint / "vae/config.json").read_bytes())
    with pytest.raises(ForesightError) as caught:
        open_model(dataclasses.replace(config, checkpoint=str(tmp_path))).load("cpu")
    assert str(caught.value) == (
        f"cannot read the checkpoint {tmp_path} (vae): it has no weights (diffusion_pytorch_model.safetensors)"
    )
