"""Results of the stages: typed, written to ``results.yaml`` and read back."""

from foresight_cli.results.adapter import AdapterResults, AdapterScore, AttributeGain, SeedScore
from foresight_cli.results.analysis import (
    CURVE_SIZES,
    Analysis,
    Category,
    CategoryRows,
    ChosenPair,
    Control,
    LearningPoint,
    Pair,
    Space,
    WholeSet,
)
from foresight_cli.results.arrays import load_arrays, save_arrays
from foresight_cli.results.attribute import Attribute
from foresight_cli.results.choice import candidates
from foresight_cli.results.duplicates import Duplicates
from foresight_cli.results.estimates import Estimate, Neighborhood
from foresight_cli.results.file import json_text, load_results, save_results
from foresight_cli.results.long import results_csv
from foresight_cli.results.significance import PermutationTest
from foresight_cli.results.verdict import Criterion, Verdict

__all__ = [
    "CURVE_SIZES",
    "AdapterResults",
    "AdapterScore",
    "Analysis",
    "Attribute",
    "AttributeGain",
    "Category",
    "CategoryRows",
    "ChosenPair",
    "Control",
    "Criterion",
    "Duplicates",
    "Estimate",
    "LearningPoint",
    "Neighborhood",
    "Pair",
    "PermutationTest",
    "SeedScore",
    "Space",
    "Verdict",
    "WholeSet",
    "candidates",
    "json_text",
    "load_arrays",
    "load_results",
    "results_csv",
    "save_arrays",
    "save_results",
]
