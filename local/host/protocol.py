"""The messages between the Functions host and its workers (FunctionRpc.proto), compiled.

azure-functions-runtime does not have them. The wheel azure-functions-runtime-v1 does, as `tests/protos`,
but `tests` is the name of our own tests too. So this module finds them in the wheel's file list, and loads
them with another name. It loads only the messages: the gRPC stubs beside them need grpcio.
"""

import importlib
import sys
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

_WHEEL = "azure-functions-runtime-v1"
_PACKAGE = "_functions_rpc"


@cache
def load() -> Any:
    """A namespace with every message class, which the worker library expects in `properties["protos"]`."""
    folder = next(
        (
            Path(str(file.locate())).parent
            for file in distribution(_WHEEL).files or ()
            if file.as_posix() == "tests/protos/FunctionRpc_pb2.py"
        ),
        None,
    )
    if folder is None:
        raise ImportError(f"{_WHEEL} no longer carries tests/protos; pin the version in requirements-dev.txt")
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[_PACKAGE] = package
    modules = (
        importlib.import_module(f"{_PACKAGE}.shared.NullableTypes_pb2"),
        importlib.import_module(f"{_PACKAGE}.FunctionRpc_pb2"),
    )
    return SimpleNamespace(
        **{name: value for each in modules for name, value in vars(each).items() if not name.startswith("_")}
    )
