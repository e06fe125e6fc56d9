import dataclasses
import io
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from foresight_cli.reporting.figures import FIGURES, Drawn, catalogue, draw_figures
from foresight_cli.reporting.figures.style import NotMeasured, style
from foresight_cli.reporting.findings import render_findings
from foresight_cli.reporting.page import Pictures, render_page
from tests.reporting import example

# The names of the figures in the Q1 study, with <layer> and <pooling> of the example.
NAMES = [
    "source_tsne_layer_8",
    "source_tsne_layer_final",
    "source_layer_comparison",
    "target_tsne_channel_mean",
    "target_tsne_flat",
    "target_channel_analysis",
    "target_spatial_correlation",
    "intrinsic_dim_pca",
    "intrinsic_dim_summary",
    "linear_probe_training",
    "linear_probe_components",
    "linear_probe_scatter",
    "linear_probe_summary",
    "semantic_sim_scatter",
    "semantic_sim_categories",
    "semantic_sim_heatmaps",
    "semantic_sim_ranks",
    "neighborhood_recall_curve",
    "neighborhood_by_category",
    "neighborhood_rank_distribution",
    "neighborhood_examples",
    "cka_heatmap",
    "cka_source_self_similarity",
    "cka_layer_curve",
    "calibrated_scores",
    "attribute_retention",
    "duplicates",
]


def title(draw, results, arrays):
    with style():
        return " ".join(draw(results, arrays).get_suptitle().split())


def test_every_figure_is_drawn(drawn):
    record, files = drawn
    assert record.names == NAMES
    assert record.left_out == {}
    assert set(files) == {f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")}


def test_files_are_900_pixels_wide_and_small(drawn):
    for name, data in drawn[1].items():
        if name.endswith("png"):
            with Image.open(io.BytesIO(data)) as image:
                assert image.width == 900
                assert image.height < 1200
        else:
            assert ElementTree.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg"
        assert len(data) < 400_000


def test_files_say_no_time_and_no_version(drawn):
    for name, data in drawn[1].items():
        assert b"<dc:date>" not in data, name
        assert mpl.__version__.encode() not in data, name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "cka_heatmap",
            "Layer 8 channel_mean aligns best with the target's channel_mean: debiased CKA 0.63 (0.60 to 0.66)",
        ),
        (
            "linear_probe_training",
            "With 216 training rows the probe reaches R² 0.56 held out (still rising) and 0.80 in training",
        ),
        (
            "linear_probe_summary",
            "The source predicts R² 0.57 (0.55 to 0.59) of the target, above the threshold of 0.50; the best control "
            "reaches 0.48",
        ),
        (
            "semantic_sim_scatter",
            "Distances agree with Spearman \N{GREEK SMALL LETTER RHO} 0.68 (0.66 to 0.70), p = 0.001",
        ),
        ("intrinsic_dim_pca", "95 % of the variance needs 26 components in the source and 64 in the target"),
        (
            "intrinsic_dim_summary",
            "The estimators disagree: the target has 0.6 times the source's dimension by Two-NN, 1.8 times by MLE",
        ),
        ("neighborhood_recall_curve", "Of 10 nearest neighbours 26.8 % (25.0 to 28.6) are shared, 7.2 times chance"),
        ("cka_source_self_similarity", "The source's layers differ most between layer 8 and final: debiased CKA 0.84"),
        (
            "source_layer_comparison",
            "Layer 8 channel_mean groups the categories best: silhouette 0.52, 5-NN accuracy 98 %",
        ),
    ],
)
def test_titles_state_the_finding(name, expected):
    assert title(FIGURES[name], *example.full()) == expected


def test_tsne_title():
    results, arrays = example.full()
    text = title(catalogue(results)["source_tsne_layer_8"], results, arrays)
    assert text == "Layer 8 channel_mean keeps the categories apart: silhouette 0.52, 5-NN accuracy 98 % (chance 11 %)"


def test_rank_distribution_counts_by_hand():
    results, arrays = example.full()
    arrays = {**arrays, "neighborhood/ranks": np.array([1, 9, 3, 4], dtype=np.int32)}
    text = title(FIGURES["neighborhood_rank_distribution"], results, arrays)
    # Ranks 1 and 3 are half of four; of 269 others, the first 135 are half.
    expected = "Half of the source's nearest neighbours are among the 3 nearest of the target; by chance among 135"
    assert text == expected


def test_ranks_of_identical_spaces():
    results, _ = example.full()
    text = title(FIGURES["semantic_sim_ranks"], results, {"rsa/ranks": np.eye(40) / 40})
    # The closest 4 of 40 bins: 4 of 16 cells hold 40 times the share of chance.
    assert text.startswith("The closest tenth of pairs in the source is 10.0 times as often")


def test_categories_of_two_rows_by_hand():
    results, _ = example.full(labels=("a", "b", "c"), per_label=20)
    source, target = np.full((3, 3), 6.0), np.full((3, 3), 2.0)
    source[np.diag_indices(3)], target[np.diag_indices(3)] = (2.0, 4.0, 0.0), (2.0, 2.0, 2.0)  # c has one row
    arrays = {"rsa/source_categories": source, "rsa/target_categories": target}
    text = title(FIGURES["semantic_sim_heatmaps"], results, arrays)
    assert (
        text == "Rows of different categories are 2.0 times as far apart in the source as rows of one category, "
        "and 1.0 times in the target"
    )


def test_examples_count_what_is_shared():
    results, arrays = example.full()
    of = {"neighborhood/query": [0], "neighborhood/source": [[1, 2, 3, 4, 5]], "neighborhood/target": [[5, 1, 6, 7, 8]]}
    arrays = {**arrays, **{name: np.array(value, dtype=np.int32) for name, value in of.items()}}
    text = title(FIGURES["neighborhood_examples"], results, arrays)
    assert text == "In these 1 examples the spaces share 2 of 5 nearest neighbours (framed)"


