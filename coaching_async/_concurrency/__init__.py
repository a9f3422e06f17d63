"""What asyncio and trio have in common, as far as the client needs it."""
