"""Access tokens, and the permissions that they carry."""
