"""The lines that every web application would write: one module for each framework, to be imported by its name."""
