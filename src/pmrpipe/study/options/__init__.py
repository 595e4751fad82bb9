"""What a job can be told: one frozen model per kind of job, each option said once.

Flags, the words of a rule's shell line and arguments of functions are derived from the fields;
the configuration of a study takes its keys' types and defaults from them. Nothing is imported here:
the digest of a job's sources holds the options of its own kind alone.
"""
