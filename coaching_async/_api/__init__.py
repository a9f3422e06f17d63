"""One call of a method: its session, its deadline, its decoded answer or its error."""
