"""Values typed by users: any text arrives as typed, and is printed so that it can be typed again."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config.reader import extract_config, report_config
from foresight_cli.config.text_settings import kind_of, means_itself, quoted, shell_line
from foresight_cli.config.tree import as_override, as_typed, conf_dir
from foresight_cli.errors import UsageError

ODD = [
    *(
        "~/photos",
        "~nobody/x",
        "shards/{000..099}.tar",
        "{a}",
        "eq=1",
        "=",
        "hash#",
        "#",
        "par(1)",
        "f(x)y",
        "[a]",
        "a[0]",
    ),
    *("[", "]", "{", "}", "(", ")", "semi;x", "a:b", "C:\\x\\y", "user@host", "100%", "wow!", "what?", "*.tar", "a&b"),
    *("a|b", "<a>", "`a`", "a^b", "a\\b", "a\\\\b", "a\\", "\\", "two words", " lead", "trail ", "tab\there", "a\nb"),
    *("quo'te", "it's 'quoted' here", 'dou"ble', "$HOME", "a$b", "$", "a${b", "${}", "照片", "Ünï", "U\u0308ni\u0308"),
    *(
        "😀",
        "صور",
        "2024",
        "007",
        "1e3",
        "1_000",
        "0x1",
        "-1",
        "3.5",
        "true",
        "False",
        "nan",
        "inf",
        "",
        ".",
        "..",
        "--x",
    ),
    "x" * 5000,
]


def composed(stage: str, *words: str, multirun: bool = False) -> dict:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return OmegaConf.to_container(compose(stage, for_hydra(stage, list(words), multirun=multirun)))


def through_hydra(key: str, words: list[str]) -> object:
    """Return the value of the setting ``key`` after Hydra has read ``words``."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (override,) = OverridesParser.create().parse_overrides(for_hydra("extract", words))
    assert override.key_or_group == key
    return OmegaConf.create({"value": override.value()}).value


@pytest.mark.parametrize("text", ODD)
def test_a_text_arrives_as_it_was_typed(text):
    for key in ("data.path", "model.checkpoint", "model.prompt", "cache_dir"):
        assert through_hydra(key, [f"{key}={text}"]) == text


@pytest.mark.parametrize("text", ["null", "NULL"])
def test_null_is_text_where_a_setting_needs_one(text):
    assert through_hydra("data.path", [f"data.path={text}"]) == text
    assert through_hydra("model.revision", [f"model.revision={text}"]) is None
    assert through_hydra("model.revision", ["model.revision='null'"]) == "null"


TEXT = st.one_of(
    st.text(alphabet="ab'\\ ${}[](),.\"~/-1:@#%é照\n\t=;", max_size=8),
    st.lists(st.sampled_from(["\\", "${", "'", '"', "a", "$", "}", ","]), max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    st.sampled_from([*ODD[:-1], "null", "choice(a,b)", "${oc.env:HOME}", "'a'", "a,b"]),
)
TEXT_KEYS = ["data.path", "model.prompt", "cache_dir", "model.revision", "data.image", "tracker.project"]


@settings(deadline=None, max_examples=200)
@given(text=TEXT, key=st.sampled_from(TEXT_KEYS))
@example("a\\'", "data.path")
def test_any_text_arrives(text, key):
    if text == "???":  # OmegaConf's marker for a missing value
        return
    word = as_override(key, text)
    assert through_hydra(key, [word]) == text
    assert through_hydra(key, [f"{key}={quoted(text)}"]) == text
    if means_itself(key, text):
        assert word == f"{key}={text}"
    # the recorded command, typed again through a shell, gives the same run
    (recorded,) = for_hydra("extract", [word])
    words = shlex.split(as_typed("extract", [recorded]))
    assert words[:2] == ["foresight", "extract"]
    assert for_hydra("extract", words[2:]) == [recorded]


@settings(deadline=None, max_examples=100)
@given(texts=st.lists(TEXT, min_size=1, max_size=3))
def test_any_texts_of_a_list_arrive(texts):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    word = f"runs=[{','.join(map(quoted, texts))}]"
    (override,) = OverridesParser.create().parse_overrides(for_hydra("report", [word]))
    assert list(OmegaConf.create({"value": override.value()}).value) == texts


def test_a_list_of_folders_in_any_letters():
    config = composed("report", "runs=[2024,照片,a b,007,'x,y']")
    assert report_config(OmegaConf.create(config)).runs == ("2024", "照片", "a b", "007", "x,y")


def test_keys_of_the_cache_keep_their_digits():
    assert composed("cache", "keys=[12e4,0012, abcd]")["keys"] == ["12e4", "0012", "abcd"]


@pytest.mark.parametrize("text", [text for text in ODD if text not in ("", "x" * 5000)])
def test_bash_reads_a_printed_line_as_it_was_meant(text):
    words = shlex.split(shell_line([f"data.path={text}", quoted(text)]))
    assert words == [f"data.path={text}", quoted(text)]


def test_bash_itself_reads_printed_lines():
    words = [f"data.path={quoted(text)}" for text in ODD]
    typed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {shell_line(words)}"], capture_output=True, text=True, check=True
    )
    assert typed.stdout.split("\0")[:-1] == words


