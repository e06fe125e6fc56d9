"""Real sweeps through Hydra's launchers, in separate processes."""

from __future__ import annotations

import pytest

from foresight_cli.latents import entries, load

PIXELS = ("data.per_category=2", "data.size=32", "batch_size=16")
LAUNCHERS = {
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit_local": ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=2"),
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_sweep_of_two_jobs_fills_one_cache(shell, tmp_path, launcher):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    result = shell("extract", "-m", *LAUNCHERS[launcher], "model=pixels", "model.resolution=4,8", *PIXELS)
    assert result.returncode == 0, result.stderr
    filled = list(entries(tmp_path / "outputs/cache"))
    assert sorted(entry.recipe.model["resolution"] for entry in filled) == [4, 8]
    assert all(len(load(entry)) == 16 for entry in filled)
    jobs = sorted(path.parents[1].name for path in (tmp_path / "outputs/extract").rglob(".hydra/config.yaml"))
    assert jobs == ["0_pixels_layer-final_channel_mean", "1_pixels_layer-final_channel_mean"]


@pytest.mark.slow
def test_an_error_in_a_job_is_one_clear_line(shell, tmp_path):
    result = shell("extract", "-m", *LAUNCHERS["joblib"], "model=pixels,ltxv", "layer=8", *PIXELS)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr + result.stdout
    assert result.stderr.splitlines()[-1] == "foresight extract: model=pixels has no layer 8. It has one: layer=final"
    assert not (tmp_path / "outputs/cache").exists()


def test_the_slurm_preset_is_submitits_own_with_our_settings(shell):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    result = shell("extract", "-m", "hydra/launcher=slurm", "--cfg", "hydra", "-p", "hydra.launcher", "model=pixels")
    assert result.returncode == 2  # -m and --cfg exclude each other: a sweep is not shown
    result = shell("extract", "hydra/launcher=slurm", "--cfg", "hydra", "-p", "hydra.launcher")
    assert result.returncode == 0, result.stderr
    assert "_target_: hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher" in result.stdout
    assert "max_num_timeout: 20" in result.stdout
