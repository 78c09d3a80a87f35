"""What is stored: the tables, their constraints, and the meaning of each column."""

from models.accounts import Account, FailedAttempt, Latency, ModelPause, ModelPrice, PromptFailure, ProviderHealth
from models.archive import ArchivedBatch, ArchivedFile
from models.audit import Change, ErasedRow, Erasure, LedgerOpening, LedgerRollup, Seal, SealFact
from models.batches import Approval, Batch, OwnerCap, OwnerMonth, RefusedLine
from models.catalog import (
    Catalog,
    CatalogClaim,
    CatalogDecision,
    CatalogItem,
    CatalogLive,
    CatalogPlan,
    CatalogRejection,
    CatalogRender,
    Schedule,
    ScheduleRun,
)
from models.engine import Call, Generation, Job, Result, Step, Upload
from models.hooks import Event, Hook, HookDelivery
from models.intake import DroppedMessage, Reference, RefusedMessage, WaitingMessage
from models.ledger import CreditEntry, GenerationReading, WalletReading
from models.metadata import Table
from models.node import Maintenance, Node
from models.web import ApiToken, AppUser, SignInLink, WebSession
from models.webhooks import WebhookCount, WebhookDelay, WebhookEndpoint
from worker.core.rules.states import BatchState

__all__ = [
    "Account",
    "ApiToken",
    "AppUser",
    "Approval",
    "ArchivedBatch",
    "ArchivedFile",
    "Batch",
    "BatchState",
    "Call",
    "Catalog",
    "CatalogClaim",
    "CatalogDecision",
    "CatalogItem",
    "CatalogLive",
    "CatalogPlan",
    "CatalogRejection",
    "CatalogRender",
    "Change",
    "CreditEntry",
    "DroppedMessage",
    "ErasedRow",
    "Erasure",
    "Event",
    "FailedAttempt",
    "Generation",
    "GenerationReading",
    "Hook",
    "HookDelivery",
    "Job",
    "Latency",
    "LedgerOpening",
    "LedgerRollup",
    "Maintenance",
    "ModelPause",
    "ModelPrice",
    "Node",
    "OwnerCap",
    "OwnerMonth",
    "PromptFailure",
    "ProviderHealth",
    "Reference",
    "RefusedLine",
    "RefusedMessage",
    "Result",
    "Schedule",
    "ScheduleRun",
    "Seal",
    "SealFact",
    "SignInLink",
    "Step",
    "Table",
    "Upload",
    "WaitingMessage",
    "WalletReading",
    "WebSession",
    "WebhookCount",
    "WebhookDelay",
    "WebhookEndpoint",
]
