"""The wheel: configs and tiny checkpoints are inside, so that it works without a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_works_away_from_the_checkout(tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("foresight_latents-*.whl")
    inside = tmp_path / "inside"
    zipfile.ZipFile(wheel).extractall(inside)
    shipped = {str(p.relative_to(ROOT)) for p in (ROOT / "conf").rglob("*.yaml")}
    assert {str(p.relative_to(inside / "foresight_cli")) for p in (inside / "foresight_cli/conf").rglob("*.yaml")} == (
        shipped
    )
    for kept in ("py.typed", "results/results.schema.json", "reporting/page/page.css", "reporting/page/page.html.j2"):
        assert (inside / "foresight_cli" / kept).is_file(), kept
    assert not list(inside.glob("tests*")) + list(inside.glob("scripts*"))
    words = ("extract", "model=ltxv", "weights=tiny", "data.per_category=1", "data.size=64", "model.resolution=64")
    ran = subprocess.run(
        [sys.executable, "-m", "foresight_cli", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(inside)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "8 rows -> outputs/cache/ltxv" in ran.stdout


def test_installed_packages_are_compatible():
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
