"""Fits of SEDs in tables: one, many, or a catalogue as a survey."""
