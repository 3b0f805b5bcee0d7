import pickle

import pytest

from idseg import errors
from idseg.errors import IdsegError


def kinds(base: type[IdsegError] = IdsegError) -> list[type[IdsegError]]:
    return [base, *(kind for sub in base.__subclasses__() for kind in kinds(sub))]


@pytest.mark.parametrize("kind", kinds())
def test_every_error_has_its_own_reason_and_survives_pickling(kind: type[IdsegError]) -> None:
    error = kind("found 3, allowed 2", persons=3)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is kind
    assert (str(again), again.facts) == ("found 3, allowed 2", {"persons": 3})
    assert error.to_dict() == {"reason": kind.reason, "persons": 3, "message": "found 3, allowed 2"}


def test_reasons_are_distinct() -> None:
    reasons = [kind.reason for kind in kinds()]
    assert len(set(reasons)) == len(reasons)


def test_every_error_is_drawn_in_the_docstring() -> None:
    assert errors.__doc__ is not None
    for kind in kinds():
        if kind.__module__ == "idseg.errors":
            assert kind.__name__ in errors.__doc__
