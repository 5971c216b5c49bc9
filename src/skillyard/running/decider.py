"""The decision of a run, a quote and an explanation alike: the champion's, or that of declared traits when there is none to use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from skillyard.costs.prices.book import PriceBook
from skillyard.lake.lake import Lake
from skillyard.profiles import Profile
from skillyard.routing.adequacy import PassRate, inadequate_tiers, keep_off
from skillyard.routing.decide import Decision, Traits, choose_tier
from skillyard.routing.features import Features, extract_features
from skillyard.running.estimate import CallPrice, call_price
from skillyard.running.eval_rates import EvalRate, eval_rates
from skillyard.running.routers import Champion, champion
from skillyard.running.runs import RunPlan, Workspace
from skillyard.running.voters import voters_of
from skillyard.skills import Skill, Source
from skillyard.tiers import TIERS
from skillyard.tokens import IMAGE_TOKENS, estimate_messages


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides where one skill's items start."""

    champion: Champion
    skill: str
    traits: Traits
    windows: Mapping[str, int]
    """By tier: context in tokens."""
    call_prices: Mapping[str, CallPrice]
    """By tier that the skill may use, its voters included."""
    output_tokens: Mapping[str, float]
    """By tier: the mean length of an answer, where it is known."""
    first_tier: str | None
    rates: Mapping[str, PassRate]
    """By tier: how the skill's own cases went."""
    ruled_out: Mapping[str, PassRate]
    """Tiers where no item starts: the skill's cases prove that they are not good enough. None when the first tier is given."""
    min_pass_rate: float

    @classmethod
    def open(
        cls,
        lake: Lake,
        skill: Skill,
        parameters: Mapping[str, Any],
        output_tokens: Mapping[str, float],
        first_tier: str | None,
        profile: Profile,
        prices: PriceBook,
        at: datetime,
    ) -> "Decider":
        """Read the champion once; it decides until this is thrown away."""
        voters = voters_of(skill, profile)
        asked = {tier: [profile.deployments(tier), *([voter] for voter in voters.get(tier, ()))] for tier in skill.lanes}
        call_prices = {tier: _sum(call_price(one, prices, at) for one in each) for tier, each in asked.items()}
        windows = {tier: profile.context_tokens(tier) for tier in TIERS}
        current, found = champion(lake), eval_rates(lake, skill, profile, at)
        rates, least = {tier: one.rate for tier, one in found.items()}, skill.min_pass_rate
        unlearned = {} if first_tier else {tier: one.rate for tier, one in found.items() if not _has_learned(current, skill.name, one)}
        traits, ruled_out = traits_of(skill, parameters), inadequate_tiers(unlearned, least)
        return cls(current, skill.name, traits, windows, call_prices, output_tokens, first_tier, rates, ruled_out, least)

    @classmethod
    def of_plan(cls, space: Workspace, plan: RunPlan, profile: Profile, prices: PriceBook, at: datetime) -> "Decider":
        """Return the decider of a run."""
        return cls.open(space.lake, space.skill, plan.parameters, plan.mean_output_tokens, plan.first_tier, profile, prices, at)

    def decide(self, text: str, language: str | None) -> Decision:
        """Return where an item starts."""
        features = extract_features(text, language)
        return self.keep_off(self._decide(features, text), features)

    def keep_off(self, decision: Decision, features: Features) -> Decision:
        """Return the decision, moved up where it starts on a tier that the skill's cases rule out."""
        return keep_off(decision, self.traits, features, self.windows, self.ruled_out, self.min_pass_rate)

    def _decide(self, features: Features, text: str) -> Decision:
        router = self.champion.router
        if router is None:
            decision = choose_tier(self.traits, features, self.windows, self.first_tier)
            said = "; the champion cannot be used, so declared traits decide" if self.champion.problem else ""
            return replace(decision, reason=decision.reason + said)
        return router.decide(self.skill, self.traits, features, text, self.costs_usd(features), self.windows, self.first_tier)

    def costs_usd(self, features: Features) -> dict[str, float]:
        """Return by tier what one call for an item costs at today's prices."""
        n_input = self.traits.n_prompt_tokens + features.n_tokens
        return {
            tier: price.of(n_input, self.output_tokens.get(tier, self.traits.n_output_tokens)) for tier, price in self.call_prices.items()
        }


def _has_learned(current: Champion, skill: str, found: EvalRate) -> bool:
    """Say whether the router has learned from an eval: then what it proves of the skill, by audits too, says more than the cases."""
    router = current.router
    return router is not None and skill in router.policies and found.evaluated_at <= router.window[1]


def _sum(prices: Iterable[CallPrice]) -> CallPrice:
    """Return the price of asking all of them: a tier and its voters."""
    each = list(prices)
    return CallPrice(sum(price.input_usd for price in each), sum(price.output_usd for price in each))


def traits_of(skill: Skill, parameters: Mapping[str, Any]) -> Traits:
    """Return what the router needs to know of a skill."""
    return Traits(
        tier_default=skill.tier_default,
        tier_max=skill.tier_max,
        n_labels=len(skill.labels or ()),
        n_fields=count_fields(skill.output_schema),
        n_prompt_tokens=estimate_messages(skill.messages(Source(), parameters)) + (skill.max_pictures or 0) * IMAGE_TOKENS,
        n_output_tokens=skill.limits.output_tokens,
    )


def count_fields(schema: Mapping[str, Any]) -> int:
    """Return how many leaves an output schema has, those of nested objects and lists included."""
    if "properties" in schema:
        return sum(count_fields(child) for child in schema["properties"].values())
    return count_fields(schema["items"]) if "items" in schema else 1
