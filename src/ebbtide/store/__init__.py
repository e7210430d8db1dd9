"""Batches to disk and back as windows and summaries: the only room that speaks SQL."""
