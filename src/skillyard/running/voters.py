"""Whom a skill asks beside each of its tiers."""

from skillyard.profiles import Deployment, Profile
from skillyard.skills import Skill
from skillyard.tiers import TIERS


def voters_of(skill: Skill, profile: Profile) -> dict[str, tuple[Deployment, ...]]:
    """Return the voters by tier, if the skill escalates on disagreement; at its highest tier there is nothing to move up to, so none."""
    if "disagreement" not in skill.escalate_when:
        return {}
    return {tier: profile.voters.get(tier, ()) for tier in TIERS[: TIERS.index(skill.tier_max)]}