def test_an_interpolation_is_still_one():
    config = OmegaConf.create(composed("extract", "data=imagefolder", "data.path=${cache_dir}/照片", "cache_dir=c"))
    assert config.data.path == "c/照片"


@pytest.mark.parametrize("text", ["a${b", "${}", "${cache_dir}", "\\${x}", "照片 = [1], 'two'\\"])
def test_the_checked_config_has_the_text(text):
    config = composed(
        "extract", "data=hf", f"model.prompt={quoted(text)}", "data.path=a", f"data.attributes=[{quoted(text)}]"
    )
    checked = extract_config(OmegaConf.create(config))
    assert (checked.model.prompt, checked.data.attributes) == (text, [text])


def test_a_comma_separates_values_only_in_a_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        for_hydra("extract", ["data.path=a,b"])
    assert str(refused.value) == (
        "data.path=a,b: one value, or several? For one write \"data.path='a,b'\". To run one job for each, add -m"
    )
    assert for_hydra("extract", ["data.path='a,b'"]) == ["data.path='a,b'"]
    (tmp_path / "a,b").mkdir()
    assert for_hydra("extract", ["data.path=a,b"]) == ["data.path='a,b'"]
    swept = for_hydra("extract", ["data.path=a,照片,2024,'x,y'"], multirun=True)
    assert swept == ["data.path=a,'照片','2024','x,y'"]
    assert for_hydra("extract", ["data.path=choice(a,007)"], multirun=True) == ["data.path=choice(a,'007')"]
    with pytest.raises(UsageError, match=r"^runs=c,d: it must be a list: 'runs=\[c,d\]'$"):
        for_hydra("report", ["runs=c,d"])


