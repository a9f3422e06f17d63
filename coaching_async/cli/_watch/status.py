"""Status messages of the connection."""

from collections.abc import Callable

from coaching_async import (
    CallFinished,
    ChannelLost,
    ChannelMoved,
    ChannelOpened,
    Event,
    FrameUnreadable,
    Gap,
    GapFilled,
)

__all__ = ["StatusReporter"]


class StatusReporter:
    """Reports each change of the connection once. `say` writes a line."""

    def __init__(self, say: Callable[[str], None], *, polls: bool) -> None:
        self._say = say
        self._polls = polls
        self._is_failing = False
        self._has_begun = False

    def on_event(self, event: Event) -> None:
        """Report an event of the client, if it is a change."""
        match event:
            case ChannelOpened(is_first=True):
                self._say("live")
            case ChannelOpened():
                self._say(f"live again after {event.away:.1f} s")
            case ChannelLost():
                code = "" if event.code is None else f" {event.code}"
                self._say(f"disconnected ({event.reason}{code}): connecting again")
            case ChannelMoved():
                self._say(f"moved to another channel ({event.reason})")
            case GapFilled():
                if event.found and self._has_begun:  # what the first reading finds was asked for
                    self._say(f"{event.found} came meanwhile")
                self._has_begun = True
            case FrameUnreadable():
                self._say("a message cannot be read")
            case CallFinished(operation="notifications.list") if self._polls:
                self._report_reading(event.error)
            case _:
                pass

    def on_gap(self, gap: Gap) -> None:
        """Report a gap that nothing fills."""
        if not gap.is_filled:
            self._say(f"notifications of {gap.seconds:.1f} s may be missing ({gap.reason})")

    def _report_reading(self, error: str | None) -> None:
        if error is not None and not self._is_failing:
            self._say(f"the list cannot be read ({error}): trying again")
        elif error is None and self._is_failing:
            self._say("the list is read again")
        self._is_failing = error is not None
