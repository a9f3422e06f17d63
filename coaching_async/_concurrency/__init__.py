"""Concurrency on asyncio and trio: tasks, threads, event loops, synchronization, deadlines."""
