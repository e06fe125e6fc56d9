import pytest
import torch

from foresight_cli import __version__
from foresight_cli.adapters import load_adapter, push_adapter, save_adapter
from foresight_cli.adapters.publishing import check_push
from foresight_cli.errors import ForesightError, UsageError
from tests.adapters.made_adapters import drawn, recipes, rows

SENT = ["README.md", "adapter.safetensors", "config.json"]


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "run"
    save_adapter(drawn(), folder, recipes(), card="---\nlibrary_name: foresight\n---\n# Card\n")
    return folder


def refused(kind, call, *args):
    with pytest.raises(kind) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def later(folder):
    return (
        f". The adapter stays in {folder}; later, in Python: "
        f"foresight_cli.adapters.push_adapter({str(folder)!r}, 'ada/map')"
    )


def test_the_very_bytes_arrive_in_one_commit(saved, hub):
    assert push_adapter(saved, "ada/map") == f"{hub.url}/ada/map"
    assert hub.files == {"ada/map": {name: (saved / name).read_bytes() for name in SENT}}
    assert hub.commits == [(f"Adapter of foresight {__version__}", SENT)]
    assert {token for method, _, token in hub.asked if method == "POST"} == {"Bearer hf_secret"}


def test_previews_are_sent_and_nothing_else_of_the_folder(saved, hub):
    for name in ("previews.png", "previews.gif", "results.yaml", "metrics.jsonl", "other.png", ".hydra/config.yaml",
                 "0/config.json", "0/previews.png"):  # fmt: skip
        (saved / name).parent.mkdir(exist_ok=True)
        (saved / name).write_bytes(name.encode())
    push_adapter(saved, "ada/map")
    assert sorted(hub.files["ada/map"]) == sorted([*SENT, "previews.png", "previews.gif"])
    assert hub.files["ada/map"]["previews.gif"] == b"previews.gif"


def test_pushed_again_it_replaces_the_first(saved, hub):
    push_adapter(saved, "ada/map")
    adapter = drawn()
    with torch.no_grad():
        adapter.bias += 1
    save_adapter(adapter, saved, recipes())
    assert push_adapter(saved, "ada/map") == f"{hub.url}/ada/map"
    assert len(hub.commits) == 2
    assert hub.files["ada/map"]["adapter.safetensors"] == (saved / "adapter.safetensors").read_bytes()


def test_there_and_back(saved, hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    push_adapter("run", "ada/map")
    assert torch.equal(load_adapter("ada/map", source=recipes()["source"])(rows()), drawn()(rows()))


@pytest.mark.parametrize("name", ["map", "a/b/c", "ada/a b", "ada/a--b", "ada/a..b", "/map", "", "ada/map.git"])
def test_bad_names(name, hub, saved):
    message = (
        f"push={name} is not a name of a Hugging Face repository: wanted user/name, of letters, digits, - _ and ., "
        "without -- or .., such as push=ada/qwen25vl-to-ltxv"
    )
    assert refused(UsageError, check_push, name) == message
    assert refused(UsageError, push_adapter, saved, name) == message
    assert hub.asked == []


def test_no_token(saved, hub, monkeypatch):
    check_push("ada/map")
    monkeypatch.delenv("HF_TOKEN")
    message = (
        "cannot push to ada/map: there is no token of the Hugging Face hub. Log in with hf auth login, or set HF_TOKEN"
    )
    assert refused(ForesightError, check_push, "ada/map") == message
    assert refused(ForesightError, push_adapter, saved, "ada/map") == message
    assert hub.asked == []


def test_a_token_that_the_hub_does_not_know(saved, hub):
    hub.refusals[""] = (401, "Invalid credentials")
    assert refused(ForesightError, push_adapter, saved, "ada/map") == (
        "cannot push to ada/map: the Hugging Face hub does not accept this token. Log in with hf auth login, or set "
        "HF_TOKEN" + later(saved)
    )


@pytest.mark.parametrize("at", ["/api/repos/create", "/preupload/", "/commit/"])
def test_a_token_that_may_not_write(saved, hub, at):
    hub.refusals[at] = (403, "no write rights")
    assert refused(ForesightError, push_adapter, saved, "ada/map") == (
        "cannot push to ada/map: this token may not write there. Make one that may at "
        "https://huggingface.co/settings/tokens" + later(saved)
    )
    assert not any(hub.files.values())


def test_a_hub_that_refuses(saved, hub):
    hub.refusals["/commit/"] = (400, "library_name\nmust be text")
    assert refused(ForesightError, push_adapter, saved, "ada/map") == (
        "cannot push to ada/map: the Hugging Face hub answered 400 Bad Request: library_name must be text"
        + later(saved)
    )


def test_no_network(saved, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert refused(ForesightError, push_adapter, saved, "ada/map") == (
        "cannot push to ada/map: the Hugging Face hub cannot be reached ([Errno 111] Connection refused)" + later(saved)
    )


def test_what_cannot_be_loaded_or_has_no_card_is_not_published(saved, hub):
    (saved / "README.md").unlink()
    assert refused(ForesightError, push_adapter, saved, "ada/map") == (
        f"cannot push {saved}: it has no README.md. foresight adapt writes one beside the adapter"
    )
    (saved / "adapter.safetensors").unlink()
    assert refused(ForesightError, push_adapter, saved, "ada/map") == (
        f"no adapter in {saved}: adapter.safetensors is missing"
    )
    away = saved.parent / "ada"
    assert refused(ForesightError, push_adapter, str(away), "ada/map") == (
        f"no adapter in {away}: there is no such folder. foresight adapt writes one"
    )
    assert hub.asked == []
