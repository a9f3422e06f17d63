"""Which appointment was created from which body. No I/O.

A body can be created more than once, and equal bodies are wanted as often as they are given. So bodies and appointments are
multisets, and each appointment belongs to one body.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import attrs

from coaching_async._exceptions import CoachingError
from coaching_async.models.appointments import Appointment, AppointmentCreate
from coaching_async.models.common import Reference
from coaching_async.models.types import Unset

from .lookups import facilitator_of, minute_of

__all__ = ["Match", "is_match", "match_all"]

T = TypeVar("T")

Bodies: TypeAlias = Mapping[int, AppointmentCreate]
"""Bodies by their index."""


@attrs.frozen(eq=False, repr=False)
class Match:
    """What was found for a body."""

    appointment: Appointment | None = None
    candidates: tuple[Appointment, ...] = ()
    """Appointments that may belong to it, if they are more than the bodies, or do not tell similar bodies apart."""
    error: CoachingError | None = None
    """Why it could not be looked for."""

    @property
    def is_missing(self) -> bool:
        """Whether the list has no appointment for it."""
        return self.appointment is None and self.error is None and not self.candidates


def is_match(body: AppointmentCreate, found: Appointment) -> bool:
    """Return whether `found` has the name, start, length and attendees of `body`, and its facilitator if it names one."""
    return _key_of(body) == _key_of_found(found) and _has_facilitator(body, found)


def match_all(bodies: Bodies, found: Iterable[Appointment]) -> dict[int, Match]:
    """Return the match of each body. An appointment is that of one body; earlier ones of `found` are assigned first."""
    found_by_key: dict[Hashable, list[Appointment]] = {}
    for appointment in found:
        found_by_key.setdefault(_key_of_found(appointment), []).append(appointment)
    groups: dict[Hashable, dict[int, AppointmentCreate]] = {}
    for index, body in bodies.items():
        groups.setdefault(_key_of(body), {})[index] = body
    matches: dict[int, Match] = {}
    for key, group in groups.items():
        matches |= _match_group(group, found_by_key.get(key, []))
    return matches


def _key_of(body: AppointmentCreate) -> Hashable:
    return body.name, minute_of(body.date_start), body.length_in_minutes, frozenset(body.attendee_ids)


def _key_of_found(found: Appointment) -> Hashable:
    attendees = frozenset(attendee.id for attendee in found.attendees)
    return found.name, found.date_start and minute_of(found.date_start), found.length_in_minutes, attendees


def _has_facilitator(body: AppointmentCreate, found: Appointment) -> bool:
    wanted = facilitator_of(body)  # the service may choose one if there is none
    return wanted is None or (found.facilitator is not None and found.facilitator.id == wanted)


def _match_group(bodies: Bodies, found: Sequence[Appointment]) -> dict[int, Match]:
    """Return the matches of bodies that have name, start, length and attendees in common.

    Appointments whose details are as they were sent are assigned first. They tell bodies apart that differ in their
    description, for example. The details of the others may have been changed since.
    """
    left = [each for each in found if any(_has_facilitator(body, each) for body in bodies.values())]
    assigned: dict[int, Appointment] = {}
    uncertain: dict[int, Match] = {}
    for fits, split in ((_is_as_sent, _by_details), (_has_facilitator, _by_facilitator)):
        for part in split({index: body for index, body in bodies.items() if index not in assigned | uncertain}):
            candidates = [each for each in left if any(fits(body, each) for body in part.values())]
            wanting = {index: body for index, body in part.items() if any(fits(body, each) for each in candidates)}
            own = _assign(wanting, candidates, fits)
            if len(own) < len(wanting) and len(set(map(_kind, wanting.values()))) > 1:
                uncertain |= dict.fromkeys(wanting, Match(None, tuple(candidates)))
                taken = candidates
            else:
                assigned |= own
                taken = list(own.values())
            left = [each for each in left if each not in taken]
    return uncertain | {
        index: _match(body, assigned.get(index), found, left)
        for index, body in bodies.items()
        if index not in uncertain
    }


def _match(
    body: AppointmentCreate, own: Appointment | None, found: Sequence[Appointment], surplus: Sequence[Appointment]
) -> Match:
    if own is None or not any(_has_facilitator(body, each) for each in surplus):
        return Match(own)
    return Match(own, tuple(each for each in found if _has_facilitator(body, each)))


def _assign(
    bodies: Bodies, candidates: Sequence[Appointment], fits: Callable[[AppointmentCreate, Appointment], bool]
) -> dict[int, Appointment]:
    """Give each body an appointment that fits, as far as there is one.

    Bodies without a facilitator come last, because any appointment may be theirs.
    """
    left = list(candidates)
    assigned: dict[int, Appointment] = {}
    for index, body in sorted(bodies.items(), key=lambda item: facilitator_of(item[1]) is None):
        own = next((each for each in left if fits(body, each)), None)
        if own is not None:
            assigned[index] = own
            left.remove(own)
    return assigned


def _by_details(bodies: Bodies) -> Iterable[Bodies]:
    return (part for same in _split(bodies, _details) for part in _by_facilitator(same))


def _by_facilitator(bodies: Bodies) -> Iterable[Bodies]:
    """Split bodies by facilitator; not at all if one names none, because any appointment may be its own."""
    names_all = all(facilitator_of(body) is not None for body in bodies.values())
    return _split(bodies, facilitator_of) if names_all else (bodies,)


def _split(bodies: Bodies, key: Callable[[AppointmentCreate], Hashable]) -> Iterable[Bodies]:
    parts: dict[Hashable, dict[int, AppointmentCreate]] = {}
    for index, body in bodies.items():
        parts.setdefault(key(body), {})[index] = body
    return parts.values()


def _is_as_sent(body: AppointmentCreate, found: Appointment) -> bool:
    return _has_facilitator(body, found) and _details(body) == (
        found.description or "",
        _ids(found.conversations),
        _ids(found.documents),
        found.wfm_schedule and found.wfm_schedule.id,
        frozenset(found.external_links),
        found.location or None,
        bool(found.share_insights_data),
    )


def _details(body: AppointmentCreate) -> Hashable:
    """Return what an appointment shows of a body, apart from its facilitator and what its group has in common."""
    schedule = _or_none(body.wfm_schedule)
    return (
        body.description,
        frozenset(_or_none(body.conversation_ids) or ()),
        frozenset(_or_none(body.document_ids) or ()),
        schedule and schedule.id,
        frozenset(_or_none(body.external_links) or ()),
        _or_none(body.location) or None,
        bool(body.share_insights_data),
    )


def _or_none(value: T | Unset) -> T | None:
    return None if isinstance(value, Unset) else value


def _kind(body: AppointmentCreate) -> Hashable:
    """Return what a body says, apart from what its group has in common."""
    return _details(body), facilitator_of(body), body.add_to_schedule


def _ids(references: Iterable[Reference]) -> frozenset[str]:
    return frozenset(reference.id for reference in references)
