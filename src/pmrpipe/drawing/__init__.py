"""Pictures and parts of pages that the quality pages, the report and two scans share."""
