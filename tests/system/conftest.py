"""Fixtures: an instance of the mail system under a temporary directory, stopped at the end whatever happens."""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from instance import Instance  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: long; only in `make soak`")


@pytest.fixture
def make_instance(tmp_path_factory):
    """make_instance(main_cf lines, master_cf lines, name) gives a started Instance."""
    made = []

    def make(main=(), master=(), name="mail", start=True, replace=()):
        # Short paths: UNIX socket names are limited.
        directory = tmp_path_factory.mktemp(name)
        instance = Instance(str(directory / "i"))
        instance.configure(main, master, replace)
        made.append(instance)
        if start:
            instance.start()
        return instance

    yield make
    for instance in made:
        instance.destroy()
        shutil.rmtree(instance.directory, ignore_errors=True)


@pytest.fixture
def instance(make_instance):
    return make_instance()
