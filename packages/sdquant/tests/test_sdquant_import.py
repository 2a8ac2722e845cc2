import subprocess
import sys

import pytest
import sdquant as sd


def run(code: str, *flags: str) -> None:
    subprocess.run([sys.executable, *flags, "-c", code], check=True, timeout=120)


def test_import_loads_no_torch_or_numba() -> None:
    run("import sys, sdquant, sdquant.kernels; assert not {'torch', 'numba'} & set(sys.modules)")


def test_compiles_where_warnings_are_errors() -> None:
    run("import torch, sdquant as sd; sd.fwht(sd.sigma_delta(torch.zeros(4, 8), 2).float())", "-W", "error")


def test_public_names_are_not_hidden_by_the_files_they_live_in() -> None:
    names = "set(sd.__all__) - {'analysis', 'kernels'}"
    run(f"import sdquant.frame as _; import sdquant as sd; assert all(callable(getattr(sd, n)) for n in {names})")


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="attribute quantum"):
        _ = sd.quantum  # pyright: ignore[reportAttributeAccessIssue]


def test_every_listed_name_loads() -> None:
    assert sorted(sd.__all__) == dir(sd)
    assert all(getattr(sd, name) is not None for name in sd.__all__)
