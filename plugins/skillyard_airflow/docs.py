"""The text that opens in the UI beside a skill's DAG: triage first."""

from skillyard.running.limits import APPROVAL_WAIT
from skillyard.skills.skill import Skill

SKILL_DOC = """
### Triage
- **What it does**: {description}
- **When it runs**: {when} One run at a time; the command line honours the same lease.
- **plan is green and the rest is skipped**: nothing is pending. That is success; no call was made.
- **plan is red**: something asked for is not allowed (a name, a missing key or price, a lake that cannot be written), or another run
  holds the lease. Its last log line says which, and what to do. Nothing was paid.
{approval}- **A lane is red**: a whole shard failed. What it had paid for is kept. `publish` has committed the other shards, and the
  shard's items are pending: clear the failed task, or trigger the DAG again, and only what is missing is asked.
- **lane_batch is deferred**: a provider works on a batch, for up to a day and at a discount; its log says until when it is waited for.
  What the batch does not answer is asked live. Cleared or retried, the task goes back to the batch that is paid for.
- **publish is red**: the results broke an expectation. Its log names it, with sample rows; the tables stand as they were.
- **finish is red**: items are left pending through failure; it counts them by reason.
- **Where the tables are**: `<lake>/results/{name}/v{major}`, given up on: `<lake>/rejects`, every call: `<lake>/llm_calls`;
  see `skillyard lake show results/{name}`.

Version {version}, owned by **{owner}**, {tiers}. Edited, it does not answer old items again by itself: see *Reprocess* in the form.
"""

APPROVAL_DOC = """\
- **approve is waiting for input**: the run may cost more than it may without a person. Its *Required Actions* tab shows the quote: approve
  or reject. It holds no slot, but the skill's lease: another run of it waits. Nobody's answer within {hours:.0f} hours is a refusal.
- **approve is green, route and publish are skipped**: the run was declined; `finish` says by whom. No call was made.
"""

BROKEN_DOC = """
### Triage
This skill cannot be loaded, and its DAG only says so until it can. The other skills are not affected.

    {message}
"""


def skill_doc(skill: Skill, is_enabled: bool) -> str:
    """Return the DAG's documentation."""
    others = sorted({w.skill for w in skill.applies_to.where})
    after = f" and new results of {', '.join(others)}" if others else ""
    return SKILL_DOC.format(
        description=skill.description,
        when=f"after new documents{after} (`enabled.yaml`)." if is_enabled else "by hand: it is not in `enabled.yaml`.",
        name=skill.name,
        major=skill.output_major,
        version=skill.version,
        owner=skill.owner,
        approval="" if skill.kind == "library" else APPROVAL_DOC.format(hours=APPROVAL_WAIT.total_seconds() / 3600),
        tiers="no model is asked" if skill.kind == "library" else f"tiers {skill.tier_default} to {skill.tier_max}",
    )


def broken_doc(message: str) -> str:
    """Return the documentation of a skill whose files are not right."""
    return BROKEN_DOC.format(message=message.replace("\n", "\n    "))
