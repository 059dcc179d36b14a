"""The steps of a curation run: judge, plan, find duplicates, cut, caption, assemble."""
