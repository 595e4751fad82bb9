"""What each verb does, as functions on paths; no stage imports another's inside."""
