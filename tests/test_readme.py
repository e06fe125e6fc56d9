"""Every command of README.md and docs/, typed in bash as printed, composes to a config that passes the checks.

`test_additions` runs those of the pages ``add-a-*.md``.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import hydra
import pytest
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config.reader import adapt_config, analyze_config, extract_config, report_config
from foresight_cli.config.tree import conf_dir

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if not p.stem.startswith("add-a-"))]
READERS = {"extract": extract_config, "analyze": analyze_config, "adapt": adapt_config, "report": report_config}
STUB = r"""
foresight() { printf '%s\0' "$@" >&3; printf '\n\0' >&3; }
jq() { cat > /dev/null; }
shopt -s failglob
"""


def commands() -> list[str]:
    """Return each line of a code block that starts with ``foresight``, and each such inline code."""
    lines: list[str] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            lines += [line for line in block.splitlines() if line.startswith("foresight ")]
        lines += [code for code in re.findall(r"`(foresight [^`]*=[^`]*)`", text) if "..." not in code]
    return list(dict.fromkeys(lines))


def typed_in_bash(lines: list[str], folder: Path) -> list[list[str]]:
    """Return the arguments that bash passes to ``foresight`` for each line."""
    script = STUB + "\n".join(lines)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"exec 3> words; {script}"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    calls: list[list[str]] = [[]]
    for word in (folder / "words").read_text(encoding="utf-8").split("\0")[:-1]:
        if word == "\n":
            calls.append([])
        else:
            calls[-1].append(word)
    return calls[:-1]


def last_job(stage: str, words: list[str]) -> list[str]:
    """Return the overrides of a command for Hydra; for a sweep, those of its last job."""
    multirun = "-m" in words
    written = for_hydra(stage, [word for word in words if not word.startswith("-")], multirun=multirun)
    overrides = OverridesParser.create().parse_overrides(written)
    assert multirun == any(override.is_sweep_override() for override in overrides)
    return [
        f"{override.get_key_element()}={list(override.sweep_string_iterator())[-1]}"
        if override.is_sweep_override()
        else override.input_line
        for override in overrides
    ]


def test_each_command_is_typed_in_bash(tmp_path):
    lines = commands()
    assert len(lines) >= 40
    calls = typed_in_bash(lines, tmp_path)
    assert len(calls) == len(lines)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for line, (stage, *words) in zip(lines, calls, strict=True):
            if stage == "cache":
                action, *words = words
                assert action in ("ls", "verify", "gc"), line
            config = hydra.compose(stage, last_job(stage, words))
            if stage != "cache":
                READERS[stage](config)


def test_a_brace_pattern_is_printed_with_quotes_for_bash(tmp_path):
    """Without quotes bash expands it to a hundred words; with quotes it arrives as one text."""
    from foresight_cli.data.shard_files import tar_files

    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "conf/data/webdataset.yaml")]
    with pytest.raises(Exception, match="no file") as refused:
        tar_files(str(tmp_path / "nosuch"))
    for text in (*texts, str(refused.value)):
        assert "'data.path=shards/{000..099}.tar'" in text
    ((stage, *words),) = typed_in_bash(
        ["foresight extract data=webdataset 'data.path=shards/{000..099}.tar'"], tmp_path
    )
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = extract_config(hydra.compose(stage, for_hydra(stage, words)))
    assert config.data.path == "shards/{000..099}.tar"
