"""Why an item would start on a tier: the same decision a run makes, for one text or file."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from skillyard.documents import Rejected, parse_document
from skillyard.errors import ConfigError, UnknownName
from skillyard.profiles import load_profile
from skillyard.routing.decide import choose_tier, score_difficulty
from skillyard.routing.features import extract_features
from skillyard.running.route import traits_of
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from skillyard.tiers import TIERS


def explain_item(settings: Settings, skill_name: str, item: str, first_tier: str | None = None) -> dict[str, Any]:
    """Return tier, score, reason, features and windows for a file's text, or for the text itself."""
    skill = Catalogue(settings.include).load(skill_name)
    if first_tier is not None and first_tier not in skill.lanes:
        raise UnknownName(f"first tier for {skill.name}", first_tier, skill.lanes)
    text, language = _read(item)
    if skill.kind == "library":
        return {"skill": skill.name, "tier": "none", "score": 0.0, "reason": "library skill: no model is asked"}
    profile = load_profile(settings.profile, settings.include)
    windows = {tier: profile.context_tokens(tier) for tier in TIERS}
    traits, features = traits_of(skill, {}), extract_features(text, language)
    decision = choose_tier(traits, features, windows, first_tier)
    return {
        "skill": skill.name,
        "profile": profile.name,
        "tier": decision.tier,
        "models": [d.model for d in profile.deployments(decision.tier)],
        "score": decision.score,
        "reason": decision.reason,
        "causes": score_difficulty(traits, features)[1],
        "features": asdict(features),
        "traits": asdict(traits),
        "windows": windows,
    }


def _read(item: str) -> tuple[str, str | None]:
    """Return the text and language of a file, or of the argument itself when there is no such file."""
    path = Path(item)
    if len(item) < 4096 and "\n" not in item and path.is_file():
        parsed = parse_document(path.read_bytes(), path.name)
        if isinstance(parsed, Rejected):
            raise ConfigError(f"{path} cannot be read: {parsed.error_kind}, {parsed.error_message}")
        return "\n\n".join(page.text for page in parsed.pages), parsed.language
    return item, None