def test_what_was_not_measured_is_left_out_with_its_reason():
    results, arrays = example.bare()
    record = Drawn()
    files = dict(draw_figures(results, arrays, record))
    kept = [
        "intrinsic_dim_summary",
        "linear_probe_summary",
        "neighborhood_recall_curve",
        "cka_heatmap",
        "cka_layer_curve",
    ]
    assert record.names == kept
    assert len(files) == 10
    autoencoder = "can be measured only where both poolings of a video autoencoder are cached"
    assert record.left_out == {
        "source_tsne_layer_final": "no t-SNE was made of this space",
        "source_layer_comparison": "the data has no categories to judge clusters by",
        "target_tsne_channel_mean": "no t-SNE was made of this space",
        "target_channel_analysis": f"single channels {autoencoder}",
        "target_spatial_correlation": f"single cells {autoencoder}",
        "intrinsic_dim_pca": "no spectrum was kept",
        "linear_probe_training": "a learning curve needs two sizes, and the data has too few rows for them",
        "linear_probe_components": "R² of the single principal components of the target was not measured",
        "linear_probe_scatter": "no held-out predictions were kept",
        "semantic_sim_scatter": "no distances were kept, or the data has no categories",
        "semantic_sim_categories": "the data has no category with enough rows",
        "semantic_sim_heatmaps": "no distances were kept, or the data has no categories",
        "semantic_sim_ranks": "no distances were kept, or the data has no categories",
        "neighborhood_by_category": "the data has no categories",
        "neighborhood_rank_distribution": "no ranks of neighbours were kept",
        "neighborhood_examples": "the pictures could not be opened again",
        "cka_source_self_similarity": "the source has one layer only",
        "calibrated_scores": "no permutation test was made",
        "attribute_retention": "no attribute was measured",
        "duplicates": "there are no duplicates, or the pictures could not be opened again",
    }


def test_arrays_without_labels():
    results, arrays = example.full()
    results = dataclasses.replace(results, labels={}, chosen=dataclasses.replace(results.chosen, categories=[]))
    arrays = {
        **arrays,
        "label": np.full(results.rows, -1, dtype=np.int32),
        "rsa/same": np.zeros(4000, dtype=np.float32),
    }
    without = ("rsa/source_categories", "rsa/target_categories")
    arrays = {name: array for name, array in arrays.items() if name not in without}
    for name in ("source_tsne_layer_8", "semantic_sim_scatter"):
        title(catalogue(results)[name], results, arrays)
    for name in ("semantic_sim_categories", "semantic_sim_heatmaps", "neighborhood_by_category"):
        with style(), pytest.raises(NotMeasured):
            FIGURES[name](results, arrays)


def test_a_figure_that_fails_is_named_and_the_others_are_drawn(caplog):
    results, arrays = example.full(layers=("8",), per_label=6)
    broken = {**arrays, "tsne/0": np.zeros(5, dtype=np.float32)}
    wanted = ("source_tsne_layer_8", "neighborhood_recall_curve")
    record = Drawn()
    files = [record.draw(name, partial(catalogue(results)[name], results, broken)) for name in wanted]
    assert [list(drawn) for drawn in files] == [[], ["png", "svg"]]
    reason = "too many indices for array: array is 1-dimensional, but 2 were indexed"
    line = f"figure source_tsne_layer_8 could not be drawn: {reason}"
    assert record.names == ["neighborhood_recall_curve"]
    assert record.left_out == {"source_tsne_layer_8": f"could not be drawn: {reason}"}
    assert record.failures == [line]
    assert caplog.messages == [f"warning: {line}"]
    assert line in render_findings(results, [], record).replace("\\", "")
    assert line in render_page(results, [], record, Pictures({}, record.titles, {}))


def test_odd_labels_are_drawn_as_they_are():
    names = ("$x_1$ and $y$", "_hidden", "名前 \N{GRINNING FACE}", "two\nlines\x1b", "<b>&", "l" * 300, "")
    names += tuple(f"category {i}" for i in range(34))
    results, arrays = example.full(layers=("8",), labels=tuple(sorted(names)), per_label=6)
    wanted = ("source_tsne_layer_8", "semantic_sim_heatmaps", "semantic_sim_categories", "neighborhood_by_category")
    with style():
        for name in wanted:
            figure = catalogue(results)[name](results, arrays)
            figure.draw_without_rendering()
            if name == "source_tsne_layer_8":
                shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(shown) == 41  # 40 categories and the others
    assert " _hidden" in shown
    assert "$x_1$ and $y$" in shown
    assert "two lines " in shown
    assert "l" * 15 + "…" in shown


def test_other_models_layers_and_poolings_name_files_safely():
    results, _ = example.full()
    spaces = [dataclasses.replace(s, layer="../a b", pooling="mean/é") for s in results.spaces]
    names = list(catalogue(dataclasses.replace(results, spaces=spaces)))
    assert names[:3] == ["source_tsne_.._a_b", "source_layer_comparison", "target_tsne_mean__"]


def test_global_settings_come_back():
    before = dict(mpl.rcParams)
    title(FIGURES["cka_heatmap"], *example.full())
    assert dict(mpl.rcParams) == before


ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
from foresight_cli.reporting import figures
from tests.reporting import example
results, arrays = example.full()
for name, data in figures.draw_figures(results, arrays, figures.Drawn()):
    (Path(sys.argv[1]) / name).write_bytes(data)
assert "matplotlib.pyplot" not in sys.modules
"""


@pytest.mark.slow
def test_another_process_draws_the_same_bytes(drawn, tmp_path):
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == drawn[1]
