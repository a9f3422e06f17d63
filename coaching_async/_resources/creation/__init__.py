"""Creating appointments once: which of them exist already, and creating those that do not."""
