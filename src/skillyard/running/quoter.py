"""Make the quote of a run from what is known before it: its items, the past, the prices, what is stored, the budgets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil

from sqlalchemy import Engine, exists, or_, select

from skillyard.costs.prices.book import PriceBook
from skillyard.errors import ConfigError
from skillyard.gateway.budgets import Limit, balances_of, soft_reached
from skillyard.gateway.complete import ATTEMPTS_PER_REQUEST
from skillyard.gateway.request import Request, upper_bound
from skillyard.gateway.state import ANSWERS, ATTEMPTS, reading
from skillyard.profiles import Profile
from skillyard.running.answer import make_request
from skillyard.running.classify import Classifier, why_off
from skillyard.running.decider import Decider
from skillyard.running.estimate import Load, Range, Reach, calibrate, duration_s, estimate, mean_lengths
from skillyard.running.history import History, load_history
from skillyard.running.items import Item
from skillyard.running.limits import DEFAULT_APPROVAL_USD, PROBE_ITEMS
from skillyard.running.quote import BudgetLeft, Quote, TierQuote, usd
from skillyard.running.route import lower_tier
from skillyard.running.runs import RunPlan, Workspace, run_limits
from skillyard.skills import Source
from skillyard.skills.teams import Team
from skillyard.tiers import TIERS
from skillyard.tokens import IMAGE_TOKENS, estimate_messages, estimate_tokens


@dataclass(frozen=True, slots=True)
class Quoter:
    """Quotes items of one run."""

    space: Workspace
    plan: RunPlan
    """With the output limits that its history lets it send."""
    team: Team
    profile: Profile
    prices: PriceBook
    n_prompt: int
    """Tokens that every item's request begins with, estimated."""
    history: History
    factor: float
    """By what estimates of input have been off."""
    stored: frozenset[str]
    """Items whose answer is in the response store: they are not paid again."""
    at: datetime

    @classmethod
    def open(cls, space: Workspace, plan: RunPlan, team: Team, profile: Profile, prices: PriceBook, items: Iterable[Item]) -> "Quoter":
        """Read the skill's past; the texts of ``items`` that are part of it show how far estimates are off."""
        at = datetime.now(UTC)
        n_prompt = estimate_messages(space.skill.messages(Source(), plan.parameters)) + (space.skill.max_pictures or 0) * IMAGE_TOKENS
        longest = space.skill.limits.output_tokens
        history = load_history(space.lake, plan.skill, plan.fingerprint, longest, profile, prices, at)
        past = {operation.item_id for operation in history.operations}
        known = {item.item_id: n_prompt + estimate_tokens(item.text) for item in items if item.item_id in past}
        lengths = mean_lengths(history.operations) if history.operations else {}
        learned = replace(plan, learned_max_tokens=dict(history.learned_max_tokens), mean_output_tokens=lengths)
        stored = stored_items(space.state, plan, space.skill.share == "all", at)
        return cls(space, learned, team, profile, prices, n_prompt, *calibrate(history, known), stored, at)

    def quote(self, n_items: int, by_tier: Mapping[str, list[Item]], is_probe: bool = False) -> Quote:
        """Return what it would cost and take to answer items, and whether a person has to agree first; ``by_tier`` from ``route``."""
        reach = Reach.of(self.space.skill, self.profile)
        loads = [Load(tier, len(own), self.factor * sum(map(self._input_tokens, own))) for tier, own in by_tier.items()]
        estimates, total = estimate(loads, self.history, reach, self.profile, self.prices, self.at)
        most = max((self._tokens_at_most(tier, own) for tier, own in by_tier.items()), default=0)
        asking = self._classifier_usd(by_tier)
        seconds, is_bound = duration_s(estimates, most, self.history, reach, self.profile)
        return Quote(
            n_items=n_items,
            n_cached=n_items - sum(load.n_items for load in loads),
            input_tokens=sum(ceil(load.input_tokens) for load in loads),
            basis=self.history.basis,
            n_past=len(self.history.operations),
            expected_usd=usd(total.expected + asking.expected),
            low_usd=usd(total.low + asking.low),
            high_usd=usd(total.high + asking.high),
            tiers=tuple(
                TierQuote(e.tier, n.n_items, ceil(n.input_tokens), e.basis, e.n_past, usd(e.usd.expected), usd(e.usd.low), usd(e.usd.high))
                for n, e in zip(loads, estimates, strict=True)
            ),
            budgets=self._budgets(),
            duration_s=round(seconds, 1),
            is_duration_bound=is_bound,
            approval=why_approval(self.team, Decimal(usd(total.high + asking.high)), self.history.basis, is_probe),
            classifier_usd=usd(asking.expected),
        )

    def check_budgets(self, by_tier: Mapping[str, list[Item]]) -> None:
        """Raise when a hard limit is below what the cheapest call reserves before it leaves: no call could be made."""
        if not by_tier:
            return
        shortest = {tier: min(own, key=lambda item: len(item.text)) for tier, own in by_tier.items()}
        least = min(self._reservation(self._request(tier, item)) for tier, item in shortest.items())
        for limit in self._limits():
            if limit.hard_usd is not None and limit.hard_usd < least:
                is_own = not limit.label.startswith("team ")
                where = "--budget, in the form: Budget of this run" if is_own else str(self.space.settings.include / "teams.yaml")
                raise ConfigError(
                    f"{limit.label}: the hard limit of ${limit.hard_usd:f} is below ${least.normalize():f}, which the cheapest call of "
                    f"{self.plan.skill} reserves before it leaves: none could be made. Raise it ({where})."
                )

    def route(self, items: Iterable[Item]) -> dict[str, list[Item]]:
        """Return the items that have to be paid by the tier they would start on, as the route decides it."""
        soft = self._lowering()
        decider = Decider.of_plan(self.space, self.plan, self.profile, self.prices, self.at)
        found: dict[str, list[Item]] = {}
        for item in items:
            if item.item_id not in self.stored:
                decision = decider.decide(item.text, item.language)
                found.setdefault(lower_tier(decision, soft, decider.ruled_out).tier if soft else decision.tier, []).append(item)
        return {tier: found[tier] for tier in TIERS if tier in found}

    def _classifier_usd(self, by_tier: Mapping[str, list[Item]]) -> Range:
        """Return what asking the classifier about all these items would cost, a few more than those that turn out to be unsure."""
        space, plan, at = self.space, self.plan, self.at
        if not space.skill.classifier or self._lowering() or why_off(space.settings, space.skill, self.profile, plan.first_tier, at):
            return Range(0, 0, 0)
        classifier = Classifier(space, plan, self.profile, self.prices, at)
        once = classifier.range_usd(item for own in by_tier.values() for item in own)
        return replace(once, high=once.high * ATTEMPTS_PER_REQUEST) if self.history.basis == "worst_case" else once

    def _input_tokens(self, item: Item) -> int:
        return self.n_prompt + estimate_tokens(item.text)

    def _tokens_at_most(self, tier: str, items: Sequence[Item]) -> int:
        """Return what a call for a middling item draws from a limit of tokens a minute."""
        request = self._request(tier, sorted(items, key=lambda item: len(item.text))[len(items) // 2])
        return request.n_tokens_at_most + request.max_tokens

    def _request(self, tier: str, item: Item) -> Request:
        return make_request(tier, item, self.space.skill, self.plan, self.profile)

    def _reservation(self, request: Request) -> Decimal:
        n_output = min(request.max_tokens, request.learned_max_tokens or request.max_tokens)
        deployments = self.profile.deployments(request.tier)
        return min(upper_bound(request, d, self.prices, n_output, self.at) for d in deployments)

    def _limits(self) -> list[Limit]:
        return run_limits(self.space.settings, self.plan).on(self.at.date())

    def _lowering(self) -> Limit | None:
        limits = [limit for limit in self._limits() if limit.lowers_tier]
        with reading(self.space.state) as connection:
            return next(iter(soft_reached(limits, balances_of(connection, [limit.counter for limit in limits]))), None)

    def _budgets(self) -> tuple[BudgetLeft, ...]:
        limits = self._limits()
        with reading(self.space.state) as connection:
            balances = balances_of(connection, [limit.counter for limit in limits])
        found = []
        for limit in limits:
            used = balances[limit.counter].spent_usd + balances[limit.counter].reserved_usd
            left = None if limit.hard_usd is None else f"{max(limit.hard_usd - used, Decimal(0)):f}"
            found.append(BudgetLeft(limit.label, None if limit.hard_usd is None else f"{limit.hard_usd:f}", left))
        return tuple(found)


def stored_items(state: Engine, plan: RunPlan, is_shared: bool, at: datetime) -> frozenset[str]:
    """Return the items of a fingerprint whose answer is in the response store: not published yet, or still in the cache."""
    c = ANSWERS.c
    query = select(c.item_id).where(
        c.team == ("*" if is_shared else plan.team),
        c.skill == plan.skill,
        c.fingerprint == plan.fingerprint,
        or_(c.published_at.is_(None), c.expires_at.is_(None), c.expires_at > at),
        c.request_hash.not_like("% cut off"),
        ~exists().where(ATTEMPTS.c.call_id == c.call_id, ATTEMPTS.c.purpose != "answer"),
    )
    with reading(state) as connection:
        return frozenset(connection.scalars(query))


def why_approval(team: Team, high_usd: Decimal, basis: str, is_probe: bool) -> str | None:
    """Return why a person has to agree before the run spends, or None.

    A team's own threshold holds for every run. A team without one is asked when there is no history to go by and the bound is not
    small; a probe is how such a history is begun, so it goes on.
    """
    if team.approval_above_usd is not None:
        said = f"it may cost more than ${team.approval_above_usd:f}, approval_above_usd of team {team.name} in teams.yaml"
        return said if high_usd > team.approval_above_usd else None
    if basis != "worst_case" or is_probe or high_usd <= DEFAULT_APPROVAL_USD:
        return None
    return f"there is no history to go by, and the bound is above ${DEFAULT_APPROVAL_USD:f}. A probe of {PROBE_ITEMS} items would give one"
