"""One call: its session, its deadline, and its decoded response or its error."""
