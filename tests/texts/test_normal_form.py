"""The form in which texts are compared."""

from stages.texts.normal_form import identity, normalise


def test_white_space_and_accents_are_normalised():
    assert normalise(" a\tb\u00a0\n c ") == "a b c"
    assert normalise("cafe\u0301") == "caf\u00e9"


def test_texts_that_differ_in_case_alone_are_the_same():
    assert identity("Straße  A") == identity("STRASSE a")
