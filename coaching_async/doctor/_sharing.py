"""The check of the shared state: whether it answers, how fast, and who shares the rate limit by it."""

from typing import Final

from coaching_async import CoachingClient, Sharing

from ._results import Check

__all__ = ["check_shared_state"]

NAME: Final = "shared state"

READS: Final = 5
"""The shared state is read so often, because one round trip says little."""

SLOW: Final = 0.1
"""Seconds. A state whose fastest round trip takes longer is a problem, because each request asks it several times."""


async def check_shared_state(client: CoachingClient) -> tuple[Check, ...]:
    """Read who shares the rate limit of a client. Return a check, or none if it shares nothing."""
    reads: list[Sharing] = []
    for _ in range(READS):
        sharing = await client.sharing()
        if sharing is None:
            return ()
        if sharing.lost is not None:
            return (_check_lost(sharing.lost),)
        reads.append(sharing)
    return (_check_shared(reads[-1], sorted(sharing.round_trip for sharing in reads)),)


def _check_lost(reason: str) -> Check:
    sentence = f"it cannot be used: {reason}. Each process goes on by itself, with its share of the limit"
    return Check(
        NAME,
        "problem",
        sentence,
        "Check that it runs, can be reached from here, and may be written (a file by its own user alone: chmod 600); and that the processes have the same release of this library.",
    )


def _check_shared(sharing: Sharing, round_trips: list[float]) -> Check:
    limit = sharing.limit
    sentence = (
        f"it answers in {_milliseconds(round_trips[0])} to {_milliseconds(round_trips[-1])} ms; {_shared_by(sharing.processes)}; "
        f"{sharing.used + sharing.in_flight} of {sharing.learned_limit} requests in {limit.per:g} s are used"
    )
    if sharing.cooldown or sharing.learned_limit < limit.requests:
        if sharing.cooldown:
            sentence += f"; after a 429 none is sent for {sharing.cooldown:.0f} s"
        if sharing.learned_limit < limit.requests:
            sentence += f"; 429s have lowered the limit from {limit.requests}"
        advice = (
            "Something that does not share this state uses this token, or the org allows less: give it the same shared_state, or all "
            "of them a lower rate_limit."
        )
        return Check(NAME, "problem", sentence, advice)
    if round_trips[0] > SLOW:
        return Check(NAME, "problem", sentence, "Move it nearer: each request asks it several times.")
    return Check(NAME, "ok", sentence)


def _shared_by(processes: int) -> str:
    return "one process has used it" if processes == 1 else f"{processes} processes have used it"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2g}" if seconds < 0.1 else f"{seconds * 1000:.0f}"
