"""Notifications as they happen: the channel, its socket, and catching up on what was missed."""
