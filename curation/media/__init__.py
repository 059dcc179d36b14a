"""Decoding, in a child process with limits: nothing here is imported by a process that must survive."""
