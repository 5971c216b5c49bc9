"""What a classifier cost beside what it saved, over a ledger made for it."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from skillyard.costs.classifier import CLASSIFIED, Balance, classified_folder, classifier_balance
from skillyard.costs.prices.book import Usage
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import LLM_CALLS
from skillyard.settings import Settings
from tests.costs.ledger import BOOK, MODELS, call, ledger
from tests.simulator import Simulator

TODAY = datetime.now(UTC).date()
ASKED, ANSWERED = Usage(600, output_tokens=40), Usage(1000, output_tokens=100)
SKILL = "tag-document"


def price(tier: str, usage: Usage = ANSWERED) -> Decimal:
    return BOOK.cost(MODELS[tier], usage, datetime.combine(TODAY, time(), UTC)).usd


def item(name: str, routed: str, tier: str, **changes: Any) -> dict[str, Any]:
    row = {"run_id": "r", "item_id": name, "operation_id": f"op {name}", "complexity": "low", "requires_auth": False, "tools_needed": []}
    at = datetime.combine(TODAY, time(12), UTC)
    return row | {"reasoning": "", "routed_tier": routed, "tier": tier, "classified_at": at} | changes


def asked(name: str, **changes: Any) -> dict[str, Any]:
    return call(ASKED, **({"operation_id": f"op {name}", "purpose": "routing", "day": TODAY} | changes))


def answered(name: str, tier: str, **changes: Any) -> dict[str, Any]:
    return call(ANSWERED, **({"operation_id": f"op {name}", "tier": tier, "day": TODAY} | changes))


def balance(settings: Settings, items: list[dict[str, Any]], calls: list[dict[str, Any]], since: date = TODAY) -> Balance:
    lake = Lake(settings.lake)
    lake.write_frame(f"{classified_folder(SKILL)}r.parquet", pa.Table.from_pylist(items, schema=CLASSIFIED))
    append(lake, LLM_CALLS, ledger(calls), "part")
    return classifier_balance(settings, SKILL, since)


def test_an_item_moved_down_saves_the_difference_of_the_prices(settings: Settings, simulator: Simulator) -> None:
    found = balance(settings, [item("a", "standard", "fast")], [asked("a"), answered("a", "fast")])
    assert found == Balance(1, price("fast", ASKED), price("standard") - price("fast"))


def test_an_item_moved_up_costs_the_difference_and_one_that_stays_saves_nothing(settings: Settings, simulator: Simulator) -> None:
    items = [item("a", "fast", "expert"), item("b", "fast", "fast")]
    found = balance(settings, items, [answered("a", "expert"), answered("b", "fast")])
    assert found == Balance(2, Decimal(0), price("fast") - price("expert"))


def test_the_escalations_of_an_item_moved_down_are_counted(settings: Settings, simulator: Simulator) -> None:
    later = datetime.combine(TODAY, time(13), UTC)
    calls = [answered("a", "fast"), answered("a", "standard", sent_at=later)]
    found = balance(settings, [item("a", "standard", "fast")], calls)
    assert found.saved_usd == -price("fast")


def test_the_votes_beside_an_answer_are_part_of_its_cost(settings: Settings, simulator: Simulator) -> None:
    calls = [answered("a", "fast"), answered("a", "fast", purpose="vote", sent_at=datetime.combine(TODAY, time(13), UTC))]
    assert balance(settings, [item("a", "standard", "fast")], calls).saved_usd == price("standard") - 2 * price("fast")


def test_audits_other_skills_open_calls_and_items_without_answer_count_for_nothing(settings: Settings, simulator: Simulator) -> None:
    calls = [asked("a", skill="extract-invoice"), asked("b", status="unknown"), answered("a", "expert", purpose="audit")]
    found = balance(settings, [item("a", "standard", "fast"), item("b", "standard", "fast")], calls)
    assert found == Balance(2, Decimal(0), Decimal(0))


def test_what_is_older_than_the_window_is_not_looked_at(settings: Settings, simulator: Simulator) -> None:
    long_ago = datetime.combine(TODAY - timedelta(days=40), time(12), UTC)
    items = [item("a", "standard", "fast", classified_at=long_ago), item("b", "fast", "fast")]
    calls = [asked("a", day=long_ago.date()), answered("a", "fast", day=long_ago.date()), asked("b")]
    assert balance(settings, items, calls, TODAY - timedelta(days=30)) == Balance(1, price("fast", ASKED), Decimal(0))


def test_without_a_classifier_the_balance_is_empty(settings: Settings) -> None:
    assert classifier_balance(settings, SKILL, TODAY) == Balance(0, Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("n", "cost", "saved", "is_loss"),
    [(200, "2", "1", True), (199, "2", "1", False), (200, "1", "1", False), (200, "1", "-1", True)],
)
def test_it_is_a_loss_only_after_enough_items(n: int, cost: str, saved: str, is_loss: bool) -> None:
    assert Balance(n, Decimal(cost), Decimal(saved)).is_loss == is_loss
