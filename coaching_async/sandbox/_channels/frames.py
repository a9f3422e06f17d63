"""The frames of a WebSocket, as JSON text."""

import json
import uuid

from coaching_async.sandbox._wire.formats import JsonObject

HEARTBEAT = '{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}'
PONG = '{"topicName":"channel.metadata","eventBody":{"message":"pong"}}'
GARBAGE = '{"topicName":"v2.users.'

_IN_FRAMES = (
    "id",
    "name",
    "markedAsRead",
    "actionType",
    "relationship",
    "dateStart",
    "lengthInMinutes",
    "status",
)


def event(topic: str, body: JsonObject) -> str:
    frame = {
        "topicName": topic,
        "version": "2",
        "eventBody": body,
        "metadata": {"CorrelationId": str(uuid.uuid4())},
    }
    return json.dumps(frame, separators=(",", ":"))


def notification_body(row: JsonObject) -> JsonObject:
    """Return what a frame tells of a notification: less than the list, without its user."""
    body: JsonObject = {name: row[name] for name in _IN_FRAMES if name in row}
    return body | {"appointment": {"id": row["appointment"]["id"]}}


def job_body(job: JsonObject) -> JsonObject:
    return {name: value for name, value in job.items() if name != "selfUri"}


def socket_closing(seconds: float) -> str:
    return event("v2.system.socket_closing", {"message": f"The WebSocket will be closed in {seconds:g} seconds."})


def no_longer_subscribed(channel_id: str, owner: tuple[str | None, str]) -> str:
    return _system_message("no_longer_subscribed", "another_channel_subscribed", channel_id, owner)


def token_revoked(channel_id: str, owner: tuple[str | None, str]) -> str:
    return _system_message("token_revoked", "user_tokens_revoked", channel_id, owner)


def _system_message(kind: str, reason: str, channel_id: str, owner: tuple[str | None, str]) -> str:
    user_id, client_id = owner
    body: JsonObject = {
        "channelId": channel_id,
        "systemTopicType": kind,
        "correlationId": str(uuid.uuid4()),
        "oauthClientId": client_id,
        "reason": reason,
    }
    return event(f"v2.system.{kind}.{channel_id}", body if user_id is None else body | {"userId": user_id})


def is_ping(text: str) -> bool:
    try:
        message: object = json.loads(text)
    except (ValueError, RecursionError):
        return False
    match message:
        case {"message": "ping"}:
            return True
        case _:
            return False
