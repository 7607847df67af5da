"""Submission bundles: results that somebody else can check. `docs/bundles.md` describes the form."""
