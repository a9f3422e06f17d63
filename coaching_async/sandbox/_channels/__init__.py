"""Notification channels: their topics, their frames, and the WebSockets that are open."""
