"""Python command lines, printed to be typed, that convert an unusable file of latents into a usable one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

BFLOAT16_BITS = "({x}.view(np.uint16).astype(np.uint32) << 16).view(np.float32)"
"""numpy reads bfloat16 that JAX or ml_dtypes saved as two untyped bytes per number."""
FP8 = "torch.from_numpy({x}.view(np.uint8)).view(torch.float8_e4m3fn).float().numpy()"
RECORDS = "structured_to_unstructured({x}, dtype=np.float32)"


def floats_of(dtype: np.dtype[Any], x: str) -> tuple[str, str]:
    """Return the imports and the expression that convert a numpy array ``x`` of an unsupported dtype to floats."""
    if dtype.names is not None:
        return _fields(dtype, x)
    if dtype.kind == "V" and dtype.itemsize in (1, 2):
        return ("import torch; ", FP8.format(x=x)) if dtype.itemsize == 1 else ("", BFLOAT16_BITS.format(x=x))
    if dtype.kind == "c":
        return "", f"np.concatenate([{x}.real, {x}.imag], axis=1).astype(np.float32)"
    if dtype.kind == "O":
        return "", f"np.array({x}.tolist(), dtype=np.float32)"
    wide = dtype.kind == "f" and dtype.itemsize > 8
    return "", f"{x}.astype(np.{'float64' if wide else 'float32'})"


def _fields(dtype: np.dtype[Any], x: str) -> tuple[str, str]:
    """Return the same for records: their one field of vectors, or all their fields of numbers side by side."""
    assert dtype.names is not None
    parts = {name: dtype[name] for name in dtype.names}
    vectors = [name for name, part in parts.items() if part.shape and part.base.kind in "fiu"]
    if len(vectors) == 1:
        return "", f"{x}[{vectors[0]!r}].astype(np.float32)"
    numbers = [name for name, part in parts.items() if part.base.kind in "fiub"]
    some = x if len(numbers) == len(parts) else f"{x}[{numbers!r}]"
    imports = "from numpy.lib.recfunctions import structured_to_unstructured; "
    return imports, RECORDS.format(x=some)


def npz_line(path: Path, name: str, dtype: np.dtype[Any]) -> str:
    """Return the line that converts the array ``name`` of a ``.npz`` to floats, in a new file beside it."""
    imports, floats = floats_of(dtype, f"a[{name!r}]")
    pickled = ", allow_pickle=True" if dtype.hasobject else ""
    made = _beside(path, "-float.npz")
    return _python(
        f"import numpy as np; {imports}a = dict(np.load({str(path)!r}{pickled})); a[{name!r}] = {floats}; "
        f"np.savez({made!r}, **a)"
    )


def npz_text_line(path: Path, names: Sequence[str]) -> str:
    """Return the line that converts the arrays ``names`` of a ``.npz`` to text, in a new file; None becomes ""."""
    text = "v.decode() if isinstance(v, bytes) else '' if v is None else str(v)"
    return _python(
        f"import numpy as np; a = dict(np.load({str(path)!r}, allow_pickle=True)); "
        f"a |= {{k: np.array([{text} for v in a[k].ravel()]) for k in {list(names)!r}}}; "
        f"np.savez({_beside(path, '-text.npz')!r}, **a)"
    )


def npy_line(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """Return the line that converts a ``.npy`` to floats in place, since the table of its rows has the same name."""
    pickled = ", allow_pickle=True" if dtype.hasobject else ""
    loaded = f"import numpy as np; {{}}a = np.load({str(path)!r}{pickled}); "
    if dtype.hasobject and shape == ():  # np.save of a dict
        return _python(
            loaded.format("") + f"d = a.item(); np.savez({str(path.with_suffix('.npz'))!r}, ids=list(d), "
            "values=np.array(list(d.values()), dtype=np.float32))"
        )
    imports, floats = floats_of(dtype, "a")
    return _python(loaded.format(imports) + f"np.save({str(path)!r}, {floats})")


def safetensors_line(path: Path, name: str, dtype: str) -> str | None:
    """Return the line that converts the tensor ``name`` to floats, in a new file; None if torch cannot convert it."""
    if dtype.startswith(("F4", "F6")):
        return None
    x = f"t[{name!r}]"
    floats = f"torch.cat([{x}.real, {x}.imag], dim=1)" if dtype.startswith("C") else f"{x}.to(torch.float32)"
    made = path.with_name(f"{path.stem}-float{path.suffix}")
    table = path.with_suffix(".csv")
    copied = f"; shutil.copy({str(table)!r}, {str(made.with_suffix('.csv'))!r})" if table.exists() else ""
    return _python(
        f"import {'shutil, ' if copied else ''}torch; from safetensors import safe_open; "
        f"from safetensors.torch import load_file, save_file; "
        f"t = load_file({str(path)!r}); {x} = {floats}; "
        f"save_file(t, {str(made)!r}, safe_open({str(path)!r}, 'pt').metadata()){copied}"
    )


def row_by_row_line(path: Path, shapes: Sequence[Sequence[int]]) -> str | None:
    """Return the line that stacks vectors stored one by one, each under its id; None if they are not stored so."""
    if len(shapes) < 2 or len({tuple(shape) for shape in shapes}) > 1 or len(shapes[0]) != 1:
        return None
    if path.suffix.lower() == ".npz":
        return _python(
            f"import numpy as np; a = np.load({str(path)!r}); "
            f"np.savez({_beside(path, '-rows.npz')!r}, ids=list(a), values=np.stack([a[i] for i in a]))"
        )
    if path.suffix.lower() == ".safetensors":
        return _python(
            f"import numpy as np; from safetensors.torch import load_file; a = load_file({str(path)!r}); "
            f"np.savez({_beside(path, '-rows.npz')!r}, ids=list(a), values=np.stack([a[i].float() for i in a]))"
        )
    return None


def parquet_line(path: Path, name: str, kind: str, depth: int) -> str | None:
    """Return the line that converts a column to lists of floats, in a new file; None if there is no such line.

    Args:
        path: the file.
        name: the column.
        kind: kind of its innermost entries: ``number``, ``text`` (JSON, if outside of lists), ``bytes`` (float32).
        depth: number of nested lists.
    """
    made, imports = _beside(path, "-float.parquet"), "import "
    if depth and kind in ("number", "text"):
        column = f"c.cast({'pa.list_(' * depth}pa.float32(){')' * depth})"
    elif kind == "text":
        column = "pa.array(np.array([json.loads(v) for v in c.to_pylist()], dtype=float).tolist())"
        imports = "import json, numpy as np, "
    elif kind == "bytes" and not depth:
        column = "pa.array([np.frombuffer(v, dtype=np.float32) for v in c.to_pylist()])"
        imports = "import numpy as np, "
    else:
        return None
    return _python(
        f"{imports}pyarrow as pa, pyarrow.parquet as q; t = q.read_table({str(path)!r}); "
        f"i = t.column_names.index({name!r}); c = t.column(i); "
        f"q.write_table(t.set_column(i, {name!r}, {column}), {made!r})"
    )


def other_kind_line(path: Path) -> str | None:
    """Return the line that converts a file of another kind; None if there is no such line."""
    source, npz, parquet = repr(str(path)), repr(_beside(path, ".npz")), repr(_beside(path, ".parquet"))
    suffix = path.suffix.lower()
    columns = "d if {'id', 'ids', 'key', 'values'} & set(d) else {'ids': list(d), 'values': list(d.values())}"
    if suffix in (".pt", ".pth"):
        return _python(
            f"import numpy as np, torch; d = torch.load({source}, map_location='cpu', weights_only=True); "
            f"d = d if isinstance(d, dict) else {{'ids': range(len(d)), 'values': d}}; "
            f"d = {columns}; n = lambda v: (v.float() if v.is_floating_point() else v).numpy() if torch.is_tensor(v) "
            f"else np.array(v) if not any(map(torch.is_tensor, v)) else torch.stack(list(v)).float().numpy(); "
            f"np.savez({npz}, **{{k: n(v) for k, v in d.items()}})"
        )
    if suffix in (".pkl", ".pickle"):
        return _python(
            f"import pathlib, pickle, numpy as np; d = pickle.loads(pathlib.Path({source}).read_bytes()); "
            f"d = {columns}; "
            f"np.savez({npz}, **{{k: np.array(list(v)) for k, v in d.items()}})"
        )
    if suffix in (".h5", ".hdf5"):
        return _python(
            f"import h5py, numpy as np; f = h5py.File({source}); "
            f"np.savez({npz}, **{{k: v.asstr()[:].astype(str) if v.dtype.hasobject else v[:] for k, v in f.items()}})"
        )
    if suffix == ".mat":
        return _python(
            f"import numpy as np, scipy.io as s; d = s.loadmat({source}, squeeze_me=True, chars_as_strings=True); "
            f"np.savez({npz}, **{{k: v for k, v in d.items() if k[0] != '_'}})"
        )
    if suffix in (".arrow", ".feather", ".ipc"):
        return _arrow_line(path, source, parquet)
    readers = {
        ".csv": f"read_csv({source})",
        ".tsv": f"read_csv({source}, sep=chr(9))",
        ".json": f"read_json({source})",
        ".jsonl": f"read_json({source}, lines=True)",
        ".ndjson": f"read_json({source}, lines=True)",
    }
    return _table_line(path, readers[suffix], parquet) if suffix in readers else None


def saved_dataset_line(folder: Path) -> str:
    """Return the line that converts a dataset of ``save_to_disk`` to a file beside its folder."""
    made = str(folder.with_name(f"{folder.name}.parquet"))
    return _python(f"from datasets import load_from_disk; load_from_disk({str(folder)!r}).to_parquet({made!r})")


def _arrow_line(path: Path, source: str, parquet: str) -> str:
    """Return the line for an Arrow file, or for an Arrow stream (as the datasets library writes it)."""
    try:
        with path.open("rb") as file:
            is_file = file.read(6) == b"ARROW1"
    except OSError:
        is_file = True
    return _python(
        f"import pyarrow as pa, pyarrow.parquet as q; "
        f"q.write_table(pa.ipc.open_{'file' if is_file else 'stream'}(pa.memory_map({source})).read_all(), {parquet})"
    )


def _table_line(path: Path, reader: str, parquet: str) -> str:
    """Return the line that uses pandas; lists that a CSV holds as text, ``[0.1, 0.2]``, become lists again."""
    lists = ""
    if path.suffix.lower() in (".csv", ".tsv"):
        lists = (
            "; import json; [t.__setitem__(c, t[c].map(json.loads)) for c in t.columns "
            "if str(t[c].iloc[0]).startswith('[')]"
        )
    return _python(f"import pandas as pd; t = pd.{reader}{lists}; t.to_parquet({parquet})")


def _beside(path: Path, ending: str) -> str:
    return str(path.with_name(path.stem + ending))


def _python(code: str) -> str:
    return f"python -c {_quoted(code)}"


def _quoted(code: str) -> str:
    """Quote for bash: in double quotes if the code has no special characters, for readability."""
    return shlex.quote(code) if any(mark in code for mark in '"$`\\!') else f'"{code}"'
