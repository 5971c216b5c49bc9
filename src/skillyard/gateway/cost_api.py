"""Providers' cost reports, fetched from their own APIs with an administrator's key: day buckets, page after page.

The key goes into a header and nowhere else: not into an error, a log line or a URL. ``429`` and ``5xx`` are tried again, as long as the
provider's ``Retry-After`` asks for, and no more than a few times. Bedrock has no such fetch: Cost Explorer wants AWS credentials and
signatures, which only ``storage`` knows, costs money with each request, and its answer saved by ``aws ce`` is read as a file just as well.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from typing import Any

import httpx

from skillyard.costs.reconciling.cost_reports import CostReport, read_answers
from skillyard.costs.reconciling.cost_reports.files import Page
from skillyard.errors import ConfigError, SkillyardError, Terminal, Transient

TIMEOUT_S = 60.0
TRIES = 6
MOST_WAIT_S = 120.0
"""What one Retry-After may ask for."""
FIRST_WAIT_S = 1.0
MOST_PAGES = 1000
"""Of one report: beyond it the provider's cursor goes round in circles."""
BUCKETS = 31
"""Days in a page: the most that both providers give for token counts."""
BEDROCK_COMMAND = (
    "aws ce get-cost-and-usage --time-period Start=FIRST,End=DAY_AFTER_LAST --granularity DAILY --metrics UnblendedCost UsageQuantity "
    "--group-by Type=DIMENSION,Key=USAGE_TYPE --filter "
    """'{"Dimensions":{"Key":"SERVICE","Values":["Amazon Bedrock","Amazon Bedrock Service"]}}' > bedrock.json"""
)
Say = Callable[[str], None]


class CostApiRefused(SkillyardError, Terminal):
    """The provider refuses to show its report: a wrong key, no permission, a wrong address."""


class CostApiUnavailable(SkillyardError, Transient):
    """The provider did not answer as it should, this time."""


