"""Files of a shard worked on by processes of their own, side by side: their bytes are hostile."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from skillyard.documents import Rejected
from skillyard.documents.pool import WorkerPool
from skillyard.documents.process import Work
from skillyard.documents.showing import showing
from skillyard.running.answer import Outcome, RoutedItem, is_late, judge_file
from skillyard.running.files import FileGone, Files
from skillyard.running.runs import RunPlan, Workspace
from skillyard.skills.worker import handling

N_PROCESSES = 2
"""At work side by side, as in parsing."""
T = TypeVar("T")


def answer_files(space: Workspace, plan: RunPlan, items: Sequence[RoutedItem]) -> Iterator[tuple[RoutedItem, Outcome | None]]:
    """Yield each file with what the skill's own code makes of it, as they finish; None where a mixed skill's is not sure."""
    work = handling(space.skill.folder, space.skill.with_defaults(plan.parameters))
    for item, said in _work_on(space, plan, items, work):
        yield item, said if isinstance(said, Outcome) else judge_file(space.skill, said, plan.parameters)


def show_files(space: Workspace, plan: RunPlan, items: Sequence[RoutedItem]) -> Iterator[tuple[RoutedItem, Outcome | None]]:
    """Yield each file with the pictures that a model is shown, as they are ready, or with why there are none."""
    assert space.skill.max_pictures is not None
    for item, said in _work_on(space, plan, items, showing(space.skill.max_pictures)):
        if isinstance(said, list):
            yield replace(item, pictures=tuple(said)), None
        else:
            yield item, said if isinstance(said, Outcome) else judge_file(space.skill, said, plan.parameters)


def _work_on(
    space: Workspace, plan: RunPlan, items: Sequence[RoutedItem], work: Work[T]
) -> Iterator[tuple[RoutedItem, T | Rejected | Outcome]]:
    """Yield each item with the work's result, or with the outcome of one whose bytes are not to be had."""
    files, by_id = Files(space.settings.inbox, space.settings.load_passwords()), {item.item_id: item for item in items}
    settled: list[tuple[RoutedItem, Outcome]] = []

    def loaded() -> Iterator[tuple[str, str, bytes]]:
        for item in items:
            late = is_late(plan, item)
            if late is not None:
                settled.append((item, late))
                continue
            try:
                data = files.load(item)
            except FileGone as error:
                settled.append((item, Outcome("reject", "none", error_kind="source_changed", error_message=str(error)[:500])))
                continue
            yield item.item_id, item.uri.rpartition("/")[2], data

    with WorkerPool(work, N_PROCESSES, space.skill.limits.timeout_s) as pool:
        for item_id, said in pool.work_on(loaded()):
            yield by_id[item_id], said
    yield from settled
