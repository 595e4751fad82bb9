"""Two scans as they come: request, preparation, registration, result, page."""
