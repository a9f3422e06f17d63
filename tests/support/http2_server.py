"""A server that speaks HTTP/2: a behavior for a `FaultServer`."""

import h2.config
import h2.connection
import h2.events

from tests.support.fault_server import Behaviour, Conversation

__all__ = ["serving_http_2"]


def serving_http_2(body: bytes = b"{}", **headers: str) -> Behaviour:
    """Return a behavior that responds 200 to all requests."""

    def serve(conversation: Conversation) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        conversation.send(connection.data_to_send())
        lines = [(":status", "200"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        while data := conversation.read_some():
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    connection.send_headers(event.stream_id, lines)
                    connection.send_data(event.stream_id, body, end_stream=True)
            conversation.send(connection.data_to_send())

    return serve
