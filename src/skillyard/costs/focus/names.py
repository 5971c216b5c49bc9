"""What FOCUS calls things: providers, their services, meters and units."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """Who serves models, and the name of that service."""

    name: str
    service: str


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter in words, and the unit that it counts in."""

    words: str
    unit: str


PROVIDERS = {
    "anthropic": Provider("Anthropic", "Claude API"),
    "azure": Provider("Microsoft", "Azure OpenAI"),
    "bedrock": Provider("Amazon Web Services", "Amazon Bedrock"),
    "embedded": Provider("Own compute", "Embedded models"),
    "gemini": Provider("Google", "Gemini API"),
    "hosted_vllm": Provider("Own compute", "Self-hosted models"),
    "openai": Provider("OpenAI", "OpenAI API"),
    "vertex_ai": Provider("Google Cloud", "Vertex AI"),
}
"""By the provider's name in the price book; any other is called what it is called there."""
METERS = {
    "input": Meter("Input tokens", "Tokens"),
    "cache_read": Meter("Input tokens read from the cache", "Tokens"),
    "cache_write": Meter("Input tokens written to the cache", "Tokens"),
    "cache_write_1h": Meter("Input tokens written to the cache for an hour", "Tokens"),
    "output": Meter("Output tokens", "Tokens"),
    "image": Meter("Images", "Images"),
    "request": Meter("Requests", "Requests"),
    "compute_s": Meter("Compute time", "Seconds"),
}
"""By meter of the price book, in the order of a charge's rows."""
ROUNDING, BILL, CORRECTION, UNPRICED = "rounding", "bill", "correction", "unpriced"
ADJUSTMENTS = {
    ROUNDING: "Rounding: each call is rounded once, to 12 places",
    BILL: "Settled by the provider's bill",
    CORRECTION: "Correction by the provider's bill",
    UNPRICED: "No price of the price book gives this cost",
}
"""Charges without a quantity and a unit price: what stands in ``x_Meter``, in words."""


def provider_of(name: str) -> Provider:
    """Return how people call a provider of the price book."""
    return PROVIDERS.get(name, Provider(name, f"{name} models"))
