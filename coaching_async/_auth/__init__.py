"""Access tokens: obtained by OAuth grants, cached, refreshed, and put on requests as bearer tokens."""
