"""The command `coaching-async create`: creates the appointments of a CSV file, each of them once."""
