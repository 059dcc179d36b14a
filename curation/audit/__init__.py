"""The dataset audit: one offline page and its JSON that account for every clip of a dataset version."""

from curation.audit.report import build_audit

__all__ = ["build_audit"]
