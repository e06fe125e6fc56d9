"""The command ``foresight adapt push=user/name``, against a local hub."""

import shutil

from huggingface_hub import constants

from foresight_cli.adapters import load_adapter
from tests.commands import PAIR, newest, refused, typed


def test_the_adapter_and_its_card_arrive(cached, tmp_path, hub):
    result = typed(cached, "adapt", *PAIR, "adapter=linear", "push=ada/map")
    assert f"published: {hub.url}/ada/map\n" in result.output
    folder = newest(tmp_path)
    assert hub.files["ada/map"] == {
        name: (folder / name).read_bytes() for name in ("README.md", "adapter.safetensors", "config.json")
    }
    assert 'load_adapter("ada/map")' in (folder / "README.md").read_text()
    shutil.rmtree(folder)
    assert load_adapter("ada/map").source_dim == 192


def test_refused_before_training_where_there_is_no_token(cached, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    message = refused(cached, "adapt", *PAIR, "adapter=linear", "push=ada/map")
    assert message.startswith("cannot push to ada/map: there is no token of the Hugging Face hub. ")
    assert not list(tmp_path.glob("outputs/adapt/*/*/adapter.safetensors"))


def test_refused_where_it_is_no_name(cached):
    message = refused(cached, "adapt", *PAIR, "push=map", code=2)
    assert message.startswith("push=map is not a name of a Hugging Face repository: wanted user/name, ")


def test_the_adapter_stays_where_the_hub_refuses_it(cached, tmp_path, hub):
    hub.refusals["/commit/"] = (403, "no")
    message = refused(cached, "adapt", *PAIR, "adapter=linear", "push=ada/map")
    folder = newest(tmp_path)
    assert message.startswith("cannot push to ada/map: this token may not write there. ")
    assert message.endswith(f"foresight_cli.adapters.push_adapter({str(folder)!r}, 'ada/map')")
    assert load_adapter(folder).target_dim == 64
