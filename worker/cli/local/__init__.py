"""Commands on what runs on this machine: services, sandbox, nodes."""
