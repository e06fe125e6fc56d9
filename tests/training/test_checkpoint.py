import pytest
import torch

from foresight_cli.training.checkpoint import Epoch, TrainingCheckpoint, TrainingState


def progress():
    epochs = [Epoch(1, 1.0, 0.9, 1e-3), Epoch(2, 0.5, 0.8, 5e-4)]
    weights = {"a.weight": torch.randn(3, 2), "scale": torch.tensor(2.0)}
    return TrainingState(epochs, 1, weights, {"a.weight": torch.zeros(3, 2)}, {"0/exp_avg": torch.ones(3, 2)})


def test_what_was_saved_comes_back(tmp_path):
    saved = progress()
    TrainingCheckpoint(tmp_path / "new/folder/run.safetensors").save(saved)
    back = TrainingCheckpoint(tmp_path / "new/folder/run.safetensors").load()
    assert (back.epochs, back.best) == (saved.epochs, 1)
    for part in ("weights", "kept", "optimizer"):
        before, after = getattr(saved, part), getattr(back, part)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: b"\0" * len(data), None])
def test_what_cannot_be_read_is_no_checkpoint(tmp_path, damage):
    checkpoint = TrainingCheckpoint(tmp_path / "run.safetensors")
    if damage:
        checkpoint.save(progress())
        checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    assert checkpoint.load() is None


def test_it_is_gone_when_the_run_is_over(tmp_path):
    checkpoint = TrainingCheckpoint(tmp_path / "run.safetensors")
    checkpoint.save(progress())
    checkpoint.remove()
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []
