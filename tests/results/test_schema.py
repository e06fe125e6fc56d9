import copy
import dataclasses
import json
import math

import jsonschema
import pytest
import yaml

from foresight_cli.errors import ForesightError
from foresight_cli.report import load_results
from foresight_cli.results import Estimate, json_text, save_results
from foresight_cli.results.schema import SCHEMA_FILE, json_schema, schema_text
from tests.reporting import example

MADE = {"full": lambda: example.full()[0], "bare": lambda: example.bare()[0], "adapter": example.adapter}


@pytest.fixture(params=MADE)
def results(request):
    return MADE[request.param]()


def test_the_published_schema_is_the_one_that_the_code_has():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_written_files_are_valid_by_the_schema(results, tmp_path):
    save_results(results, tmp_path / "results.yaml")
    contents = yaml.safe_load((tmp_path / "results.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(contents, json_schema())
    jsonschema.validate(json.loads(json_text(results)), json_schema())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda contents: contents.pop("verdict"),
        lambda contents: contents["pairs"][0].update(r2_reverse="high"),
        lambda contents: contents.update(more=1),
        lambda contents: contents.update(schema=2),
        lambda contents: contents["spaces"][0].pop("key"),
    ],
)
def test_invalid_contents_are_refused(spoil):
    contents = json.loads(json_text(example.full()[0]))
    jsonschema.validate(contents, json_schema())
    spoilt = copy.deepcopy(contents)
    spoil(spoilt)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, json_schema())


def test_a_file_from_before_shares_were_capped_is_read_and_capped(tmp_path):
    contents = json.loads(json_text(example.full()[0]))
    size = contents["chosen"]["attributes"][2]
    size["retention"].update(value=1.546, low=1.255, high=2.019)
    del size["target_lower"]
    jsonschema.validate(contents, json_schema())
    (tmp_path / "results.yaml").write_text(yaml.safe_dump(contents))
    attribute = load_results(tmp_path).chosen.attributes[2]
    assert (attribute.retention.value, attribute.retention.low, attribute.retention.high) == (1.0, 1.0, 1.0)
    assert attribute.target_lower is None


def test_results_come_back_as_they_were_by_folder_or_file(results, tmp_path):
    save_results(results, tmp_path / "results.yaml")
    loaded = load_results(tmp_path)
    assert type(loaded) is type(results)
    assert loaded == load_results(str(tmp_path / "results.yaml"))
    assert json_text(loaded) == json_text(results)  # nine digits of each number


def test_null_means_not_measured_and_files_with_words_are_read_too(tmp_path):
    adapter = dataclasses.replace(
        example.adapter(), noise_from=None, settings={"adapter": {"rank": None, "sizes": [None, 2.5]}}
    )
    save_results(adapter, tmp_path / "results.yaml")
    text = (tmp_path / "results.yaml").read_text(encoding="utf-8")
    tree = yaml.safe_load(text)
    assert "not measured" not in text
    assert (tree["noise_from"], tree["settings"]) == (None, {"adapter": {"rank": None, "sizes": [None, 2.5]}})
    typed = load_results(tmp_path)
    words = text.replace("null", "not measured")  # as they were written before
    assert words.count("not measured") == text.count("null") > 4
    (tmp_path / "results.yaml").write_text(words, encoding="utf-8")
    assert load_results(tmp_path) == typed
    assert (typed.noise_from, typed.settings) == (None, adapter.settings)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(words), json_schema())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda c: c["pairs"][1].update(r2_reverse="high"),
            "pairs.1.r2_reverse: input should be a valid number, unable",
        ),
        (lambda c: c["chosen"].pop("kendall"), "chosen.kendall: field required"),
        (lambda c: c.update(rows=None), "rows: input should be a valid integer"),
        (lambda c: c.update(spaces={}), "spaces: input should be a valid list"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_by_its_name_and_field(spoil, message, tmp_path):
    contents = json.loads(json_text(example.full()[0]))
    spoil(contents)
    (tmp_path / "results.yaml").write_text(yaml.safe_dump(contents), encoding="utf-8")
    with pytest.raises(ForesightError) as error:
        load_results(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/results.yaml is not whole: {message}")
    assert "\n" not in str(error.value)


def test_a_number_that_was_not_finite_is_null_and_comes_back_as_not_measured(tmp_path):
    results = example.full()[0]
    pairs = [dataclasses.replace(results.pairs[0], cosine=math.nan, r2=Estimate(-math.inf)), *results.pairs[1:]]
    save_results(dataclasses.replace(results, pairs=pairs, layer_similarity=[[1, math.nan]]), tmp_path / "results.yaml")
    loaded = load_results(tmp_path)
    assert (loaded.pairs[0].cosine, loaded.pairs[0].r2.value, loaded.layer_similarity) == (None, None, [[1.0, None]])


def test_a_file_of_before_a_field_was_added_is_read(tmp_path):
    save_results(example.full()[0], tmp_path / "results.yaml")
    contents = yaml.safe_load((tmp_path / "results.yaml").read_text(encoding="utf-8"))
    for test in contents["pairs"][0]["tests"]:
        del test["critical"]
    (tmp_path / "results.yaml").write_text(yaml.safe_dump(contents), encoding="utf-8")
    assert {test.critical for test in load_results(tmp_path).pairs[0].tests} == {None}
