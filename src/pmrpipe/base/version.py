"""The version of pmrpipe. Digests leave this module out: a release alone reruns nothing."""

VERSION = "0.1.0"
