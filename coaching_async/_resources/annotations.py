"""Annotations of appointments: the operations below `/api/v2/coaching/appointments/{appointmentId}/annotations`."""

from __future__ import annotations

from coaching_async._pagination.listing import Listing
from coaching_async._refusals.arguments import checked_instance
from coaching_async.models.annotations import AccessType, AccessTypeLike, Annotation
from coaching_async.models.coercion import IdLike
from coaching_async.models.common import Page

from .base import Resource, build_listing

__all__ = ["Annotations"]


class Annotations(Resource):
    """Annotations: public or private notes on an appointment.

    Private annotations need the `privateAnnotation` permission, or being the appointment's creator or facilitator.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`. Methods that write may raise `OutcomeUnknown`.
    """

    __slots__ = ()

    def list(self, appointment_id: IdLike, *, page_size: int = 100) -> Listing[Annotation]:
        """Return the annotations of an appointment that the token may view.

            async for note in client.annotations.list(appointment_id):
                print(note.date_created, note.text)

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}/annotations
        Permission: coaching:annotation:view or coaching:privateAnnotation:view, or being related to the appointment
        Raises: `ValueError` now for invalid arguments; `NotFound`, `Forbidden` when iterated.
        """
        return build_listing(
            self._api,
            Page[Annotation],
            "annotations.list",
            "appointments",
            appointment_id,
            "annotations",
            page_size=page_size,
        )

    async def get(self, appointment_id: IdLike, annotation_id: IdLike) -> Annotation:
        """Return one annotation.

            note = await client.annotations.get(
                appointment_id, annotation_id
            )

        HTTP: GET /api/v2/coaching/appointments/{appointmentId}/annotations/{annotationId}
        Permission: coaching:annotation:view or coaching:privateAnnotation:view, or being related to the appointment
        Raises: `NotFound`, `Forbidden`.
        """
        return await self._api.get(
            Annotation, "annotations.get", "appointments", appointment_id, "annotations", annotation_id
        )

    async def create(self, appointment_id: IdLike, text: str, *, access_type: AccessTypeLike) -> Annotation:
        """Add an annotation, visible to all users related to the appointment (Public) or to its leaders (Private).

            await client.annotations.create(
                appointment_id, "Well done", access_type="Public"
            )

        HTTP: POST /api/v2/coaching/appointments/{appointmentId}/annotations
        Permission: coaching:annotation:add or coaching:privateAnnotation:add, or being related to the appointment
        Raises: `BadRequest`, `NotFound`, `Forbidden`; `OutcomeUnknown` when it may have been added.
        """
        return await self._api.write(
            Annotation,
            "annotations.create",
            "POST",
            "appointments",
            appointment_id,
            "annotations",
            body={"text": checked_instance("text", text, str), "access_type": AccessType.known(access_type)},
        )

    async def update(self, appointment_id: IdLike, annotation_id: IdLike, text: str) -> Annotation:
        """Replace the text of an annotation. Nothing else of it can be changed.

            await client.annotations.update(
                appointment_id, annotation_id, "Very well done"
            )

        HTTP: PATCH /api/v2/coaching/appointments/{appointmentId}/annotations/{annotationId}
        Permission: coaching:annotation:edit or coaching:privateAnnotation:edit, or being the appointment's creator or
        facilitator
        Raises: `BadRequest`, `NotFound`, `Forbidden`; `OutcomeUnknown` when it may have been changed.
        """
        return await self._api.write(
            Annotation,
            "annotations.update",
            "PATCH",
            "appointments",
            appointment_id,
            "annotations",
            annotation_id,
            body={"text": checked_instance("text", text, str)},
            sets_values=True,
        )

    async def delete(self, appointment_id: IdLike, annotation_id: IdLike) -> None:
        """Delete an annotation.

            await client.annotations.delete(
                appointment_id, annotation_id
            )

        HTTP: DELETE /api/v2/coaching/appointments/{appointmentId}/annotations/{annotationId}
        Permission: coaching:annotation:delete or coaching:privateAnnotation:delete, or being the appointment's creator
        or facilitator
        Raises: `NotFound`, `Forbidden`; `OutcomeUnknown` when it may have been deleted.
        """
        await self._api.delete("annotations.delete", "appointments", appointment_id, "annotations", annotation_id)