def test_a_sweep_gives_each_job_its_text(run, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("foresight_cli.extract.run", lambda cfg: seen.append((cfg.data.path, cfg.model.prompt)))
    result = run("extract", "-m", "data=imagefolder", "data.path=照 片,2024,it's", "model.prompt='What, \\'this\\'?'")
    assert result.exit_code == 0, result.output
    assert seen == [(path, "What, 'this'?") for path in ("照 片", "2024", "it's")]


def test_what_is_recorded_is_what_was_typed(run, monkeypatch):
    words = ("data=imagefolder", "data.path=照片", "model.prompt=Is it a (big) cat?", "layer=9", "model.revision=12e4")
    lines = []
    monkeypatch.setattr(
        "foresight_cli.extract.run", lambda cfg: lines.append(as_typed("extract", HydraConfig.get().overrides.task))
    )
    assert run("extract", *words).exit_code == 0
    (line,) = lines
    assert line == (
        "foresight extract data=imagefolder data.path=照片 'model.prompt=Is it a (big) cat?' layer.index=9 "
        "model.revision=12e4"
    )
    assert run(*shlex.split(line)[1:]).exit_code == 0
    assert lines == [line, line]


SCHEMA = {
    "data.path": "PATH",
    "source.model.checkpoint": "PATH",
    "target.model.path": "PATH",
    "model.revision": "OPTIONAL",
    "data.attributes": "LIST",
    "runs": "LIST",
    "controls": "LIST",
    "hydra.run.dir": "PATH",
    "model.prompt": "TEXT",
}


@pytest.mark.parametrize("key", SCHEMA)
def test_the_schema_decides_which_settings_are_text(key):
    kind = kind_of(key)
    assert kind is not None
    assert kind.name == SCHEMA[key]
    assert [k for k in ("batch_size", "layer.index", "model.resolution", "nonsense", "dry_run") if kind_of(k)] == []


@pytest.mark.parametrize("stage", ["analyze", "adapt"])
def test_a_number_is_a_layer_of_either_side(stage):
    config = composed(stage, "layer=9", "target.layer=11")
    assert (config["source"]["layer"], config["target"]["layer"]) == ({"index": 9}, {"index": 11})
    assert composed(stage, "source.layer=9")["source"]["layer"] == {"index": 9}


def test_any_number_is_a_layer():
    assert for_hydra("extract", ["layer=9"]) == ["layer.index=9"]
    assert for_hydra("extract", ["layer=8"]) == ["layer='8'"]
    assert for_hydra("extract", ["layer=3,9,final"], multirun=True) == ["layer.index=3,9,final"]
    assert for_hydra("extract", ["layer=range(7,10)"], multirun=True) == ["layer.index=7,8,9"]
    assert composed("extract", "layer=012")["layer"] == {"index": 12}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["data.path=s/000.tar", "data.path=s/001.tar", "data.path=s/002.tar"],
            "data.path= is given 3 times, from s/000.tar to s/002.tar: the shell expanded {..}. "
            "Quote it: 'data.path=s/{000..002}.tar'",
        ),
        (
            ["data.path=s/098.tar", "data.path=s/099.tar", "data.path=s/100.tar"],
            "data.path= is given 3 times, from s/098.tar to s/100.tar: the shell expanded {..}. "
            "Quote it: 'data.path=s/{098..100}.tar'",
        ),
        (
            ["data.path=s/cat.tar", "data.path=s/dog.tar"],
            "data.path= is given 2 times, from s/cat.tar to s/dog.tar: the shell expanded {..}. "
            "Quote it: 'data.path=s/{cat,dog}.tar'",
        ),
    ],
)
def test_braces_expanded_by_a_shell_are_refused(words, message):
    with pytest.raises(UsageError) as refused:
        for_hydra("extract", words)
    assert str(refused.value) == message


def test_the_last_of_several_words_wins(run):
    """As in most command lines, and in Hydra; so a shell alias may hold defaults."""
    assert composed("extract", "batch_size=2", "batch_size=4")["batch_size"] == 4
    assert composed("extract", "model=ltxv", "model=pixels")["model"]["name"] == "pixels"
    assert composed("extract", "layer=9", "layer=final")["layer"] == {"index": "final"}
    assert composed("extract", "layer=4", "layer=9")["layer"] == {"index": 9}
    assert composed("extract", "data=imagefolder", "data.path=a", "model=pixels", "data.path=b")["data"]["path"] == "b"


def test_a_repeated_word_counts_once(run):
    assert run("extract", "layer=8", "layer=8", "batch_size=4", "batch_size=4", "--cfg", "job").exit_code == 0


def test_a_folder_with_a_comma_is_one_path_in_a_sweep_too(run, tmp_path):
    """Except if its parts exist as well: then the comma separates two paths, as usual."""
    folder = tmp_path / "a, b"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        Image.new("RGB", (8, 8)).save(folder / name)
    words = ("extract", "-m", "model=pixels,histogram", "data=imagefolder", "data.path=a, b")
    result = run(*words)
    assert (result.exit_code, result.output.count("2 rows ->")) == (0, 2)
    (tmp_path / "a").mkdir()
    assert "no images in" in run(*words).output


def test_a_folder_with_a_comma_as_data_is_suggested(run, tmp_path):
    (tmp_path / "a, b").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a, b" / "1.png")
    result = run("extract", "model=pixels", "data=a, b")
    assert result.exit_code == 2
    assert "a, b is a folder: data=imagefolder 'data.path=a, b'" in result.output
