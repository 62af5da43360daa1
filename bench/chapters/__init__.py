"""The chapters of the page, in order. A new one is a module like the others, and a line here.

A chapter has a `NAME`, a `measure(plan, say)` whose answer is all that is kept of it, as JSON,
and a `report(raw)` that makes its part of the page from that alone.
"""

from typing import Any, Protocol

from bench.chapters import arrays, counting, deletion, draining, latency, long_ledger, todos
from bench.plan import Plan, Say
from bench.report import Section


class Chapter(Protocol):
    NAME: str

    def measure(self, plan: Plan, say: Say) -> dict[str, Any]: ...

    def report(self, raw: dict[str, Any]) -> Section: ...


CHAPTERS: dict[str, Chapter] = {
    chapter.NAME: chapter
    for chapter in (counting, arrays, draining, long_ledger, latency, deletion, todos)
}
