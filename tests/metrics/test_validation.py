import numpy as np
import pytest
import torch

from foresight_cli.metrics import linear_cka
from foresight_cli.metrics.validation import as_codes, as_matrix, as_pair, centre, column_means, row_list
from tests.refusal import refusal


def check(x, min_rows=2):
    return as_matrix(x, "x", measure="rsa", min_rows=min_rows)


@pytest.mark.parametrize(
    "x",
    [
        np.arange(6, dtype=np.int32).reshape(3, 2),
        np.arange(6, dtype=np.float16).reshape(3, 2),
        np.arange(6.0).reshape(3, 2)[::-1][::-1],
        torch.arange(6, dtype=torch.bfloat16).reshape(3, 2),
        torch.arange(6.0).reshape(3, 2).requires_grad_(),
        [[0, 1], [2, 3], [4, 5]],
    ],
)
def test_every_kind_of_matrix_becomes_float64(x):
    tensor = check(x)
    assert tensor.dtype == torch.float64
    assert not tensor.requires_grad
    assert tensor.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_read_only_memory_is_copied():
    x = np.arange(6.0).reshape(3, 2)
    x.flags.writeable = False
    assert check(x).tolist() == x.tolist()


def test_inputs_are_never_changed():
    x = torch.arange(10.0, dtype=torch.float64).reshape(5, 2) ** 2
    y = x.clone()
    linear_cka(x, x)
    assert torch.equal(x, y)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), "x has shape [3]: rsa wants [n, d], one row a sample"),
        (np.zeros((3, 0)), "x has shape [3, 0]: rsa wants [n, d], one row a sample"),
        (torch.zeros(2, 3, 4), "x has shape [2, 3, 4]: rsa wants [n, d], one row a sample"),
        (np.zeros((1, 2)), "x has 1 rows: rsa wants at least 2"),
        (np.array([["a"]]), "x has dtype <U1: wanted real numbers"),
        (np.zeros((2, 2), dtype=complex), "x has dtype complex128: wanted real numbers"),
        (torch.zeros(2, 2, dtype=torch.complex64), "x has dtype torch.complex64: wanted real numbers"),
        ([[0.0, np.nan], [1, 1]], "x has NaN or Inf in row 0: rsa wants finite numbers"),
        ([[0.0, 1], [np.inf, 1], [np.nan, 2]], "x has NaN or Inf in rows 1, 2: rsa wants finite numbers"),
    ],
)
def test_refusals(x, message):
    assert refusal(check, x) == message


def test_pairs_must_have_the_same_rows():
    message = refusal(as_pair, np.zeros((4, 2)), np.zeros((5, 2)), measure="rsa", min_rows=2)
    assert message == "x has 4 rows and y has 5: rsa wants the same samples in the same order"


def test_long_row_lists_are_cut():
    assert row_list([3]) == "row 3"
    assert row_list(list(range(12))) == "rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


def test_labels_of_any_kind_become_codes():
    for labels in (["b", "a", "b"], np.array([5, 1, 5]), torch.tensor([5, 1, 5]), [(1, 2), "x", (1, 2)]):
        assert as_codes(labels, 3, "labels").tolist() == [0, 1, 0]
    assert refusal(as_codes, ["a"], 2, "labels") == "labels has 1 entries for 2 rows"
    assert refusal(as_codes, ["a", None, float("nan")], 3, "labels") == "labels has no value in rows 1, 2"


def test_centring_leaves_constant_columns_exactly_zero():
    x = torch.full((7, 2), 0.1, dtype=torch.float64)
    x[:, 1] = torch.arange(7)
    assert x.mean(dim=0)[0] != 0.1  # the reason why the first row is subtracted first
    assert (centre(x)[:, 0] == 0).all()
    assert column_means(x).tolist() == [0.1, 3.0]
