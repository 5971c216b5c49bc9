"""Transactions that meet: what one commits between two statements of another, and locks taken in one order by all."""

from typing import Any

import pytest
from sqlalchemy import Engine

from skillyard.gateway import ledger
from skillyard.gateway.ledger import Claim, Found, Hold
from tests.gateway.test_ledger import KEY, begin, claim, settled


@pytest.mark.parametrize("state", ["postgres"], indirect=True)
def test_an_answer_settled_between_the_look_for_it_and_the_look_at_its_lease_is_found(
    state: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = claim(state)
    assert isinstance(hold, Hold)
    begun = begin(state, hold, "a")
    look, is_first = ledger._held, [True]

    def look_late(*arguments: Any) -> Any:
        if is_first.pop() if is_first else False:
            with state.begin() as other:
                ledger.settle(other, [settled("a", begun, hold)])
        return look(*arguments)

    with state.begin() as connection:
        monkeypatch.setattr(ledger, "_held", look_late)
        (found,) = ledger.claim(connection, [Claim((KEY,), 60)])
    assert isinstance(found, Found) and found.answer.call_id == "a"
    assert isinstance(claim(state), Found)
