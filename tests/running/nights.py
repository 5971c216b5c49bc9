"""Days and nights of a workload: documents arrive, skills run over them, a sample is audited, the champion is recalibrated.

The clock of the nights is moved on; the provider is a real HTTP server whose fast model can get worse on one skill and recover.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc

from skillyard.costs.attribution import attribute
from skillyard.costs.quality import quality_daily
from skillyard.costs.report import QualityRow, cost_report
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.audit import audit
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest
from skillyard.running.training import recalibrate_champion
from skillyard.settings import Settings
from skillyard.tiers import TIERS
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

DRIFTING, STEADY = "classify-urgency", "classify-document-type"
SKILLS = (DRIFTING, STEADY)
"""Of one family, so of one model: what changes is the policy of each."""


@dataclass(frozen=True, slots=True)
class Night:
    """One day and the night after it."""

    number: int
    wrong: Mapping[str, float]
    """By skill: share of wrong answers that the fast model gave."""
    starts: Mapping[str, Counter[str]]
    """By skill: items by the tier they started on."""
    usd_per_item: Mapping[str, float]
    report: Mapping[str, QualityRow]
    """By skill: what the cost report says in the morning."""
    decision: str
    """What the recalibration says it did."""

    def on_fast(self, skill: str) -> float:
        """Return the share of a skill's items that started on the fast tier."""
        return self.starts[skill]["fast"] / self.starts[skill].total()


@dataclass(slots=True)
class World:
    """An installation that lives through nights, from today on."""

    settings: Settings
    simulator: Simulator
    usual: float = 0.0
    """Share of wrong answers that the fast model gives as a rule."""
    first: datetime = field(default_factory=lambda: datetime.now(UTC))
    nights: list[Night] = field(default_factory=list)
    n_documents: int = 0

    def live(self, n_items: int, wrong: float = 0.0) -> Night:
        """Let so many documents arrive, and all of them be audited the night after."""
        number = len(self.nights)
        at = self.first + timedelta(days=number)
        new = dict(list(mails(self.n_documents + n_items).items())[self.n_documents :])
        self.n_documents += n_items
        publish_texts(self.settings, new)
        shares = {skill: max(self.usual, wrong if skill == DRIFTING else 0.0) for skill in SKILLS}
        starts, usd_per_item = {}, {}
        for skill in SKILLS:
            self.simulator.configure(models={"sim-fast": {"wrong": shares[skill]}})
            report = run_skill(self.settings, plan_run(self.settings, PlanRequest(skill, f"day-{number}")), lambda _: None)
            usd_per_item[skill] = float(report.cost_usd) / n_items
            starts[skill] = self._starts(skill, report.run_id)
        for skill in SKILLS:
            self.simulator.configure(models={"sim-fast": {"wrong": shares[skill]}})
            audit(self.settings, skill, f"night-{number}", n_items, at)
        decision = recalibrate_champion(self.settings, at).reason
        quality_daily(self.settings, at.date())
        attribute(self.settings, self.first.date(), at.date())
        quality = cost_report(self.settings, self.first.date(), at.date(), "skill").quality
        self.nights.append(Night(number, shares, starts, usd_per_item, quality, decision))
        return self.nights[-1]

    def live_until(self, n_items: int, wrong: float, is_on_fast: bool, most: int) -> int | None:
        """Live on until the drifting skill starts on the fast tier, or no longer; return how many nights passed before that day."""
        for n_nights in range(most + 1):
            if (self.live(n_items, wrong).on_fast(DRIFTING) > 0.5) == is_on_fast:
                return n_nights
        return None

    def _starts(self, skill: str, run_id: str) -> Counter[str]:
        rows = read(Lake(self.settings.lake), f"results/{skill}", ["tier", "n_escalations"], pc.field("run_id") == run_id).to_pylist()
        return Counter(TIERS[TIERS.index(row["tier"]) - row["n_escalations"]] for row in rows)
