import dataclasses
import re

import pytest
import torch
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from foresight_cli.adapters import save_adapter
from foresight_cli.reporting.model_card import render_model_card
from foresight_cli.results import AdapterResults, AdapterScore, Duplicates, Estimate, SeedScore
from tests.adapters.made_adapters import KINDS, drawn, recipe, recipes

NASTY = "a|b\n# <script>`*_x_*[y](z)``` $m$ \\"


def score(name, parameters=8_320, r2=0.551, cosine=0.77, recall=0.25, gain=None, outcome=None):
    return AdapterScore(name, parameters, Estimate(r2, r2 - 0.02, r2 + 0.02), cosine, {"1": 0.08, "10": recall}, gain,
                        outcome)  # fmt: skip


def adapter_results(**changes):
    """Return example results of ``foresight adapt``."""
    results = AdapterResults(
        adapter="mlp",
        shape={},
        source="qwen25vl layer 8 channel_mean",
        target="ltxv final flat",
        weights="tiny",
        duplicates=Duplicates(354, 78, 6, 267, [], []),
        rows={"training": 160, "validation": 54, "test": 54},
        scores=[
            score("mlp", 49_792, 0.583, 0.792, 0.317),
            score("mean", 128, -0.004, 0.0, 0.185, Estimate(0.587, 0.561, 0.612), "better"),
            score("ridge", gain=Estimate(0.032, -0.004, 0.068), outcome="tie"),
        ],
        chance={"1": 1 / 54, "10": 10 / 54},
        r2_validation=Estimate(0.601, 0.58, 0.62),
        r2_train=0.744,
        noise_ceiling=1.0,
        noise_from=None,
        r2_per_component=[0.9, 0.4],
        attributes=[],
        attributes_ridge=[],
        attribute_gains=[],
        seeds=[SeedScore(7, 0.583, 0.601, 0.744, 112, 92), SeedScore(8, 0.571, 0.59, 0.731, 99, 79)],
        saved_seed=7,
        settings={"adapter": {"name": "mlp"}},
        provenance={"entries": ["/home/ada/cache/secret"]},
    )
    return dataclasses.replace(results, **changes)


