"""State machine of a listener: its inputs, its actions, and its decisions. Does no I/O."""
