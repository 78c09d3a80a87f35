"""A sheet shows images on self-contained pages: a batch with all that is known of it, or new images to decide on."""

from worker.contact_sheet.page import Card, Header, write_sheet
from worker.contact_sheet.review import ReviewCard, ReviewHeader, write_review

__all__ = ["Card", "Header", "ReviewCard", "ReviewHeader", "write_review", "write_sheet"]
