"""The tools that Darkroom is compared with, each doing the same job."""
