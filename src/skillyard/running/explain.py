"""Why an item would start on a tier: the same decision a run makes, for one text or file."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skillyard.costs.prices.book import PriceBook, load_prices
from skillyard.documents import Rejected, parse_document
from skillyard.errors import ConfigError, UnknownName
from skillyard.lake.lake import Lake
from skillyard.profiles import Profile, load_profile
from skillyard.routing.adequacy import inadequate_tiers
from skillyard.routing.decide import score_difficulty
from skillyard.routing.features import Features, extract_features
from skillyard.routing.model import family_of
from skillyard.running.classify import explain_classifier
from skillyard.running.decider import Decider
from skillyard.running.estimate import mean_lengths
from skillyard.running.eval_rates import tell_rates
from skillyard.running.history import load_history
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Skill


def explain_item(settings: Settings, skill_name: str, item: str, first_tier: str | None = None) -> dict[str, Any]:
    """Return the decision for a file's text, or for the text itself, and all that it was made of: features, tiers, traits, windows."""
    skill = Catalogue(settings.include).load(skill_name)
    if first_tier is not None and first_tier not in skill.lanes:
        raise UnknownName(f"first tier for {skill.name}", first_tier, skill.lanes)
    text, language = _read(item)
    if skill.kind == "library":
        return {"skill": skill.name, "tier": "none", "score": 0.0, "reason": "library skill: no model is asked"}
    profile, prices = load_profile(settings.profile, settings.include), load_prices(settings)
    decider = _decider(settings, skill, first_tier, profile, prices)
    features, decision = extract_features(text, language), decider.decide(text, language)
    return {
        "skill": skill.name,
        "profile": profile.name,
        "tier": decision.tier,
        "models": [d.model for d in profile.deployments(decision.tier)],
        "score": decision.score,
        "reason": decision.reason,
        "router_version": decision.router_version,
        "router": decider.champion.text,
        "classifier": explain_classifier(settings, skill, profile, decider, decision),
        "evals": _evals(decider),
        "tiers": _tiers(decider, features, text),
        "causes": score_difficulty(decider.traits, features)[1],
        "features": features._asdict(),
        "traits": asdict(decider.traits),
        "windows": decider.windows,
    }


def _decider(settings: Settings, skill: Skill, first_tier: str | None, profile: Profile, prices: PriceBook) -> Decider:
    """Return the decider of a run of the skill, with the answers' lengths that its plan would find."""
    lake, now = Lake(settings.lake), datetime.now(UTC)
    history = load_history(lake, skill.name, skill.fingerprint(), skill.limits.output_tokens, profile, prices, now)
    lengths = mean_lengths(history.operations) if history.operations else {}
    return Decider.open(lake, skill, {}, lengths, first_tier, profile, prices, now)


def _evals(decider: Decider) -> str:
    """Return what the skill's own cases prove of its tiers, and whether that or the router decides where items start."""
    said = tell_rates(decider.rates, decider.min_pass_rate)
    if decider.first_tier and decider.rates:
        return f"{said}; the first tier is given"
    learned = inadequate_tiers(decider.rates, decider.min_pass_rate).keys() - decider.ruled_out.keys()
    return f"{said}; the router has learned from it" if learned else said


def _tiers(decider: Decider, features: Features, text: str) -> dict[str, dict[str, float | None]]:
    """Return by tier what one call costs and, where there is evidence, what the router expects.

    ``probability`` is the model's own word that the tier's answer is good; ``expected_quality`` and ``expected_cost_usd`` are calibrated
    and count the escalations of starting there.
    """
    costs, router = decider.costs_usd(features), decider.champion.router
    policy = router.policies.get(decider.skill) if router else None
    if router is None or policy is None:
        return {tier: {"call_usd": cost} for tier, cost in costs.items()}
    raw = router.families[family_of(decider.skill)].score(decider.skill, decider.traits, features, text)
    expected = policy.expected(raw, costs)
    found = {}
    for tier, cost in costs.items():
        quality, total = expected.get(tier, (None, None))
        made = {"probability": raw.get(tier), "pass_rate": policy.pass_rates.get(tier), "expected_quality": quality}
        found[tier] = {"call_usd": cost, **made, "expected_cost_usd": total}
    return found


def _read(item: str) -> tuple[str, str | None]:
    """Return the text and language of a file, or of the argument itself when there is no such file."""
    path = Path(item)
    if len(item) < 4096 and "\n" not in item and path.is_file():
        parsed = parse_document(path.read_bytes(), path.name)
        if isinstance(parsed, Rejected):
            raise ConfigError(f"{path} cannot be read: {parsed.error_kind}, {parsed.error_message}")
        return "\n\n".join(page.text for page in parsed.pages), parsed.language
    return item, None
