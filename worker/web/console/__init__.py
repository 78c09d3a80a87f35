"""The console: pages for people, over the same services and queries as the commands and the HTTP API."""