def parsed(text):
    """Parse the card with an independent Markdown parser: return headings, and the cells of its tables row by row."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text.partition("\n---\n")[2])
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    table, rows, tables = [], [], []
    for i, token in enumerate(tokens):
        if token.type in ("th_open", "td_open"):
            rows.append("".join(child.content for child in tokens[i + 1].children))
        elif token.type == "tr_close":
            table.append(rows)
            rows = []
        elif token.type == "table_close":
            tables.append(table)
            table = []
    return headings, tables


def code(text):
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return block


def test_what_it_maps_and_how_well():
    text = render_model_card(drawn("mlp"), recipes(), adapter_results())
    headings, (settings, scores, seeds) = parsed(text)
    assert headings == [
        "qwen25vl layer 8 channel_mean to ltxv final flat",
        "How to load it",
        "Settings of the latents",
        "Scores on held-out rows",
        "Not tested",
        "Settings of the adapter",
    ]
    assert settings == [
        ["Setting", "Source", "Target"],
        ["model.name", "qwen25vl", "ltxv"],
        ["model.checkpoint", "ada/qwen", "local"],
        ["model.revision", "c0ffee", "c0ffee"],
        ["model.prompt", "Describe.", "Describe."],
        ["model.resolution", "56", "56"],
        ["model.sha256", "", "ab"],
        ["layer", "8", "final"],
        ["pooling", "channel_mean", "flat"],
        ["data.name", "shapes", "shapes"],
        ["data.seed", "0", "0"],
        ["rows", "90", "90"],
    ]
    assert scores == [
        ["Predicted by", "Parameters", "R²", "Centred cosine", "Retrieval@1", "Retrieval@10",
         "R² added by this adapter", "This adapter is"],
        ["mlp", "49,792", "0.583 (0.563 to 0.603)", "0.792", "0.080", "0.317", "", ""],
        ["mean", "128", "-0.004 (-0.024 to 0.016)", "0.000", "0.080", "0.185", "0.587 (0.561 to 0.612)", "better"],
        ["ridge", "8,320", "0.551 (0.531 to 0.571)", "0.770", "0.080", "0.250", "0.032 (-0.004 to 0.068)", "tie"],
        ["chance", "", "", "", "0.019", "0.185", "", ""],
    ]  # fmt: skip
    assert seeds == [
        ["Seed", "R², test", "R², validation", "R², training", "Best epoch", "Epochs"],
        ["7", "0.583", "0.601", "0.744", "92", "112"],
        ["8", "0.571", "0.590", "0.731", "79", "99"],
    ]
    parameters = sum(p.numel() for p in drawn("mlp").parameters())
    for part in (
        f"This adapter (mlp, {parameters:,} parameters) maps latents of one model to latents of another: rows of\n"
        "6 values of **qwen25vl layer 8 channel_mean** to rows of 4 values of **ltxv final flat**.",
        "Of 267 groups of similar samples, none is on both sides of the split: 160 training, 54 validation, 54 test "
        "rows.",
        "R² 0.744 on its own training rows, 0.601 (0.580 to 0.620) on the validation rows.\n"
        "The target's own noise was not measured: the ceiling of R² is taken as 1.000.\n",
        "Trained 2 times, with other initial weights and batches each time; the weights here are of seed 7:\n",
        "trained and scored on rows of shapes alone.",
        "> **Tiny weights.** Its two models are small checkpoints trained on drawn shapes",
        "hidden: 256\n",
    ):
        assert part in text
    assert "\n\n\n" not in text
    assert "secret" not in text


def test_the_front_matter_is_one_of_the_hub():
    card = ModelCard(render_model_card(drawn("lowrank"), recipes()))
    assert {key: value for key, value in card.data.to_dict().items() if value is not None} == {
        "library_name": "foresight",
        "tags": ["foresight", "latent-space", "adapter", "lowrank-adapter"],
    }
    assert card.text.startswith("\n# qwen25vl layer 8")


def test_without_scores_it_says_so():
    text = render_model_card(drawn(), recipes())
    assert "## Scores on held-out rows\n\nNo scores were given when it was saved.\n\n## Not tested" in text
    assert "Tiny weights" not in text
    assert "Tiny weights" not in render_model_card(drawn(), recipes(), adapter_results(weights="hub"))


def test_one_seed_has_no_table():
    text = render_model_card(drawn(), recipes(), adapter_results(seeds=adapter_results().seeds[:1]))
    assert len(parsed(text)[1]) == 2
    assert "\n\n\n" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_its_snippet_runs_in_its_folder(kind, tmp_path, monkeypatch):
    text = render_model_card(drawn(kind), recipes())
    save_adapter(drawn(kind), tmp_path, recipes(), card=text)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code(text), names)
    assert names["target"].shape == (4, 4)
    assert torch.equal(names["target"], drawn(kind)(names["source"]))
    assert 'load_adapter(".")  # the folder of this file' in text


def test_the_snippet_of_a_published_one(tmp_path, monkeypatch):
    text = render_model_card(drawn(), recipes(), repo_id="ada/map")
    save_adapter(drawn(), tmp_path / "ada" / "map", recipes(), card=text)
    monkeypatch.chdir(tmp_path)  # a folder with the name of the repository is used in its place
    names = {}
    exec(code(text), names)
    assert torch.equal(names["target"], drawn()(names["source"]))
    assert 'load_adapter("ada/map")  # fetched from the Hugging Face hub' in text


def test_a_rank_that_was_chosen_is_in_the_settings():
    text = render_model_card(drawn("lowrank"), recipes())
    assert "```yaml\nname: lowrank\nmax_parameters: 10000000\nrank: 3\n```" in text


def test_previews_are_shown():
    text = render_model_card(drawn(), recipes(), previews=["previews.png", "previews.gif"])
    assert "\n\n![previews.png](previews.png)\n\n![previews.gif](previews.gif)\n\n## Not tested" in text


def test_names_of_others_break_no_table_and_make_no_markup():
    named = {"name": NASTY, NASTY: NASTY, "empty": "", "list": [1, NASTY], "none": None}
    nasty = recipe().to_dict() | {"layer": NASTY, "pooling": NASTY, "model": named, "data": {"name": NASTY}}
    results = adapter_results(scores=[score(NASTY, 1, outcome=NASTY)], rows={NASTY: 3}, seeds=[])
    plain = parsed(render_model_card(drawn(), recipes(), adapter_results()))
    headings, tables = parsed(render_model_card(drawn(), {"source": nasty, "target": nasty}, results))
    shown = NASTY.replace("\n", " ")
    assert headings[1:] == plain[0][1:]
    assert len(tables) == 2
    assert ["layer", shown, shown] in tables[0]
    assert [f"model.{shown}", shown, shown] in tables[0]
    assert ["model.empty", '""', '""'] in tables[0]
    assert ["model.none", "null", "null"] in tables[0]
    assert tables[1][1][:2] == [shown, "1"]
    assert tables[1][1][-1] == shown
    assert {len(row) for row in tables[0]} == {3}
    assert {len(row) for row in tables[1]} == {8}


def test_a_number_without_the_filter_is_refused():
    with pytest.raises(TypeError, match="5 is not text: a number goes through a filter"):
        render_model_card(drawn(), recipes(), adapter_results(scores=[dataclasses.replace(score("mlp"), name=5)]))
