import json

import pytest
import torch

from foresight_cli.adapters import load_adapter, open_adapter, save_adapter
from foresight_cli.config import LinearConfig, MLPConfig
from foresight_cli.errors import ForesightError
from foresight_cli.metrics import fit_ridge

LINEAR = LinearConfig("linear")
MLP = MLPConfig("mlp", hidden=16, layers=2, dropout=0.1, lr=1e-2, weight_decay=0.0, batch_size=16, epochs=5, patience=5)


def rows(n=80, d1=6, d2=4):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d1, generator=generator)
    return x, x @ torch.randn(d1, d2, generator=generator) + 3


@pytest.mark.parametrize("config", [LINEAR, MLP])
def test_saved_and_loaded_again_it_maps_the_same(config, tmp_path):
    x, y = rows()
    adapter = open_adapter(config, 6, 4).eval()
    adapter.solve(x, y) if config is LINEAR else adapter.standardize(x, y)
    save_adapter(adapter, tmp_path, {"source": {"layer": "8"}, "target": {}})
    loaded = load_adapter(tmp_path)
    assert torch.equal(loaded(x), adapter(x))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter.safetensors", "config.json"]
    said = json.loads((tmp_path / "config.json").read_text())
    assert said["recipes"]["source"] == {"layer": "8"}
    assert (said["source_dim"], said["target_dim"]) == (6, 4)


def test_linear_is_ridge():
    x, y = rows()
    adapter = open_adapter(LINEAR, 6, 4)
    adapter.solve(x, y)
    assert adapter.parameter_count == 6 * 4 + 4
    torch.testing.assert_close(adapter(x).double(), fit_ridge(x, y).predict(x), atol=1e-5, rtol=1e-5)


def test_mlp_counts_its_parameters():
    assert open_adapter(MLP, 6, 4).parameter_count == (6 * 16 + 16) + (16 * 16 + 16) + (16 * 4 + 4)


def test_a_wrong_width_is_refused():
    with pytest.raises(ForesightError) as said:
        open_adapter(LINEAR, 6, 4)(torch.zeros(2, 5))
    assert str(said.value) == "latents of shape [2, 5]: this adapter maps [n, 6]"


def test_what_is_no_adapter_is_refused(tmp_path):
    with pytest.raises(ForesightError) as said:
        load_adapter(tmp_path)
    assert str(said.value) == f"no adapter in {tmp_path}: config.json is missing"
    save_adapter(open_adapter(LINEAR, 6, 4), tmp_path, {})
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"source_dim": 6', '"source_dim": 7'))
    with pytest.raises(ForesightError, match="do not fit together"):
        load_adapter(tmp_path)
    config.write_text('{"format": 9}')
    with pytest.raises(ForesightError) as said:
        load_adapter(tmp_path)
    assert str(said.value) == f"{config} is not an adapter of format 1"
    (tmp_path / "adapter.safetensors").write_bytes(b"no")
    with pytest.raises(ForesightError, match="cannot read the adapter"):
        load_adapter(tmp_path)
