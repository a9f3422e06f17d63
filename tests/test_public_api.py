import importlib
import pickle
import pkgutil
import subprocess
import sys

import coaching_async
from coaching_async import models
from tests.support.fault_server import HANG


def test_all_is_exact():
    public = {name for name in vars(coaching_async) if not name.startswith("_")}
    submodules = {module.name for module in pkgutil.iter_modules(coaching_async.__path__)}

    assert len(coaching_async.__all__) == len(set(coaching_async.__all__))
    assert public - submodules == set(coaching_async.__all__)


def test_every_model_is_exported():
    assert set(models.__all__) <= set(coaching_async.__all__)


def test_public_classes_name_the_package_as_their_module():
    for name in coaching_async.__all__:
        value = getattr(coaching_async, name)
        if isinstance(value, type):
            assert value.__module__ == "coaching_async"
            assert pickle.loads(pickle.dumps(value)) is value


def test_every_module_has_a_docstring():
    for module in pkgutil.iter_modules(coaching_async.__path__, "coaching_async."):
        assert importlib.import_module(module.name).__doc__, module.name


def test_importing_starts_no_threads_and_needs_no_extras():
    code = (
        "import logging, sys, threading; import coaching_async;"
        "assert threading.active_count() == 1; assert not logging.root.handlers;"
        "extra = {'starlette', 'uvicorn', 'trio', 'httpx2', 'pydantic_core', 'pytest', 'sqlite3'} & sys.modules.keys(); assert not extra, extra"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=HANG)
