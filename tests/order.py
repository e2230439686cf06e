"""In which order, and in which worker of pytest-xdist, the tests run. It imports no library that is slow to load."""

from collections.abc import Iterator

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)  # the first half before the workers read the groups, the second after it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Run fast tests first, and all tests that share the finished pipeline in one worker, so that it is made once."""
    for item in items:
        if "pipeline" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group("pipeline"))
    # the pipeline comes first among the slow ones: it takes longest, and other workers run the rest meanwhile
    order = {(False, False): 0, (True, True): 1, (True, False): 2}
    items.sort(key=lambda item: order[bool(item.get_closest_marker("slow")), "pipeline" in getattr(item, "fixturenames", ())])
    yield
    for item in items:
        # pytest-xdist 3.8 adds a test's group to its name in an attribute that pytest 9.2 does not read
        named = getattr(item, "_nodeid", item.nodeid)
        if named != item.nodeid and hasattr(item, "_id"):
            item._id = type(item._id).parse(named)
