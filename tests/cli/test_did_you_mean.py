"""Suggestions for wrong command lines: one line with the correct spelling, status 2 and no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foresight_cli.cli.did_you_mean import nearest
from foresight_cli.config.tree import config_groups

BELONGS = "no setting 'data.path' with data=shapes; it belongs to data=hf, imagefolder, video, webdataset"
LAYER = "A layer is a whole number from 0 on, final or all"
FOLDERS = {"small": "a/1.jpg", "tars": "0.tar", "movies": "a/b.MP4", "rows": "part-0.parquet", "empty": None}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Make a folder of each kind that ``data=`` reads, checkpoints, and files of latents."""
    for folder, name in FOLDERS.items():
        (tmp_path / folder).mkdir()
        if name:
            (tmp_path / folder / name).parent.mkdir(exist_ok=True)
            (tmp_path / folder / name).touch()
    kinds = {"vit": {"model_type": "vit"}, "qw": {"model_type": "qwen2_5_vl"}, "sd": {"_class_name": "AutoencoderKL"}}
    for folder, config in kinds.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps(config))
    (tmp_path / "effnet.npz").touch()
    (tmp_path / "照片").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("extract data=small", "no option 'small' in group 'data'. small is a folder: data=imagefolder "
         "data.path=small"),
        ("extract data=照片", "no option '照片' in group 'data'. 照片 is a folder: data=imagefolder data.path=照片"),
        ("extract data=tars", "no option 'tars' in group 'data'. tars is a folder: data=webdataset data.path=tars"),
        ("analyze data=movies", "no option 'movies' in group 'data'. movies is a folder: data=video data.path=movies"),
        ("extract data=rows", "no option 'rows' in group 'data'. rows is a folder: data=hf data.path=rows"),
        ("extract data=tars/0.tar", "no option 'tars/0.tar' in group 'data'. tars/0.tar is a file: "
         "data=webdataset data.path=tars/0.tar"),
        ("extract data=small/a/1.jpg", "no option 'small/a/1.jpg' in group 'data'. small/a/1.jpg is a file, and "
         "data.path= takes its folder: data=imagefolder data.path=small/a"),
        ("extract data=qw", "no option 'qw' in group 'data'. It is a checkpoint of a network: model=qwen25vl "
         "model.checkpoint=qw"),
        ("extract data=user/name", "no option 'user/name' in group 'data'. For a dataset of the hub: data=hf "
         "data.path=user/name"),
        ("extract data=folder", "no option 'folder' in group 'data'. Did you mean 'imagefolder'?"),
        ("extract model=qwen", "no option 'qwen' in group 'model'. Did you mean 'qwen25vl'?"),
        ("extract model=qwen2.5vl", "no option 'qwen2.5vl' in group 'model'. Did you mean 'qwen25vl'?"),
        ("extract model=Qwen/Qwen2.5-VL-7B-Instruct", "no option 'Qwen/Qwen2.5-VL-7B-Instruct' in group 'model'. A hub "
         "id is given as the checkpoint: model=qwen25vl model.checkpoint=Qwen/Qwen2.5-VL-7B-Instruct"),
        ("analyze target=stabilityai/sd-vae-ft-mse", "no option 'stabilityai/sd-vae-ft-mse' in group 'model'. A hub id "
         "is given as the checkpoint: target=autoencoder target.model.checkpoint=stabilityai/sd-vae-ft-mse"),
        ("analyze source=vit", "no option 'vit' in group 'model'. vit is a folder: source=vision "
         "source.model.checkpoint=vit"),
        ("extract model=./qw", "no option './qw' in group 'model'. ./qw is a folder: model=qwen25vl "
         "model.checkpoint=./qw"),
        ("extract model=sd", "no option 'sd' in group 'model'. sd is a folder: model=autoencoder model.checkpoint=sd"),
        ("adapt source=effnet.npz", "no option 'effnet.npz' in group 'model'. effnet.npz is a file: source=precomputed "
         "source.model.path=effnet.npz"),
        ("extract pooling=mean", "no option 'mean' in group 'pooling'. Did you mean 'channel_mean'?"),
        ("analyze source.pooling=avg", "no option 'avg' in group 'pooling'. Did you mean 'channel_mean'?"),
        ("extract layer=last", "no option 'last' in group 'layer'. Did you mean 'final'?"),
        ("extract layer=vision.3", f"no option 'vision.3' in group 'layer'. {LAYER}"),
        ("adapt layer=1.5", f"no option '1.5' in group 'layer'. {LAYER}"),
        ("adapt adapter=MLP", "no option 'MLP' in group 'adapter'. Did you mean 'mlp'?"),
        ("extract weights=real", "no option 'real' in group 'weights'. Did you mean 'hub'?"),
    ],
)  # fmt: skip
def test_an_unknown_option(run, disk, line, message):
    stage, *words = line.split()
    result = run(stage, *words)
    first, options = result.stderr.splitlines()
    assert first == f"foresight {stage}: {message}"
    group = message.split("in group '")[1].split("'")[0]
    assert options == f"  {group}: {', '.join(config_groups()[group])}"
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("extract data=imagefolder data.paht=pics", "no setting 'data.paht'. Did you mean 'data.path'?"),
        ("extract model=vision model.chekpoint=x", "no setting 'model.chekpoint'. Did you mean 'model.checkpoint'?"),
        ("analyze target=vision target.model.tokns=all", "no setting 'target.model.tokns'. Did you mean "
         "'target.model.tokens'?"),
        ("extract data.path=small", f"{BELONGS}. small is a folder: data=imagefolder data.path=small"),
        ("extract data.path=tars", f"{BELONGS}. tars is a folder: data=webdataset data.path=tars"),
        ("extract data.path=nosuch", BELONGS),
        ("extract data.path=sd", f"{BELONGS}. It is a checkpoint of a network: model=autoencoder model.checkpoint=sd"),
        ("extract vit", "cannot read 'vit'. It is a checkpoint of a network: model=vision model.checkpoint=vit"),
        ("extract effnet.npz", "cannot read 'effnet.npz'. effnet.npz is a file: model=precomputed "
         "model.path=effnet.npz"),
        ("extract model=precomputed effnet.npz", "cannot read 'effnet.npz'. effnet.npz is a file: data=precomputed "
         "data.path=effnet.npz"),
        ("analyze effnet.npz", "cannot read 'effnet.npz'. effnet.npz is a file: data=precomputed data.path=effnet.npz"),
        ("extract data.count=40", "no setting 'data.count'. Did you mean 'data.per_category'?"),
        ("analyze n_perm=99", "no setting 'n_perm'. Did you mean 'permutations'?"),
        ("analyze perms=99", "no setting 'perms'. Did you mean 'permutations'?"),
        ("extract batch=4", "no setting 'batch'. Did you mean 'batch_size'?"),
        ("extract model.res=64", "no setting 'model.res'. Did you mean 'model.resolution'?"),
        ("analyze data.path=small", "no setting 'data.path': no data is chosen; it belongs to data=hf, imagefolder, "
         "video, webdataset. small is a folder: data=imagefolder data.path=small"),
        ("extract model=pixels model.checkpoint=x", "no setting 'model.checkpoint' with model=pixels; it belongs to "
         "model=autoencoder, ltxv, qwen25vl, vision"),
        ("extract path=small", "no setting 'path'. Write data.path=small (of data=hf, imagefolder, video, webdataset) "
         "or model.path=small (of model=precomputed)"),
        ("extract dtype=float32", "no setting 'dtype'. Write model.dtype=float32"),
        ("extract resolution=256", "no setting 'resolution'. Write model.resolution=256"),
        ("analyze checkpoint=vit", "no setting 'checkpoint'. Write source.model.checkpoint=vit or "
         "target.model.checkpoint=vit"),
        ("analyze source.checkpoint=x", "no setting 'source.checkpoint'. Write source.model.checkpoint=x"),
        ("analyze model.checkpoint=x", "no setting 'model.checkpoint'. Write source.model.checkpoint=x or "
         "target.model.checkpoint=x"),
        ("extract 照片=3", "no setting '照片'. To list all settings: foresight extract --cfg job"),
        ("report foo=1", "no setting 'foo'. The settings are run, runs, format, fail_on, outputs_dir"),
        ("cache ls cachedir=x", "no setting 'cachedir'. Did you mean 'cache_dir'?"),
        ("extract model ltxv", "cannot read 'model'. Write model=ltxv"),
        ("extract model: ltxv", "cannot read 'model:'. Write model=ltxv"),
        ("extract model:ltxv", "cannot read 'model:ltxv'. Write model=ltxv"),
        ("extract model = ltxv", "cannot read 'model'. Write model=ltxv"),
        ("extract model= ltxv", "cannot read 'model='. Write model=ltxv"),
        ("extract model =ltxv", "cannot read 'model'. Write model=ltxv"),
        ("extract model=", "cannot read 'model='. Write model=VALUE"),
        ("analyze ltxv", "cannot read 'ltxv'. Write source=ltxv or target=ltxv"),
        ("extract small", "cannot read 'small'. small is a folder: data=imagefolder data.path=small"),
        ("extract data=imagefolder data.path=my pictures", "cannot read the override 'pictures'. Write KEY=VALUE; a "
         "value with a space needs quotes: 'data.path=my pictures'"),
        ("extract --model ltxv", "no option --model. Write model=ltxv"),
        ("extract --model=ltxv", "no option --model. Write model=ltxv"),
        ("extract -model ltxv layer=8", "no option -model. Write model=ltxv"),
        ("extract --data.path pics", "no option --data.path. Write data.path=pics"),
        ("analyze --max-rows 500", "no option --max-rows. Write max_rows=500"),
        ("extract batch_size=照片", "batch_size=照片: it must be a whole number or auto"),
        ("extract cache_dir=${x}", "cache_dir: Interpolation key 'x' not found"),
        ("extract data.variant=${x}", "data.variant: Interpolation key 'x' not found"),
        ("adapt push=${x}", "push: Interpolation key 'x' not found"),
        ("analyze +data.path=x", "data=None: choose one of shapes, imagefolder, video, precomputed, hf, webdataset"),
        ("extract hydra=-1", "cannot set up the run: Config group override must be a string or a list. Got int "
         "(HYDRA_FULL_ERROR=1 shows where)"),
        ("extract batch_size=2,4", "batch_size=2,4: one value, or several? To run one job for each, add -m"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read(run, disk, line, message):
    stage, *words = line.split()
    result = run(stage, *words)
    assert result.stderr == f"foresight {stage}: {message}\n"
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_unknown_stage(run):
    result = run("extrac")
    assert result.exit_code == 2
    assert "No such command 'extrac'. Did you mean 'extract'?" in result.stderr


def test_flags_of_hydra_are_still_flags(run):
    assert run("extract", "-cjob", "-p", "layer", "layer=9").stdout == "# @package layer\nindex: 9\n"
    assert "No such option: --foo" in run("extract", "--foo", "3").stderr


@pytest.mark.parametrize("group", sorted(set(config_groups()) - {"experiment"}))
def test_every_option_is_nearest_to_itself(group):
    options = config_groups()[group]
    for option in options:
        assert nearest(option, options, group) == option
        assert nearest(option.upper(), options, group) == option


WORD = st.one_of(
    st.builds(
        "{}{}={}".format,
        st.sampled_from(["", "", "+", "++", "~", "-"]),
        st.sampled_from(
            ["model", "data", "layer", "layer.index", "data.path", "batch_size", "source", "runner", "x.y", "a b"]
        ),
        st.one_of(
            st.sampled_from(
                ["ltxv", "4", "a,b", "null", "[1,2]", "{a:1}", "${x}", "${oc.env:A}", "???", "glob(*)", "choice(1)"]
            ),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
            st.text(alphabet="[](){}'\",=$\\:~ ab1", max_size=6),
        ),
    ),
    st.text(alphabet="abmodel=./@:[]{}()'\"~+-$\\, 1照", max_size=8),
)  # fmt: skip


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(words=st.lists(WORD, min_size=1, max_size=2), stage=st.sampled_from(["extract", "analyze", "report"]))
def test_no_line_ends_in_a_traceback(run, words, stage):
    result = run(stage, "--cfg", "job", "--", *words)
    assert result.exit_code in (0, 2), result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_several_layers_without_m_are_one_pass_or_several_jobs(run):
    assert "for one pass over all write 'layer.index=[final,2]'" in run("extract", "layer=final,2").output
