"""Access tokens: how they are issued, and the permissions that each operation requires."""
