"""Usage errors are reported before heavy imports: torch and the libraries around it take seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import user_env

HEAVY = ("torch", "transformers", "diffusers", "sklearn", "scipy", "matplotlib", "datasets")
LINES = {
    "extract batch_size=0": 2,
    "extract modle=3": 2,
    "extract model=qwen": 2,
    "extract layer=[": 2,
    "extract model=ltxv layer=8": 2,
    "extract data=imagefolder data.path=nosuch": 1,
    "extract data=video data.path=nosuch": 1,
    "extract data=webdataset data.path=nosuch": 1,
    "extract model=vision model.checkpoint=./nosuch": 1,
    "extract model=qwen25vl model.checkpoint=./nosuch": 1,
    "extract model=ltxv model.checkpoint=./nosuch": 1,
    "extract model=autoencoder model.checkpoint=./nosuch": 1,
    "extract model=precomputed model.path=nosuch.npz": 1,
    "analyze seed=-1": 2,
    "analyze foo=1": 2,
    "analyze": 1,
    "analyze source=pixels": 1,
    "analyze source=pixels target=histogram data=imagefolder data.path=nosuch": 1,
    "analyze source=pixels source.model.resolution=4 target=histogram": 1,
    "analyze source=pixels target=histogram": 1,  # too few groups
    "analyze runner=ray runner.address=127.0.0.1:1": 1,
    "adapt split=[1,2]": 2,
    "adapt layer=all": 2,
    "adapt": 1,
    "adapt source=pixels target=histogram": 1,  # too few groups
    "adapt source=pixels target=histogram source.pooling=flat": 1,
    "report format=xml": 2,
    "report": 1,
    "report run=nosuch": 1,
    "report runs=[a,b]": 1,
    "cache verify cache_dir=nosuch": 1,
}
PROGRAM = """
import json, sys
from typer.testing import CliRunner
from foresight_cli.cli import app
answers = {}
for line in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, line.split())
    answers[line] = (result.exit_code, result.stderr, sorted(set(json.loads(sys.argv[2])) & set(sys.modules)))
print(json.dumps(answers))
"""


def test_usage_errors_import_nothing_heavy(run, tmp_path: Path):
    for model in ("pixels", "histogram"):
        assert run("extract", f"model={model}", "data.per_category=1", "data.size=32").exit_code == 0
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(list(LINES)), json.dumps(HEAVY)],
        cwd=tmp_path, env=user_env(), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    answers = json.loads(done.stdout.splitlines()[-1])
    assert {line: status for line, (status, _, _) in answers.items()} == LINES
    for line, (_, message, heavy) in answers.items():
        assert heavy == [], line
        assert message.startswith(f"foresight {line.split()[0]}: "), line
        assert "Traceback" not in message, line


def test_the_stage_uses_the_entries_of_the_check(run, monkeypatch):
    """The entries are looked up once, so the data are hashed and listed once too."""
    import foresight_cli.catalog.find
    import foresight_cli.inputs.preflight

    for model in ("pixels", "histogram"):
        assert run("extract", f"model={model}", "data.per_category=8", "data.size=32").exit_code == 0
    times = []
    find = foresight_cli.catalog.find.find

    def counted(*args):
        times.append(args)
        return find(*args)

    for module in ("catalog.find", "inputs.preflight", "inputs.sides"):
        monkeypatch.setattr(f"foresight_cli.{module}.find", counted)
    words = ("source=pixels", "target=histogram", "permutations=19", "controls=[]")
    result = run("analyze", *words, "verdict.controls=waived")
    assert result.exit_code == 0, result.output
    result = run("adapt", *words[:2], "adapter=linear")
    assert result.exit_code == 0, result.output
    assert len(times) == 2
