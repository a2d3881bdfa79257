"""The closing receipt: what of the source is in the output, and what is not, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One thing of the source."""

    what: str
    reason: str = ""
    """Why it was left out or changed; for a kept thing, how it was kept where that is worth saying."""

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}" if self.reason else self.what


@dataclass
class Receipt:
    """Filled while a video is written; complete once the writer has been left."""

    kept: list[Line] = field(default_factory=list)
    """In the output as it was in the source."""

    changed: list[Line] = field(default_factory=list)
    """In the output in another form than in the source."""

    left_out: list[Line] = field(default_factory=list)
    """Not in the output."""

    notes: list[Line] = field(default_factory=list)
    """Said for information: fallbacks, damage in the source."""

    def keep(self, what: str, reason: str = "") -> None:
        self.kept.append(Line(what, reason))

    def change(self, what: str, reason: str) -> None:
        self.changed.append(Line(what, reason))

    def leave_out(self, what: str, reason: str) -> None:
        self.left_out.append(Line(what, reason))

    def note(self, what: str, reason: str = "") -> None:
        self.notes.append(Line(what, reason))

    def as_dict(self) -> Mapping[str, list[dict[str, str]]]:
        """For `--json`."""
        sections = {"kept": self.kept, "changed": self.changed, "left_out": self.left_out, "notes": self.notes}
        return {
            name: [{"what": each.what, "reason": each.reason} for each in lines] for name, lines in sections.items()
        }

    def __str__(self) -> str:
        total = len(self.kept) + len(self.changed) + len(self.left_out)
        lines = [f"kept {len(self.kept)}/{total}"]
        lines += [f"changed: {each}" for each in self.changed]
        lines += [f"left out: {each}" for each in self.left_out]
        lines += [f"note: {each}" for each in self.notes]
        return "\n".join(lines)
