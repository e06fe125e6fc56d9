import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from foresight_cli import __version__
from foresight_cli.adapters import load_adapter, save_adapter
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from tests.adapters.made_adapters import KINDS, drawn, recipe, recipes, rows


@pytest.fixture
def saved(tmp_path):
    """Return a folder with a linear adapter from 6 to 4 values."""
    save_adapter(drawn(), tmp_path / "adapter", recipes())
    return tmp_path / "adapter"


def change(folder, **changes):
    """Overwrite keys of config.json; ``...`` deletes one."""
    path = folder / "config.json"
    settings = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in settings.items() if value is not ...}))


def refused(place, **options):
    with pytest.raises(ForesightError) as caught:
        load_adapter(place, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_again_it_maps_the_same(kind, tmp_path):
    adapter = drawn(kind)
    save_adapter(adapter, tmp_path / "new" / "folder", recipes(), card="# A card\n")
    drawn_before = torch.get_rng_state()
    loaded = load_adapter(tmp_path / "new" / "folder")
    assert torch.equal(torch.get_rng_state(), drawn_before)
    assert torch.equal(loaded(rows()), adapter(rows()))
    assert not loaded.training
    assert (loaded.config, loaded.shape) == (adapter.config, adapter.shape)
    assert {p.device.type for p in loaded.parameters()} == {"cpu"}
    assert torch.equal(load_adapter(str(tmp_path / "new/folder/adapter.safetensors"))(rows()), adapter(rows()))


def test_what_is_written(tmp_path):
    save_adapter(drawn("lowrank"), tmp_path, recipes(), card="# Ä card\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "adapter.safetensors", "config.json"]
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "# Ä card\n"
    tensors = (tmp_path / "adapter.safetensors").read_bytes()
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "format": 2,
        "foresight": __version__,
        "adapter": {"name": "lowrank", "rank": None, "max_parameters": 10_000_000},
        "source_dim": 6,
        "target_dim": 4,
        "shape": {"rank": 3},
        "recipes": recipes(),
        "sha256": hashlib.sha256(tensors).hexdigest(),
    }


def test_the_same_adapter_is_the_same_bytes(saved, tmp_path):
    save_adapter(drawn(), tmp_path / "again", recipes())
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_other_widths_are_refused(kind, tmp_path):
    save_adapter(drawn(kind), tmp_path, recipes())
    for shape in ([2, 5], [6], [1, 2, 6]):
        with pytest.raises(ForesightError) as caught:
            load_adapter(tmp_path)(torch.zeros(shape))
        assert str(caught.value) == f"latents of shape {shape}: this adapter maps [n, 6]"


def test_what_is_missing(saved):
    for name in ("adapter.safetensors", "config.json"):
        data = (saved / name).read_bytes()
        (saved / name).unlink()
        assert refused(saved) == f"no adapter in {saved}: {name} is missing"
        (saved / name).write_bytes(data)
    away = saved.with_name("away")
    assert refused(away) == f"no adapter in {away}: there is no such folder. foresight adapt writes one"


def test_a_folder_in_the_place_of_a_file(saved):
    (saved / "config.json").unlink()
    (saved / "config.json").mkdir()
    assert refused(saved) == f"cannot read the adapter in {saved}: Is a directory"


def test_damage(saved):
    path = saved / "adapter.safetensors"
    data = path.read_bytes()
    message = (
        f"cannot read the adapter in {saved}: adapter.safetensors is not the file that config.json was written with; "
        "it is damaged or half copied. Copy both again, or train again: foresight adapt"
    )
    for damaged in (data[:-1], data[:-1] + bytes([data[-1] ^ 1]), b""):  # a flipped bit of a weight is seen too
        path.write_bytes(damaged)
        assert refused(saved) == message
    path.write_bytes(data)
    load_adapter(saved)
    for written, reason in (("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
                            ("[" * 9999 + "]" * 9999, None)):  # fmt: skip
        (saved / "config.json").write_text(written)
        text = refused(saved)
        assert text.startswith(f"cannot read the adapter in {saved}: config.json is damaged (")
        assert reason is None or text.endswith(f"({reason})")


@pytest.mark.parametrize("written", ["[]", "{}", '{"format": "2"}', '{"model_type": "bert"}', "null"])
def test_a_config_of_something_else(saved, written):
    (saved / "config.json").write_text(written)
    assert refused(saved) == f"no adapter in {saved}: its config.json was not written by foresight adapt"


def test_formats_before_and_after(saved):
    change(saved, format=1)
    assert refused(saved) == (
        f"the adapter in {saved} has format 1, of an older foresight; this one ({__version__}) reads format 2. "
        "Train it again: foresight adapt"
    )
    change(saved, format=3, foresight="9.1.0")
    assert refused(saved) == (
        f"the adapter in {saved} has format 3, of foresight 9.1.0; this one ({__version__}) reads format 2. "
        "Type: pip install -U foresight-latents"
    )


def test_a_kind_of_later(saved):
    change(saved, adapter={"name": "flow"})
    assert refused(saved) == (
        f"the adapter in {saved} is of the kind 'flow', unknown to this foresight ({__version__}): it has linear, "
        "lowrank, mlp, query. Type: pip install -U foresight-latents"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source_dim": 7}, "mean is [6], not [7]"),
        ({"target_dim": 5}, "bias is [4], not [5]"),
        ({"source_dim": 10**13}, f"mean is [6], not [{10**13}]"),
        ({"source_dim": 0}, "it cannot map 0 values to 4"),
        ({"target_dim": "4"}, "it cannot map 6 values to '4'"),
        ({"shape": [6]}, "its shape [6] is not a mapping of names to numbers"),
        ({"shape": ...}, "config.json lacks 'shape'"),
        ({"adapter": {}}, "config.json lacks 'name'"),
        ({"adapter": {"name": "linear", "max_parameters": 0}}, "adapter.max_parameters=0: it must be at least 1"),
        ({"adapter": {"name": "lowrank", "rank": 2, "max_parameters": 99}, "shape": {"rank": 2}},
         "decoder is nothing, not [2, 4]"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_together(saved, changes, reason):
    change(saved, **changes)
    assert refused(saved) == f"the adapter in {saved} does not fit its config.json: {reason}"


def test_a_tensor_too_many_and_one_that_is_none(saved):
    tensors = dict(drawn().state_dict()) | {"zeal": torch.zeros(3)}
    for data, reason in ((save(tensors), "zeal is [3], not nothing"), (b"no", "Error while deserializing")):
        (saved / "adapter.safetensors").write_bytes(data)
        change(saved, sha256=hashlib.sha256(data).hexdigest())
        assert refused(saved).startswith(f"the adapter in {saved} does not fit its config.json: {reason}")


def test_an_older_adapter_half_overwritten_is_refused(saved, monkeypatch):
    """A save that is killed between the files leaves the new tensors beside the old config.json."""
    other = drawn()
    with torch.no_grad():
        other.bias += 1
    (saved / "config.json").rename(saved / "kept")
    save_adapter(other, saved, recipes())
    (saved / "kept").replace(saved / "config.json")
    assert "is not the file that config.json was written with" in refused(saved)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ForesightError, match="cannot write"):
        save_adapter(drawn(), tmp_path / "file" / "in it", recipes())


class TestSource:
    def test_the_recipe_it_was_trained_on(self, saved, tmp_path):
        entry = Entry.create(tmp_path / "cache", recipe())
        for source in (recipe(), recipe().to_dict(), entry):
            assert torch.equal(load_adapter(saved, source=source)(rows()), drawn()(rows()))

    def test_other_data(self, saved):
        load_adapter(saved, source=recipe(data={"name": "imagefolder", "sha256": "ff"}, rows=7))

    def test_other_latents(self, saved):
        other = recipe(layer="final", pooling="flat", model={"prompt": 'Say "a"\n', "resolution": 112, "tokens": "all"})
        for source in (other, other.to_dict()):
            assert refused(saved, source=source) == (
                f"the adapter in {saved} was trained on latents made with other settings: "
                'layer was "8", is "final"; model.prompt was "Describe.", is "Say \\"a\\"\\n"; model.resolution was '
                '56, is 112; model.tokens was not set, is "all"; pooling was "channel_mean", is "flat". '
                "Extract the latents with the settings that were used, or train an adapter on these: foresight adapt"
            )

    def test_the_target_in_the_place_of_the_source(self, saved):
        assert 'model.name was "qwen25vl", is "ltxv"' in refused(saved, source=recipes()["target"])

    def test_precomputed_rows_are_data(self, tmp_path):
        model = {"name": "precomputed", "sha256": "aa"}
        trained = {**recipe(layer="final").to_dict(), "model": model}
        save_adapter(drawn(), tmp_path, {**recipes(), "source": trained})
        load_adapter(tmp_path, source={**trained, "model": {**model, "sha256": "bb"}})
        assert 'pooling was "channel_mean", is "flat"' in refused(tmp_path, source={**trained, "pooling": "flat"})

    @pytest.mark.parametrize("kept", [..., {}, None, {"source": {}}, {"source": {**recipe().to_dict(), "format": 9}}])
    def test_an_adapter_that_does_not_say(self, saved, kept):
        change(saved, recipes=kept)
        text = refused(saved, source=recipe())
        if kept is ... or kept is None or "source" not in kept:
            assert text == (
                f"the adapter in {saved} does not say which latents it was trained on, so source= cannot be checked"
            )
        else:
            assert text.startswith("a recipe of format ")
        load_adapter(saved)

    def test_what_is_no_recipe(self, saved):
        fields = {key: value for key, value in recipe().to_dict().items() if key != "layer"}
        assert refused(saved, source=fields) == "not a recipe: missing 1 required positional argument: 'layer'"


class TestHub:
    def test_fetched_from_it(self, saved, hub):
        hub.files["ada/map"] = {path.name: path.read_bytes() for path in saved.iterdir()} | {"huge.bin": b"0" * 99}
        assert torch.equal(load_adapter("ada/map", source=recipe())(rows()), drawn()(rows()))
        fetched = {path.rpartition("/")[2] for method, path, _ in hub.asked if method == "GET" and "/resolve/" in path}
        assert fetched == {"adapter.safetensors", "config.json"}

    def test_a_folder_of_that_name_goes_first(self, hub, tmp_path, monkeypatch):
        save_adapter(drawn(), tmp_path / "ada" / "map", recipes())
        monkeypatch.chdir(tmp_path)
        load_adapter("ada/map")
        assert hub.asked == []

    def test_once_fetched_it_needs_no_network(self, saved, hub, monkeypatch):
        hub.files["ada/map"] = {path.name: path.read_bytes() for path in saved.iterdir()}
        load_adapter("ada/map")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        assert torch.equal(load_adapter("ada/map")(rows()), drawn()(rows()))

    def test_no_such_repository(self, hub):
        assert refused("ada/none") == (
            "no adapter in ada/none: there is no such folder, and the Hugging Face hub shows no such repository. "
            "Is it private? Log in with hf auth login, or set HF_TOKEN"
        )

    def test_a_repository_of_something_else(self, hub):
        hub.files["ada/bert"] = {"config.json": b'{"model_type": "bert"}', "adapter.safetensors": b""}
        assert refused("ada/bert") == "no adapter in ada/bert: its config.json was not written by foresight adapt"
        hub.files["ada/empty"] = {"config.json": b"{}"}
        assert refused("ada/empty") == "no adapter in ada/empty: adapter.safetensors is missing"

    def test_a_hub_that_fails(self, hub):
        hub.refusals["/api/models/"] = (500, "tea\ntime")
        assert refused("ada/map") == (
            "no adapter in ada/map: there is no such folder, and the Hugging Face hub answered 500 Internal Server "
            "Error: tea time"
        )

    def test_no_network(self, hub, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        assert refused("ada/map") == (
            "no adapter in ada/map: there is no such folder, and the Hugging Face hub cannot be reached "
            "([Errno 111] Connection refused)"
        )

    @pytest.mark.parametrize("place", ["ada", "a/b/c", "ada/a b", Path("ada/map"), "ada/.."])
    def test_what_is_no_name_of_a_repository_is_not_asked_for(self, place, hub, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert refused(place) == f"no adapter in {place}: there is no such folder. foresight adapt writes one"
        assert hub.asked == []
