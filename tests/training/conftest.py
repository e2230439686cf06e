import pytest

from tests.training.tiny import prepare


@pytest.fixture
def prepared(project):
    """A project folder with a tiny encoder, its tokenizer and tokenized splits of 32 and 12 rows."""
    prepare(project)
    return project