def fetch_report(
    provider: str,
    first: date,
    last: date,
    today: date,
    say: Say,
    env: Mapping[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> CostReport:
    """Return the provider's report of these UTC days. ConfigError without an administrator's key."""
    if provider == "bedrock":
        raise ConfigError(f"Bedrock's costs are read from a file. Save Cost Explorer's answer, or export a CUR 2.0: {BEDROCK_COMMAND}")
    if last >= today:
        raise ConfigError(f"{last} is not over yet (UTC): the last day whose charges are all there is {today - timedelta(days=1)}.")
    variables = os.environ if env is None else env
    pages = _openai_pages if provider == "openai" else _anthropic_pages
    return read_answers(provider, list(pages(variables, first, last, say, sleep)), today)


def _openai_pages(env: Mapping[str, str], first: date, last: date, say: Say, sleep: Callable[[float], None]) -> Iterator[Page]:
    base = env.get("OPENAI_ADMIN_BASE_URL") or "https://api.openai.com/v1"
    headers = {"Authorization": f"Bearer {_key(env, 'OPENAI_ADMIN_KEY')}"}
    asked = {"start_time": _epoch(first), "end_time": _epoch(last + timedelta(days=1)), "bucket_width": "1d", "limit": BUCKETS}
    reports = (("costs", ["line_item", "project_id"]), ("usage/completions", ["model", "batch", "service_tier", "project_id"]))
    with httpx.Client(base_url=base.rstrip("/"), headers=headers, timeout=TIMEOUT_S) as client:
        for path, groups in reports:
            yield from _pages(client, f"/organization/{path}", {**asked, "group_by": groups}, say, sleep)


def _anthropic_pages(env: Mapping[str, str], first: date, last: date, say: Say, sleep: Callable[[float], None]) -> Iterator[Page]:
    base = env.get("ANTHROPIC_ADMIN_BASE_URL") or "https://api.anthropic.com/v1"
    headers = {"x-api-key": _key(env, "ANTHROPIC_ADMIN_KEY"), "anthropic-version": "2023-06-01"}
    until = last + timedelta(days=1)
    asked = {"starting_at": f"{first}T00:00:00Z", "ending_at": f"{until}T00:00:00Z", "bucket_width": "1d", "limit": BUCKETS}
    reports = (("cost_report", ["workspace_id", "description"]), ("usage_report/messages", ["workspace_id", "model", "service_tier"]))
    with httpx.Client(base_url=base.rstrip("/"), headers=headers, timeout=TIMEOUT_S) as client:
        for path, groups in reports:
            yield from _pages(client, f"/organizations/{path}", {**asked, "group_by[]": groups}, say, sleep)


def _key(env: Mapping[str, str], variable: str) -> str:
    if not (key := env.get(variable, "").strip()):
        raise ConfigError(f"{variable} is not set: the report needs an administrator's key. Or export it, and give its file.")
    return key


def _epoch(day: date) -> int:
    return int(datetime.combine(day, clock(), UTC).timestamp())


def _pages(client: httpx.Client, path: str, asked: Mapping[str, Any], say: Say, sleep: Callable[[float], None]) -> Iterator[Page]:
    """Yield every page of one report, as its ``next_page`` leads on."""
    cursor: str | None = None
    for number in range(1, MOST_PAGES + 1):
        where = f"{path}: page {number}"
        say(where)
        page = _get(client, path, {**asked, "page": cursor} if cursor else dict(asked), where, say, sleep)
        has_more, cursor = bool(page.get("has_more")), page.get("next_page")
        if has_more and not cursor:
            raise CostApiUnavailable(f"{where}: has_more, but no next_page: the report would not be whole. Try again.")
        # Followed: the page itself is no longer one that others are missing after.
        yield where, {**page, "has_more": False}
        if not has_more:
            return
    raise CostApiUnavailable(f"{path}: more than {MOST_PAGES} pages: its cursor goes round. Ask for fewer days.")


def _get(client: httpx.Client, path: str, asked: Mapping[str, Any], where: str, say: Say, sleep: Callable[[float], None]) -> dict[str, Any]:
    problem = ""
    for attempt in range(TRIES):
        wait_s = FIRST_WAIT_S * 2**attempt
        try:
            response = client.get(path, params=asked)
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__} from {client.base_url.host}"
        else:
            if response.status_code == 200:
                return _page(response, where)
            problem = f"HTTP {response.status_code} from {client.base_url.host}"
            if response.status_code != 429 and response.status_code < 500:
                raise CostApiRefused(f"{where}: {problem}. {_advice(response.status_code)}")
            wait_s = _retry_after(response, wait_s)
        if attempt + 1 < TRIES:
            say(f"{where}: {problem}, again in {wait_s:g} s")
            sleep(wait_s)
    raise CostApiUnavailable(f"{where}: {problem}, {TRIES} times. Try again later: nothing was written.")


def _page(response: httpx.Response, where: str) -> dict[str, Any]:
    """Return the body, its numbers as they are written."""
    try:
        page = json.loads(response.text, parse_float=Decimal)
    except ValueError:
        page = None
    if not isinstance(page, dict):
        raise CostApiUnavailable(f"{where}: the answer is not a JSON object. Is the base URL right?")
    return page


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    """Return how long to wait: as the provider asks, in seconds, within bounds."""
    try:
        asked = float(response.headers.get("retry-after", otherwise))
    except ValueError:
        return otherwise
    if not 0 <= asked <= MOST_WAIT_S:
        raise CostApiUnavailable(
            f"{response.url.path}: the provider asks to come back in {asked:g} s. Try again then: nothing was written."
        )
    return asked


def _advice(status: int) -> str:
    if status in (401, 403):
        return "An administrator's key of the organization is needed; the keys that models are asked with are refused."
    return "The address or the days are not served: see the base URL and the days asked for."
