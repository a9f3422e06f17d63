"""Integrations with web frameworks, OpenTelemetry and dlt: one module each, imported by its name."""
